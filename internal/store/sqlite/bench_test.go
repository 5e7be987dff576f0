package sqlite

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/store"
)

func one(id string) []deploy.Event {
	return []deploy.Event{{ID: id, Type: deploy.EvStepDone, Schema: 1, Actor: "agent:a", Data: []byte(`{"stage":"s","attempt":1,"step":2}`)}}
}

func addOne(s *Store, b *testing.B, stream store.Stream, i int) {
	err := s.Update(b.Context(), "p", func(tx store.Tx) error {
		return tx.Append(stream, int64(i), "app", one(fmt.Sprint(stream.ID, i)))
	})
	if err != nil {
		b.Error(err)
	}
}

func app(id string) store.Stream { return store.Stream{Kind: deploy.StreamApplication, ID: id} }

// BenchmarkUpdate is one caller that appends one event, forced to disk.
func BenchmarkUpdate(b *testing.B) {
	s := open(b, b.TempDir(), Options{})
	for i := 0; b.Loop(); i++ {
		addOne(s, b, app("a"), i)
	}
}

// BenchmarkUpdate64 is 64 callers at once; events/commit is what sharing saves.
func BenchmarkUpdate64(b *testing.B) {
	var commits atomic.Int64
	s := open(b, b.TempDir(), Options{AroundCommit: func(stage string) {
		if stage == AfterCommit {
			commits.Add(1)
		}
	}})
	const callers, each = 64, 10
	rounds := 0
	for ; b.Loop(); rounds++ {
		var wg sync.WaitGroup
		for c := range callers {
			wg.Go(func() {
				for i := range each {
					addOne(s, b, app(fmt.Sprint(rounds, "/", c)), i)
				}
			})
		}
		wg.Wait()
	}
	total := float64(rounds * callers * each)
	b.ReportMetric(total/float64(commits.Load()), "events/commit")
	b.ReportMetric(total/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkView reads one record of 1 KiB among a thousand.
func BenchmarkView(b *testing.B) {
	s := memory(b)
	err := s.Update(b.Context(), "p", func(tx store.Tx) error {
		for i := range 1000 {
			if err := tx.Put(store.Applications, store.Record{Key: fmt.Sprint(i), Body: make([]byte, 1024)}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	for i := 0; b.Loop(); i++ {
		err := s.View(b.Context(), "p", func(tx store.Tx) error {
			_, _, err := tx.Get(store.Applications, fmt.Sprint(i%1000))
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpenMemory(b *testing.B) {
	for b.Loop() {
		s, err := OpenMemory(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpenNew(b *testing.B) {
	for b.Loop() {
		s, err := Open(b.Context(), b.TempDir(), Options{})
		if err != nil {
			b.Fatal(err)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAppendLog stores one line.
func BenchmarkAppendLog(b *testing.B) {
	s := open(b, b.TempDir(), Options{})
	line := []byte("2030-01-02T03:04:05Z registered task set ecs-svc/123 with weight 20\n")
	for i := 0; b.Loop(); i++ {
		k := store.LogKey{Project: "p", Deployment: fmt.Sprint(i / 1000), Stage: "s", Attempt: 1}
		if _, err := s.Side().AppendLog(b.Context(), k, 1, int64(i*len(line)), line); err != nil {
			b.Fatal(err)
		}
	}
}
