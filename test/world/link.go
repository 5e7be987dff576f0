package world

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"sync"
	"syscall"
	"time"
)

// errLinkCut is what a caller gets whose connection is gone.
var errLinkCut = fmt.Errorf("connection lost: %w", syscall.ECONNRESET)

// errNoServer is what a caller gets when nobody listens.
var errNoServer = fmt.Errorf("dial: %w", syscall.ECONNREFUSED)

// Link is one caller's way to the server: an HTTP client without a socket.
type Link struct {
	host *host
	name string // of the caller; "" for people, who do one thing after the other

	mu     sync.Mutex
	cut    bool
	silent bool // a cut link does not say so: calls hang
	oneWay bool // calls arrive, answers do not
	lost   chan struct{}
	still  time.Time // the caller stands still until then
}

func newLink(h *host, name string) *Link {
	return &Link{host: h, name: name, lost: make(chan struct{})}
}

// onTheWay is how long a call takes to arrive: under a millisecond, and as good
// as never the same for two calls that begin at one instant. They arrive one after
// the other in an order that the calls alone decide, not the scheduler, so that a
// seed does the same again. Of the body only the length counts: sealed contents
// differ from run to run, and encoders write maps in any order.
func onTheWay(ctx context.Context, caller, what string, body []byte) {
	h := fnv.New64a()
	_, _ = fmt.Fprint(h, caller, " ", what, " ", len(body), " ", asker(ctx), " ", time.Now().UnixNano()) // never fails
	pause(ctx, time.Duration(h.Sum64()%uint64(time.Millisecond)))
}

// Cut breaks every call at work and all later ones. A silent cut answers
// nothing, as a firewall does; otherwise callers get an error at once. What the
// server was doing for a call, it does.
func (l *Link) Cut(silent bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.cut {
		close(l.lost)
	}
	l.cut, l.silent, l.oneWay = true, silent, false
}

// CutAnswers lets calls through and nothing back, until Mend.
func (l *Link) CutAnswers() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.oneWay = true
}

// freeze keeps what is sent from now on until an instant.
func (l *Link) freeze(until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.still = until
}

// thaw waits as long as the caller stands still; false when it died meanwhile.
func (l *Link) thaw() bool {
	l.mu.Lock()
	d := time.Until(l.still)
	lost, cut := l.lost, l.cut
	l.mu.Unlock()
	if d <= 0 || cut {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-lost:
		return false
	}
}

// Mend lets calls through again.
func (l *Link) Mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.oneWay = false
	if l.cut {
		l.cut, l.lost = false, make(chan struct{})
	}
}

func (l *Link) state() (cut, silent bool, lost chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cut, l.silent, l.lost
}

// Do implements connect.HTTPClient.
func (l *Link) Do(req *http.Request) (*http.Response, error) { return l.RoundTrip(req) }

// RoundTrip implements http.RoundTripper.
func (l *Link) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	var body []byte
	if req.Body != nil {
		var err error
		body, err = io.ReadAll(req.Body)
		if err = errors.Join(err, req.Body.Close()); err != nil {
			return nil, err
		}
	}
	if !l.thaw() {
		return nil, errLinkCut
	}
	if l.name != "" { // behind the thaw, which lets many calls go at one instant
		onTheWay(ctx, l.name, req.URL.Path, body)
	}
	cut, silent, lost := l.state()
	if cut {
		if silent {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return nil, errLinkCut
	}
	inst := l.host.current()
	if inst == nil {
		return nil, errNoServer
	}
	c := &call{header: http.Header{}, ready: make(chan struct{})}
	c.body, c.out = io.Pipe()
	sctx, cancel := context.WithCancelCause(inst.ctx)
	in := req.Clone(sctx)
	in.Body, in.ContentLength, in.RemoteAddr, in.RequestURI = io.NopCloser(bytes.NewReader(body)), int64(len(body)), "127.0.0.1:1", req.URL.RequestURI()
	in.Proto, in.ProtoMajor, in.ProtoMinor = "HTTP/2.0", 2, 0
	if in.Host == "" {
		in.Host = req.URL.Host
	}
	inst.calls.Go(func() {
		defer cancel(nil)
		inst.handler.ServeHTTP(c, in)
		c.finish(inst)
	})
	fail := func(err error) (*http.Response, error) {
		cancel(err)
		c.body.CloseWithError(err)
		return nil, err
	}
	l.mu.Lock()
	ready := c.ready
	if l.oneWay {
		ready = nil
	}
	l.mu.Unlock()
	select {
	case <-ready:
	case <-ctx.Done():
		return fail(ctx.Err())
	case <-lost:
		return fail(errLinkCut)
	case <-inst.dead:
		return fail(errLinkCut)
	}
	// What breaks the link, or ends the call, breaks the stream of the answer.
	stop := make(chan struct{})
	inst.calls.Go(func() {
		select {
		case <-stop:
		case <-ctx.Done():
			_, _ = fail(ctx.Err())
		case <-lost:
			_, _ = fail(errLinkCut)
		case <-inst.dead:
			_, _ = fail(errLinkCut)
		}
	})
	return &http.Response{
		Status: http.StatusText(c.status), StatusCode: c.status, Proto: "HTTP/2.0", ProtoMajor: 2, Header: c.sent, Trailer: http.Header{},
		Body: &answer{PipeReader: c.body, stop: stop}, ContentLength: -1, Request: req,
	}, nil
}

// call is the server's side of one call.
type call struct {
	header http.Header
	sent   http.Header // the header as it was when the answer began
	status int
	once   sync.Once
	ready  chan struct{}
	body   *io.PipeReader
	out    *io.PipeWriter
}

func (c *call) Header() http.Header { return c.header }

func (c *call) WriteHeader(status int) {
	c.once.Do(func() {
		c.status, c.sent = status, c.header.Clone()
		close(c.ready)
	})
}

func (c *call) Write(p []byte) (int, error) {
	c.WriteHeader(http.StatusOK)
	return c.out.Write(p)
}

// Flush implements http.Flusher: everything is sent at once.
func (c *call) Flush() { c.WriteHeader(http.StatusOK) }

func (c *call) finish(inst *instance) {
	select {
	case <-inst.dead: // a dead server answers nothing, not even that it failed
		c.out.CloseWithError(errLinkCut)
		return
	default:
	}
	c.WriteHeader(http.StatusOK)
	_ = c.out.Close()
}

// answer is the caller's side of the body.
type answer struct {
	*io.PipeReader
	stop chan struct{}
	once sync.Once
}

func (a *answer) Close() error {
	a.once.Do(func() { close(a.stop) })
	return a.PipeReader.CloseWithError(context.Canceled)
}
