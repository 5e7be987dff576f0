package world

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/store"
)

// AWSCall is one call of an agent process to the local cloud.
type AWSCall struct {
	By    string // the process
	Op    string // such as CreateTaskSet
	Write bool
	Body  []byte
	rest  string // of Lambda: what the call is about
	// Fresh says, behind a read, that its answer differs from the last one of the same read of this process.
	Fresh bool
}

func (c AWSCall) String() string { return fmt.Sprintf("%s by %s", c.Op, c.By) }

// kind is the kind of applications that make such calls.
func (c AWSCall) kind() deploy.Kind {
	if c.rest != "" {
		return "LambdaApp"
	}
	return kindECS
}

// awsHooks stand around the calls of all processes.
type awsHooks struct {
	before func(AWSCall) bool
	after  func(AWSCall)
	change func(AWSCall, *http.Request) *http.Request
	answer func(AWSCall, []byte) []byte
	// partial leaves a part of an answer out.
	partial func(AWSCall, []byte) []byte
	// remember is how long a process trusts what it has read.
	remember time.Duration
}

// InterceptAWS calls before ahead of each call of a live process, which does not
// arrive when it answers false, and after behind those that were answered.
func (w *World) InterceptAWS(before func(AWSCall) bool, after func(AWSCall)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.aws.before, w.aws.after = before, after
}

// TamperAWS lets mistakes be planted: change may replace a call on its way,
// answer what comes back. Either may be nil.
func (w *World) TamperAWS(change func(AWSCall, *http.Request) *http.Request, answer func(AWSCall, []byte) []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.aws.change, w.aws.answer = change, answer
}

// awsLink carries the calls of one process; a dead one reaches nobody.
type awsLink struct {
	w *World
	p *Process

	mu       sync.Mutex
	seen     map[string]string // last answer by read
	still    time.Time         // the process stands still until then
	cutUntil time.Time
	oneWay   bool
	// remembered are answers by call.
	remembered map[string]readBefore
}

func (l *awsLink) freeze(until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.still = until
}

func (l *awsLink) cut(oneWay bool, until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.oneWay, l.cutUntil = oneWay, until
}

// RoundTrip implements http.RoundTripper.
func (l *awsLink) RoundTrip(r *http.Request) (*http.Response, error) {
	if l.p.Dead() {
		return nil, errLinkCut
	}
	call, r, err := readCall(l.p.Name, r)
	if err != nil {
		return nil, err
	}
	ctx := r.Context()
	r, thawed := l.stand(r)
	if !thawed {
		return nil, errLinkCut
	}
	onTheWay(r.Context(), call.By, call.Op+" "+string(call.Body), nil) // bodies of AWS are the same every time
	gone, lost := l.partition()
	if gone && !lost {
		return nil, hang(ctx, l.p.ended)
	}
	l.w.mu.Lock()
	hooks := l.w.aws
	l.w.mu.Unlock()
	if resp := l.recall(call, r, hooks.remember); resp != nil {
		return resp, nil
	}
	if call.Write {
		sightOf(ctx).sent()
	}
	if call.Write && ctx.Err() == nil { // else it was sent in time and comes late: the fault, not the process
		l.w.checkAWSWriter(call)
	}
	if hooks.before != nil && !hooks.before(call) {
		return nil, errLinkCut
	}
	if hooks.change != nil {
		r = hooks.change(call, r)
	}
	l.w.checkToken(call, r)
	resp, err := l.w.AWS.Cloud.Transport().RoundTrip(r)
	if err != nil {
		l.w.watch.troubled(l.p)
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if hooks.answer != nil {
		body = hooks.answer(call, body)
	}
	if hooks.partial != nil && resp.StatusCode < 300 {
		body = hooks.partial(call, body)
		l.w.watch.troubled(l.p)
	}
	call.Fresh = !call.Write && l.fresh(call, body)
	answered := resp.StatusCode < 300 || call.rest != "" && !call.Write && resp.StatusCode == http.StatusNotFound // Lambda says so that something is not there
	if !answered {
		l.w.watch.troubled(l.p)
	}
	if call.Write && resp.StatusCode < 300 {
		l.w.CheckAWS()
	}
	if hooks.after != nil && !l.p.Dead() {
		hooks.after(call)
	}
	if l.p.Dead() {
		return nil, errLinkCut
	}
	if lost {
		return nil, hang(ctx, l.p.ended)
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if !call.Write && answered {
		sightOf(ctx).saw(call.Op)
		if hooks.remember > 0 {
			l.memorise(call, resp, body)
		}
	}
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return resp, nil
}

// idleConnection is how long a connection outlives a caller that stands still.
const idleConnection = time.Minute

// stand waits as long as the process stands still. What it wanted to send then
// goes out even if nobody waits for it any more, unless the cloud has closed the
// connection meanwhile.
func (l *awsLink) stand(r *http.Request) (*http.Request, bool) {
	l.mu.Lock()
	d := time.Until(l.still)
	l.mu.Unlock()
	if d <= 0 {
		return r, true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return r.WithContext(context.WithoutCancel(r.Context())), d <= idleConnection
	case <-l.p.ended:
		return r, false
	}
}

// partition reports whether the process is cut off, and whether only answers are lost.
func (l *awsLink) partition() (gone, answersOnly bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	gone = time.Now().Before(l.cutUntil)
	return gone, gone && l.oneWay
}

// hang waits until the caller gives up.
func hang(ctx context.Context, ended <-chan struct{}) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-ended:
		return errLinkCut
	}
}

