package localcloud

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// urls are the sockets of function URLs. One that is no longer used answers 404 until the cloud is closed.
type urls struct {
	serving sync.WaitGroup
	mu      sync.Mutex
	closed  bool
	servers []*http.Server
}

// openURL opens the socket of a function URL, where there are sockets.
func (c *Cloud) openURL(id string) string {
	if c.opts.FunctionAddr == nil {
		return ""
	}
	want := c.opts.FunctionAddr()
	if want == "" {
		return ""
	}
	ln, err := new(net.ListenConfig).Listen(context.Background(), "tcp", want)
	if err != nil {
		c.opts.Log.Error("function URL has no socket", "error", err)
		return ""
	}
	if addr, ok := ln.Addr().(*net.TCPAddr); !ok || !addr.IP.IsLoopback() {
		_ = ln.Close()
		c.opts.Log.Error("function URL has no socket", "error", "not a loopback address", "address", want)
		return ""
	}
	server := &http.Server{
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { c.lambda.ServeURL(id, w, r) }),
		ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(c.opts.Log.Handler(), slog.LevelDebug),
	}
	c.urls.mu.Lock()
	defer c.urls.mu.Unlock()
	if c.urls.closed {
		_ = ln.Close()
		return ""
	}
	c.urls.servers = append(c.urls.servers, server)
	c.urls.serving.Go(func() {
		if err := server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			c.opts.Log.Error("function URL stopped serving", "error", err)
		}
	})
	return ln.Addr().String()
}

func (u *urls) close() {
	u.mu.Lock()
	u.closed = true
	servers := u.servers
	u.mu.Unlock()
	for _, s := range servers {
		_ = s.Close()
	}
	u.serving.Wait()
}
