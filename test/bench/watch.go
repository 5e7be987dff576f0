package main

import (
	"context"
	"fmt"
	"time"

	"connectrpc.com/connect"

	"github.com/penstock-cd/penstock/internal/client"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
)

// measureWatch changes the status of applications through the API and gives
// the time until each of n open streams names the change.
func (f *fleet) measureWatch(ctx context.Context, n int) ([]float64, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	type seen struct {
		app, kind string
		at        time.Time
	}
	changes, ready := make(chan seen, 10_000), make(chan error, n)
	api := f.client()
	for range n {
		go func() {
			st, err := api.Watches.Watch(ctx, connect.NewRequest(&penstockv1.WatchRequest{}))
			if err != nil {
				ready <- err
				return
			}
			defer st.Close()
			for first := true; st.Receive(); first = false {
				if first {
					ready <- nil
				}
				for _, c := range st.Msg().Changes {
					changes <- seen{c.StreamId, c.Type, time.Now()}
				}
			}
		}()
	}
	for range n {
		if err := <-ready; err != nil {
			return nil, err
		}
	}
	var out []float64
	for i := range 20 {
		id := fmt.Sprintf("app-%06d", i+1)
		for _, on := range []bool{false, true} {
			from := time.Now()
			if _, err := api.Applications.SetApplicationEnabled(ctx, connect.NewRequest(&penstockv1.SetApplicationEnabledRequest{ApplicationId: id, Enabled: on})); err != nil {
				return nil, err
			}
			for got := 0; got < n; {
				select {
				case c := <-changes:
					if c.app == id {
						got++
						out = append(out, float64(c.at.Sub(from).Microseconds())/1000)
					}
				case <-ctx.Done():
					return nil, fmt.Errorf("%d of %d streams named the change: %w", got, n, ctx.Err())
				}
			}
		}
	}
	return out, nil
}

// measureResume changes applications while a reader of the stream is cut off
// again and again, each time after a few messages, and goes on behind its last
// cursor. It gives how many changes the reader missed or heard twice.
func (f *fleet) measureResume(ctx context.Context) (wrong float64, err error) {
	const toggles = 200
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	api := f.client()
	who, err := api.Projects.WhoAmI(ctx, connect.NewRequest(&penstockv1.WhoAmIRequest{}))
	if err != nil {
		return 0, err
	}
	changed := make(chan error, 1)
	go func() {
		for i := range toggles {
			id := fmt.Sprintf("app-%06d", 100+i/2)
			if _, err := api.Applications.SetApplicationEnabled(ctx, connect.NewRequest(&penstockv1.SetApplicationEnabledRequest{ApplicationId: id, Enabled: i%2 == 1})); err != nil {
				changed <- err
				return
			}
		}
		changed <- nil
	}()
	heard, cursor, total := map[string]int{}, who.Msg.Cursor, 0
	for n := 1; total < toggles; n++ {
		some, next, err := f.listen(ctx, cursor, 1+n%5)
		if err != nil {
			return 0, fmt.Errorf("%d of %d changes were heard: %w", total, toggles, err)
		}
		for _, c := range some {
			heard[c.StreamId+c.Type]++
			total++
		}
		cursor = next
	}
	if err := <-changed; err != nil {
		return 0, err
	}
	for i := range toggles / 2 {
		for _, kind := range []string{"APP_DISABLED", "APP_ENABLED"} {
			if heard[fmt.Sprintf("app-%06d", 100+i)+kind] != 1 {
				wrong++
			}
		}
	}
	return wrong, nil
}

// listen opens a stream behind a cursor, reads some messages and is cut off.
func (f *fleet) listen(ctx context.Context, cursor string, messages int) (out []*penstockv1.Change, next string, err error) {
	ctx, cut := context.WithCancel(ctx)
	defer cut()
	st, err := f.client().Watches.Watch(ctx, connect.NewRequest(&penstockv1.WatchRequest{Cursor: cursor}))
	if err != nil {
		return nil, cursor, err
	}
	defer st.Close()
	for range messages {
		if !st.Receive() {
			return out, cursor, st.Err()
		}
		if st.Msg().Reset_ {
			return out, cursor, fmt.Errorf("the stream began anew behind %s", cursor)
		}
		out, cursor = append(out, st.Msg().Changes...), st.Msg().Cursor
	}
	return out, cursor, nil
}

// client is an API client with the credential of the fleet.
func (f *fleet) client() *client.Client {
	return client.New(client.Config{Server: f.url, Token: f.token, HTTPClient: f.hc})
}
