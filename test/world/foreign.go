package world

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/penstock-cd/penstock/internal/agent"
	"github.com/penstock-cd/penstock/internal/client"
	"github.com/penstock-cd/penstock/internal/deploy"
)

// foreign is the link of a process whose host has another clock: what it writes
// down is off by that much for all others, and what others wrote is for it.
// Time inside the process is the world's; instants are moved on their way.
type foreign struct {
	agent.Link
	off   time.Duration // its clock minus the right one
	drift float64       // seconds by which it goes wrong more in each second
	began time.Time
}

func (f *foreign) now() time.Duration {
	return f.off + time.Duration(f.drift*float64(time.Since(f.began)))
}

var instant = regexp.MustCompile(`"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"`)

// moved moves every instant in a value.
func moved[T any](v T, by time.Duration) T {
	text, err := json.Marshal(v)
	if err != nil {
		return v
	}
	text = instant.ReplaceAllFunc(text, func(b []byte) []byte {
		at, err := time.Parse(time.RFC3339Nano, strings.Trim(string(b), `"`))
		if err != nil || at.IsZero() {
			return b
		}
		return []byte(`"` + at.Add(by).UTC().Format(time.RFC3339Nano) + `"`)
	})
	var out T
	if err := json.Unmarshal(text, &out); err != nil {
		return v
	}
	return out
}

// Hello implements agent.SessionLink.
func (f *foreign) Hello(ctx context.Context, h client.Hello) (client.Session, error) {
	s, err := f.Link.Hello(ctx, h)
	if !s.ServerTime.IsZero() {
		s.ServerTime = s.ServerTime.Add(-f.now())
	}
	return s, err
}

// GetWork implements agent.WorkLink.
func (f *foreign) GetWork(ctx context.Context, session string) (client.Work, error) {
	w, err := f.Link.GetWork(ctx, session)
	for i := range w.Assignments {
		w.Assignments[i].Journal = moved(w.Assignments[i].Journal, -f.now())
		w.Assignments[i].Deployment = moved(w.Assignments[i].Deployment, -f.now())
	}
	return w, err
}

// Report implements agent.WorkLink.
func (f *foreign) Report(ctx context.Context, session string, r client.Report) (deploy.Deployment, error) {
	d, err := f.Link.Report(ctx, session, r)
	return moved(d, -f.now()), err
}

// PutJournal implements agent.RecordLink.
func (f *foreign) PutJournal(ctx context.Context, session, deployment string, epoch int64, e []deploy.JournalEntry) error {
	return f.Link.PutJournal(ctx, session, deployment, epoch, moved(e, f.now()))
}

// skewed is the link of a process by the clock of its host.
func (w *World) skewed(p *Process, l agent.Link) agent.Link {
	if w.opt.Skew == nil {
		return l
	}
	off, drift := w.opt.Skew(p.Name)
	if off == 0 && drift == 0 {
		return l
	}
	w.tracef("the clock of %s is %s off and drifts by %g", p.Name, off, drift)
	return &foreign{Link: l, off: off, drift: drift, began: time.Now()}
}

// cutter cuts calls of a process in the middle of their body: the server sees
// the beginning, the caller a lost connection.
type cutter struct {
	*Link

	mu   sync.Mutex
	left int
	at   float64
}

// CutCalls lets the next calls of a process that carry logs, reports or entries
// of the journal break after a part of their body, from 0 to 1.
func (p *Process) CutCalls(n int, at float64) {
	p.w.tracef("%d calls of %s are cut at %.0f %%", n, p.Name, at*100)
	p.cutter.mu.Lock()
	defer p.cutter.mu.Unlock()
	p.cutter.left, p.cutter.at = n, at
}

func (c *cutter) Do(req *http.Request) (*http.Response, error) { return c.RoundTrip(req) }

// RoundTrip implements http.RoundTripper.
func (c *cutter) RoundTrip(req *http.Request) (*http.Response, error) {
	_, method, _ := strings.Cut(strings.TrimPrefix(req.URL.Path, "/"), "/")
	c.mu.Lock()
	hit := c.left > 0 && req.Body != nil && (method == "AppendLog" || method == "Report" || method == "PutJournal" || method == "ReportFiles" || method == "ReportHead")
	if hit {
		c.left--
	}
	at := c.at
	c.mu.Unlock()
	cut, _, _ := c.state()
	inst := c.host.current()
	if !hit || cut || inst == nil {
		return c.Link.RoundTrip(req)
	}
	body, err := io.ReadAll(req.Body)
	if err = errors.Join(err, req.Body.Close()); err != nil {
		return nil, err
	}
	onTheWay(req.Context(), c.name, req.URL.Path, body)
	in := req.Clone(inst.ctx)
	in.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body[:int(float64(len(body))*at)]), broken{}))
	in.RemoteAddr, in.RequestURI, in.ContentLength = "127.0.0.1:1", req.URL.RequestURI(), int64(len(body))
	in.Proto, in.ProtoMajor, in.ProtoMinor = "HTTP/2.0", 2, 0
	done := make(chan struct{})
	inst.calls.Go(func() {
		defer close(done)
		inst.handler.ServeHTTP(httptest.NewRecorder(), in)
	})
	<-done
	return nil, errLinkCut
}

// broken is the rest of a body that does not come.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// Partial lets reads of the cloud answer a part of what was asked for a time:
// every second thing is left out, with or without a word about it.
func (w *World) Partial(d time.Duration, told bool) {
	w.tracef("the cloud answers in part for %s, says so %v", d, told)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.aws.partial = func(c AWSCall, body []byte) []byte { return part(c.Op, body, told) }
	time.AfterFunc(d, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.aws.partial = nil
	})
}

// part leaves out every second of what DescribeTasks and DescribeServices tell.
func part(op string, body []byte, told bool) []byte {
	list := map[string]string{"DescribeTasks": "tasks", "DescribeServices": "services"}[op]
	var all map[string]json.RawMessage
	var items []json.RawMessage
	if list == "" || json.Unmarshal(body, &all) != nil || json.Unmarshal(all[list], &items) != nil || len(items) == 0 {
		return body
	}
	var kept []json.RawMessage
	failures := []map[string]string{}
	for i, x := range items {
		if i%2 == 1 {
			kept = append(kept, x)
			continue
		}
		if told {
			failures = append(failures, map[string]string{"arn": "arn:aws:ecs:left-out", "reason": "THROTTLED", "detail": "the service is busy"})
		}
	}
	for key, v := range map[string]any{list: kept, "failures": failures} {
		text, err := json.Marshal(v)
		if err != nil {
			return body
		}
		all[key] = text
	}
	out, err := json.Marshal(all)
	if err != nil {
		return body
	}
	return out
}