var requestIDs = regexp.MustCompile(`<RequestId>[^<]*</RequestId>`)

// fresh notes an answer and reports whether it differs from the last one.
func (l *awsLink) fresh(c AWSCall, body []byte) bool {
	text := string(requestIDs.ReplaceAll(body, nil))
	key := c.Op + c.rest + string(c.Body)
	l.mu.Lock()
	defer l.mu.Unlock()
	was, ok := l.seen[key]
	l.seen[key] = text
	return ok && was != text
}

// readCall tells what a request is; both protocols of AWS are told apart by header.
func readCall(by string, r *http.Request) (AWSCall, *http.Request, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return AWSCall{}, r, err
		}
		r = r.Clone(r.Context())
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	c := AWSCall{By: by, Body: body}
	if _, op, ok := strings.Cut(r.Header.Get("X-Amz-Target"), "."); ok {
		c.Op = op
	} else if op := restOp(r); op != "" {
		c.Op, c.rest = op, r.URL.RequestURI()
	} else if form, err := url.ParseQuery(string(body)); err == nil {
		c.Op = form.Get("Action")
	}
	c.Write = !strings.HasPrefix(c.Op, "Describe") && !strings.HasPrefix(c.Op, "List") && !strings.HasPrefix(c.Op, "Get")
	return c, r, nil
}

// checkAWSWriter checks that a write comes from a process that holds a
// deployment on this cloud and may write, and that no second deployment is at
// work there: all of them share one listener.
func (w *World) checkAWSWriter(c AWSCall) {
	inst := w.host.current()
	if inst == nil {
		return
	}
	var running []deploy.Deployment
	after := map[string]time.Time{}
	err := inst.store.View(context.Background(), Project, func(tx store.Tx) error {
		recs, err := tx.List(store.Deployments, store.Query{Where: map[string][]string{"open": {"1"}}, Limit: 100})
		for _, r := range recs {
			var d deploy.Deployment
			if err := json.Unmarshal(r.Body, &d); err != nil {
				return err
			}
			if d.App.Kind != c.kind() || d.Status != deploy.StatusRunning && d.Status != deploy.StatusRollingBack {
				continue
			}
			running = append(running, d)
			var a Assigned
			if rec, ok, err := tx.Get(store.Assignments, d.ID); err != nil {
				return err
			} else if ok {
				if err := json.Unmarshal(rec.Body, &a); err != nil {
					return err
				}
				after[d.ID] = a.WriteAfter
			}
		}
		return err
	})
	if err != nil {
		return
	}
	if len(running) > 1 && c.kind() == kindECS {
		w.Problemf("%s while %s and %s are both at work on the listener", c, running[0].ID, running[1].ID)
	}
	for _, d := range running {
		if d.Holder != holderOf(c.By) {
			continue
		}
		if wait, early := w.early(after[d.ID]); early {
			w.Problemf("%s for %s, %s before it may write", c, d.ID, wait)
		}
		return
	}
	w.Problemf("%s, which holds no running deployment there", c)
}
