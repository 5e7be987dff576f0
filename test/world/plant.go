package world

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"time"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/engine"
	"github.com/penstock-cd/penstock/internal/store"
)

// ForgetHolds releases every held application behind the server's back and by
// the book: an event is recorded, but nobody asked for it. For planted faults.
func (w *World) ForgetHolds() {
	inst := w.host.current()
	if inst == nil {
		return
	}
	err := inst.store.Update(context.Background(), Project, func(tx store.Tx) error {
		recs, err := tx.List(store.Applications, store.Query{Limit: 100})
		if err != nil {
			return err
		}
		for _, r := range recs {
			var a deploy.Application
			if err := json.Unmarshal(r.Body, &a); err != nil {
				return err
			}
			if a.Hold == nil {
				continue
			}
			e := deploy.NewEvent(deploy.EvAppReleased, time.Now(), deploy.Reason{}, struct{}{})
			e.ID, e.Actor = "forgotten-"+r.Key+time.Now().Format(time.RFC3339Nano), "server"
			if err := tx.Append(store.Stream{Kind: deploy.StreamApplication, ID: r.Key}, store.AnyLength, r.Key, []deploy.Event{e}); err != nil {
				return err
			}
			if a, err = engine.ApplyApp(a, e); err != nil {
				return err
			}
			if r.Body, err = json.Marshal(a); err != nil {
				return err
			}
			if err := tx.Put(store.Applications, r); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		w.log.Warn("forget holds", "error", err)
	}
}

// RememberReads lets every process answer its reads of the cloud from its
// memory for a time, as one would that trusts what it read before. For planted
// faults.
func (w *World) RememberReads(limit time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.aws.remember = limit
}

// readBefore is an answer that a process has read before.
type readBefore struct {
	status int
	header http.Header
	body   []byte
	at     time.Time
}

// recall answers a read from memory.
func (l *awsLink) recall(c AWSCall, r *http.Request, limit time.Duration) *http.Response {
	l.mu.Lock()
	defer l.mu.Unlock()
	m, ok := l.remembered[c.Op+c.rest+string(c.Body)]
	if !ok || c.Write || limit == 0 || time.Since(m.at) > limit {
		return nil
	}
	return &http.Response{
		Status: http.StatusText(m.status), StatusCode: m.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: m.header.Clone(), Body: io.NopCloser(bytes.NewReader(m.body)), ContentLength: int64(len(m.body)), Request: r,
	}
}

func (l *awsLink) memorise(c AWSCall, resp *http.Response, body []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.remembered == nil {
		l.remembered = map[string]readBefore{}
	}
	l.remembered[c.Op+c.rest+string(c.Body)] = readBefore{resp.StatusCode, resp.Header.Clone(), body, time.Now()}
}

// checkToken wants the client token with every creation that takes one: what is
// looked up before a repeat may be a read that lags.
func (w *World) checkToken(c AWSCall, r *http.Request) {
	if c.Op != "CreateTaskSet" && c.Op != "CreateService" && c.Op != "RunTask" || r.Body == nil {
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	var in struct {
		ClientToken string `json:"clientToken"`
	}
	if err := json.Unmarshal(body, &in); err != nil || in.ClientToken == "" {
		w.once("creation without a token: " + c.String())
	}
}
