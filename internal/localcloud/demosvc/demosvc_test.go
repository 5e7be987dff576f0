package demosvc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// freeAddr is a loopback address nobody listens on at this moment.
func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// running starts the service and waits until it answers.
func running(t *testing.T, cfg Config) (base string, stop func(), ended <-chan error) {
	t.Helper()
	addr := freeAddr(t)
	cfg.Listen = []string{addr}
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	done := make(chan error, 1)
	go func() { done <- Run(ctx, cfg) }()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(10 * time.Second); ; <-tick.C {
		if c, err := net.Dial("tcp", addr); err == nil {
			_ = c.Close()
			break
		} else if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	return "http://" + addr, cancel, done
}

func call(t *testing.T, method, url, body string, header ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b)
}

func TestAnswers(t *testing.T) {
	base, stop, ended := running(t, Config{Version: "v2", TaskID: "abc"})
	status, body := call(t, "GET", base+"/any/path", "")
	var a Answer
	if err := json.Unmarshal([]byte(body), &a); err != nil || status != 200 || a.Version != "v2" || a.TaskID != "abc" || a.Hostname == "" {
		t.Errorf("%d %s (%v)", status, body, err)
	}
	if status, body := call(t, "GET", base, "", "Accept", "text/plain"); status != 200 || !strings.HasPrefix(body, "v2 abc ") {
		t.Errorf("as text: %d %s", status, body)
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("ended with %v", err)
	}
}

func TestBehave(t *testing.T) {
	base, _, ended := running(t, Config{})
	health := func(want int) {
		t.Helper()
		if got, _ := call(t, "GET", base+"/healthz", ""); got != want {
			t.Errorf("health %d, want %d", got, want)
		}
	}
	behave := func(body string, want int, header ...string) {
		t.Helper()
		if got, text := call(t, "POST", base+"/admin/behave", body, header...); got != want {
			t.Errorf("behave %s: %d %s, want %d", body, got, text, want)
		}
	}
	health(200)
	behave(`{"healthy": false}`, 204)
	health(503)
	behave(`{"healthy": true}`, 204)
	health(200)
	behave(`{"unhealthyAfter": "1ns"}`, 204)
	health(503)
	behave(`{"healthy": true, "errorRate": 1}`, 204)
	health(200)
	if got, _ := call(t, "GET", base, ""); got != 500 {
		t.Errorf("told to fail, but %d", got)
	}
	behave(`{"errorRate": 2}`, 400)
	behave(`{"latency": "soon"}`, 400)
	behave(`{"latency": "-1s"}`, 400)
	behave(`nonsense`, 400)
	behave(`{"exit": 1}`, 403, "X-Forwarded-For", "203.0.113.7")
	behave(`{"exit": 1}`, 403, "Origin", "http://evil.example")
	behave(`{"exit": 9}`, 204)
	var exit *ExitError
	if err := <-ended; !errors.As(err, &exit) || exit.Code != 9 {
		t.Errorf("ended with %v", err)
	}
}

func TestBehaveOnlyFromThisMachine(t *testing.T) {
	s := &server{}
	rec := httptest.NewRecorder()
	req := httptest.NewRequest("POST", "/admin/behave", strings.NewReader(`{}`)) // from 192.0.2.1
	s.handler().ServeHTTP(rec, req)
	if rec.Code != http.StatusForbidden {
		t.Errorf("status %d", rec.Code)
	}
}

func TestUnhealthyAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, c := range map[string]struct {
			b    Behaviour
			want []bool // after 0, 10 and 20 s
		}{
			"healthy":         {Behaviour{}, []bool{true, true, true}},
			"never healthy":   {Behaviour{NeverHealthy: true}, []bool{false, false, false}},
			"unhealthy after": {Behaviour{UnhealthyAfter: 10 * time.Second}, []bool{true, false, false}},
		} {
			s := &server{behaviour: c.b, since: time.Now()}
			for i, want := range c.want {
				if i > 0 {
					time.Sleep(10 * time.Second)
				}
				if _, got := s.current(); got != want {
					t.Errorf("%s after %d s: %v", name, 10*i, got)
				}
			}
		}
	})
}

func TestStopFinishesRequestsUnderWay(t *testing.T) {
	base, stop, ended := running(t, Config{Version: "v1", Behaviour: Behaviour{Latency: 300 * time.Millisecond}})
	answered := make(chan string, 1)
	go func() {
		resp, err := http.Get(base)
		if err != nil {
			answered <- err.Error()
			return
		}
		defer func() { _ = resp.Body.Close() }()
		answered <- fmt.Sprint(resp.StatusCode)
	}()
	timer := time.NewTimer(100 * time.Millisecond) // the request is under way
	<-timer.C
	stop()
	if got := <-answered; got != "200" {
		t.Errorf("request under way: %s", got)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestExitAfter(t *testing.T) {
	err := Run(t.Context(), Config{Listen: []string{"127.0.0.1:0"}, ExitAfter: time.Millisecond, ExitCode: 7})
	var exit *ExitError
	if !errors.As(err, &exit) || exit.Code != 7 {
		t.Errorf("ended with %v", err)
	}
}

func TestAddressInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if err := Run(t.Context(), Config{Listen: []string{"127.0.0.1:0", l.Addr().String()}}); err == nil {
		t.Error("no error")
	}
}

func TestFromEnv(t *testing.T) {
	full := map[string]string{
		EnvListen: "127.0.0.2:80, 127.0.0.2:81", EnvVersion: "v3", EnvTaskID: "id", EnvLatency: "150ms", EnvErrorRate: "0.5",
		EnvNeverHealthy: "true", EnvUnhealthyAfter: "1m", EnvExitAfter: "2m", EnvExitCode: "4", EnvGrace: "3s",
	}
	got, err := FromEnv(func(k string) string { return full[k] })
	want := Config{
		Listen: []string{"127.0.0.2:80", "127.0.0.2:81"}, Version: "v3", TaskID: "id", ExitAfter: 2 * time.Minute, ExitCode: 4, Grace: 3 * time.Second,
		Behaviour: Behaviour{Latency: 150 * time.Millisecond, ErrorRate: 0.5, NeverHealthy: true, UnhealthyAfter: time.Minute},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	for name, value := range map[string]string{
		EnvListen: "", EnvLatency: "fast", EnvErrorRate: "NaN", EnvNeverHealthy: "maybe", EnvExitCode: "x", EnvExitAfter: "-1s",
	} {
		_, err := FromEnv(func(k string) string {
			if k == name {
				return value
			}
			return full[k]
		})
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s=%q: %v", name, value, err)
		}
	}
}
