package localcloud

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"strconv"
	"syscall"
)

// Transport returns a RoundTripper that calls Handler without sockets, on the caller's goroutine: inside a testing/synctest bubble a call takes exactly the
// virtual time of its latency.
func (c *Cloud) Transport() http.RoundTripper { return memoryTransport{c.handler} }

type memoryTransport struct{ handler http.Handler }

// RoundTrip implements http.RoundTripper.
func (t memoryTransport) RoundTrip(req *http.Request) (resp *http.Response, err error) {
	in := req.Clone(req.Context())
	if in.Body == nil {
		in.Body = http.NoBody
	}
	defer in.Body.Close()
	if in.Host == "" {
		in.Host = req.URL.Host
	}
	in.RemoteAddr = "127.0.0.1:1"
	rec := &recorder{header: http.Header{}}
	defer func() {
		if p := recover(); p == http.ErrAbortHandler { //nolint:errorlint // a panic carries the value itself
			resp, err = nil, &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
		} else if p != nil {
			panic(p)
		}
		if ctxErr := req.Context().Err(); ctxErr != nil {
			resp, err = nil, ctxErr // as over a socket: the caller gave up before the answer
		}
	}()
	t.handler.ServeHTTP(rec, in)
	return rec.response(req), nil
}

// recorder collects an answer.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header { return r.header }

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
}

func (r *recorder) Write(p []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	return r.body.Write(p)
}

func (r *recorder) response(req *http.Request) *http.Response {
	r.WriteHeader(http.StatusOK)
	return &http.Response{
		Status: strconv.Itoa(r.status) + " " + http.StatusText(r.status), StatusCode: r.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: r.header, Body: io.NopCloser(bytes.NewReader(r.body.Bytes())), ContentLength: int64(r.body.Len()), Request: req,
	}
}
