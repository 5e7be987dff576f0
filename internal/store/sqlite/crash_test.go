package sqlite

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/penstock-cd/penstock/internal/store"
)

// childDir names the directory in which a re-run of this test binary writes
// until it is killed.
const childDir = "PENSTOCK_TEST_WRITE_TO"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		fmt.Fprintln(os.Stderr, writeForEver(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

const crashWriters = 6

// writeBoth is one transaction of a crash test: it appends to two streams and
// counts in a record, which must agree for ever.
func writeBoth(ctx context.Context, s *Store, writer, round int) (n int, err error) {
	name := fmt.Sprint("w", writer)
	err = s.Update(ctx, "p", func(tx store.Tx) error {
		r, _, err := tx.Get(store.Requests, name)
		if err != nil {
			return err
		}
		n, _ = strconv.Atoi(string(r.Body))
		body := []byte(strconv.Itoa(n + 1))
		return errors.Join(
			tx.Append(app(name), int64(n), "", one(fmt.Sprint(name, "-", n+1))),
			tx.Put(store.Requests, store.Record{Key: name, Body: body}),
			tx.Append(app(name+"-twin"), int64(n), "", one(fmt.Sprint(name, "-twin-", n+1, "-", round))),
		)
	})
	return n + 1, err
}

func writeForEver(dir string) error {
	ctx := context.Background()
	s, err := Open(ctx, dir, Options{})
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	for w := range crashWriters {
		wg.Go(func() {
			for round := 0; ; round++ {
				n, err := writeBoth(ctx, s, w, round)
				if err != nil {
					fmt.Fprintln(os.Stderr, err)
					return
				}
				mu.Lock()
				fmt.Printf("w%d %d\n", w, n)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return errors.New("all writers have ended")
}

// lengths returns how many events each writer's streams have, after checking
// that the parts of every transaction are there together.
func lengths(t *testing.T, s *Store) map[string]int {
	t.Helper()
	got := map[string]int{}
	err := s.View(t.Context(), "p", func(tx store.Tx) error {
		for w := range crashWriters {
			name := fmt.Sprint("w", w)
			a, err := tx.Read(app(name), 0, 1<<20)
			if err != nil {
				return err
			}
			b, err := tx.Read(app(name+"-twin"), 0, 1<<20)
			if err != nil {
				return err
			}
			r, _, err := tx.Get(store.Requests, name)
			if err != nil {
				return err
			}
			if n, _ := strconv.Atoi(string(r.Body)); n != len(a) || len(a) != len(b) {
				t.Errorf("%s: half a transaction: counter %d, streams of %d and %d", name, n, len(a), len(b))
			}
			for i, e := range a {
				if e.Seq != int64(i)+1 || e.ID != fmt.Sprint(name, "-", i+1) {
					t.Errorf("%s: event %d is %d %s", name, i, e.Seq, e.ID)
				}
			}
			got[name] = len(a)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// TestKilled kills a writing process at random moments. What it was told is
// stored must be there, and nothing by half.
func TestKilled(t *testing.T) {
	rounds := 10
	if testing.Short() {
		rounds = 3
	}
	dir := t.TempDir()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	for round := range rounds {
		told := killAfter(t, dir, 1+rnd.IntN(300), rnd.IntN(200_000))
		s := open(t, dir, Options{})
		got := lengths(t, s)
		for name, n := range told {
			if got[name] < n {
				t.Errorf("round %d: %s was told that %d are stored, %d are there", round, name, n, got[name])
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// killAfter lets a child acknowledge some transactions, burns a moment that no
// commit is in step with, and kills it. It returns the newest that the child
// had acknowledged for each writer.
func killAfter(t *testing.T, dir string, lines, spin int) map[string]int {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	told := map[string]int{}
	in := bufio.NewReader(out)
	for n := 0; ; n++ {
		line, err := in.ReadString('\n')
		if err != nil { // a line cut short was not heard
			if n < lines || err != io.EOF && !errors.Is(err, os.ErrClosed) {
				t.Fatalf("the child ended by itself: %v %s", err, stderr.String())
			}
			break
		}
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		told[name], _ = strconv.Atoi(value)
		if n == lines {
			for range spin {
				_ = rand.Uint64()
			}
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = cmd.Wait()
	return told
}

// TestTornLog cuts the write-ahead log at random bytes, as a machine that dies
// while writing does: the store opens with a prefix of the transactions.
func TestTornLog(t *testing.T) {
	live := t.TempDir()
	s := open(t, live, Options{})
	base := filepath.Join(live, MainFile)
	const total = 60
	var ends []int64 // size of the log when each transaction was acknowledged
	for i := range total {
		if _, err := writeBoth(t.Context(), s, 0, i); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(base + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		ends = append(ends, info.Size())
	}
	db, err := os.ReadFile(base)
	if err != nil {
		t.Fatal(err)
	}
	wal, err := os.ReadFile(base + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	for range 25 {
		at := rand.IntN(len(wal) + 1)
		dir := t.TempDir()
		torn := append([]byte(nil), wal[:at]...)
		if at > 0 && rand.IntN(2) == 0 {
			torn[at-1] ^= 0xff // the last byte written is wrong as well
			at--
		}
		for file, data := range map[string][]byte{MainFile: db, MainFile + "-wal": torn} {
			if err := os.WriteFile(filepath.Join(dir, file), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		copied := open(t, dir, Options{})
		want := 0
		for _, end := range ends {
			if end <= int64(at) {
				want++
			}
		}
		if got := lengths(t, copied)["w0"]; got != want {
			t.Errorf("log of %d bytes cut at %d: %d transactions, want the first %d", len(wal), at, got, want)
		}
		if n, err := writeBoth(t.Context(), copied, 0, total); err != nil || n != want+1 {
			t.Errorf("cut at %d: going on: %d, %v", at, n, err)
		}
		if err := copied.Close(); err != nil {
			t.Error(err)
		}
	}
}
