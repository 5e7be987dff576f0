package elb

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// answers is a prober that a test switches.
type answers struct {
	mu     sync.Mutex
	status int
	err    error
	hang   bool
	urls   []string
}

func (a *answers) set(status int, err error, hang bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.status, a.err, a.hang = status, err, hang
}

func (a *answers) Probe(ctx context.Context, url string) (int, error) {
	a.mu.Lock()
	a.urls = append(a.urls, url)
	status, err, hang := a.status, a.err, a.hang
	a.mu.Unlock()
	if hang {
		<-ctx.Done()
		return 0, fmt.Errorf("probe: %w", ctx.Err())
	}
	return status, err
}

// shown is a target's health as the API shows it.
func (w *world) shown(group string, targets ...types.TargetDescription) string {
	w.t.Helper()
	out, err := w.e.DescribeTargetHealth(context.Background(), &elbv2.DescribeTargetHealthInput{TargetGroupArn: &group, Targets: targets})
	w.must(err)
	if len(out.TargetHealthDescriptions) == 0 {
		return "gone"
	}
	h := out.TargetHealthDescriptions[0].TargetHealth
	if h.Reason == "" {
		return string(h.State)
	}
	return string(h.State) + " " + string(h.Reason)
}

// step is a moment and what the API shows then.
type step struct {
	at   time.Duration
	want string
}

// follow looks at the first target of a group at each moment.
func (w *world) follow(group string, steps []step) {
	w.t.Helper()
	began := time.Now()
	for _, s := range steps {
		time.Sleep(s.at - time.Since(began))
		synctest.Wait()
		if got := w.shown(group); got != s.want {
			w.t.Errorf("after %v: %s, want %s", s.at, got, s.want)
		}
	}
}

// checkedEvery10 sets the group's interval to 10 s, its thresholds to 3 and 2.
func (w *world) checkedEvery10(group string) {
	_, err := w.e.ModifyTargetGroup(context.Background(), &elbv2.ModifyTargetGroupInput{
		TargetGroupArn: &group, HealthCheckIntervalSeconds: aws.Int32(10), HealthCheckTimeoutSeconds: aws.Int32(4),
		HealthyThresholdCount: aws.Int32(3), UnhealthyThresholdCount: aws.Int32(2), HealthCheckPath: aws.String("/ok"),
	})
	w.must(err)
}

func TestHealthOverTime(t *testing.T) {
	const (
		registering = "initial Elb.RegistrationInProgress"
		checking    = "initial Elb.InitialHealthChecking"
		mismatch    = "unhealthy Target.ResponseCodeMismatch"
	)
	for _, c := range []struct {
		name  string
		first func(*answers)
		then  map[time.Duration]func(*answers)
		steps []step
	}{
		{
			"one success is enough for a new target", func(a *answers) { a.set(200, nil, false) }, nil,
			[]step{{0, registering}, {time.Second - 1, registering}, {time.Second, "healthy"}},
		},
		{
			"two failures make a new target unhealthy", func(a *answers) { a.set(500, nil, false) }, nil,
			[]step{{time.Second, checking}, {11*time.Second - 1, checking}, {11 * time.Second, mismatch}},
		},
		{
			"a late start", func(a *answers) { a.set(0, errors.New("refused"), false) },
			map[time.Duration]func(*answers){5 * time.Second: func(a *answers) { a.set(200, nil, false) }},
			[]step{{time.Second, checking}, {11 * time.Second, "healthy"}},
		},
		{
			"refused connections", func(a *answers) { a.set(0, errors.New("refused"), false) }, nil,
			[]step{{11 * time.Second, "unhealthy Target.FailedHealthChecks"}},
		},
		{
			"no answer", func(a *answers) { a.set(0, nil, true) }, nil,
			[]step{{5 * time.Second, checking}, {15 * time.Second, "unhealthy Target.Timeout"}},
		},
		{
			"a healthy target needs two failures in a row, an unhealthy one three successes", func(a *answers) { a.set(200, nil, false) },
			map[time.Duration]func(*answers){
				5 * time.Second:  func(a *answers) { a.set(503, nil, false) }, // fails at 11
				15 * time.Second: func(a *answers) { a.set(200, nil, false) }, // passes at 21
				25 * time.Second: func(a *answers) { a.set(503, nil, false) }, // fails at 31 and 41
				45 * time.Second: func(a *answers) { a.set(200, nil, false) }, // passes at 51, 61, 71
			},
			[]step{{12 * time.Second, "healthy"}, {40 * time.Second, "healthy"}, {41 * time.Second, mismatch}, {70 * time.Second, mismatch}, {71 * time.Second, "healthy"}},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				probe := &answers{}
				c.first(probe)
				w := newWorld(t, Options{Prober: probe, RegistrationDelay: time.Second})
				w.checkedEvery10(w.blue)
				for at, f := range c.then {
					time.AfterFunc(at, func() { f(probe) })
				}
				w.e.Register(w.blue, "task-1", "127.0.1.1", 9000)
				w.follow(w.blue, c.steps)
				if len(probe.urls) == 0 || probe.urls[0] != "http://127.0.1.1:9000/ok" {
					t.Errorf("asked %v", probe.urls)
				}
				w.e.Close() // before the bubble ends
			})
		})
	}
}

func TestUnusedUntilAttached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		probe := &answers{status: 200}
		w := newWorld(t, Options{Prober: probe})
		w.e.Register(w.green, "task-1", "127.0.1.1", 0)
		time.Sleep(time.Minute)
		if got := w.shown(w.green); got != "unused Target.NotInUse" || len(probe.urls) != 0 {
			t.Errorf("not attached: %s after %d checks", got, len(probe.urls))
		}
		w.must(w.route(w.split(100, 0)))
		time.Sleep(time.Second)
		if got := w.shown(w.green); got != "healthy" {
			t.Errorf("attached at weight 0: %s", got)
		}
		w.must(w.route(to(w.blue)))
		checks := len(probe.urls)
		time.Sleep(time.Minute)
		if got := w.shown(w.green); got != "unused Target.NotInUse" || len(probe.urls) != checks {
			t.Errorf("detached: %s, %d more checks", got, len(probe.urls)-checks)
		}
		if g := w.e.Routes(w.listener).Groups[w.green]; len(g.Targets) != 1 || !g.Targets[0].Healthy {
			t.Errorf("nodes that lag behind lost the detached group's targets: %+v", g)
		}
		w.e.Deregister(w.green, "task-1")
		if got := w.shown(w.green); got != "gone" {
			t.Errorf("nothing to drain, but %s", got)
		}
		w.e.Close()
	})
}

func TestDraining(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Options{Prober: &answers{status: 200}})
		w.e.Register(w.blue, "a", "127.0.1.1", 0)
		w.e.Register(w.blue, "b", "127.0.1.2", 0)
		time.Sleep(time.Second)
		w.e.Deregister(w.blue, "a")
		if got := w.e.Routes(w.listener).Groups[w.blue].Targets; len(got) != 1 || got[0].ID != "b" {
			t.Errorf("targets for new requests: %+v", got)
		}
		state, since := w.e.Health(w.blue, "a")
		if state != "draining" || !since.Equal(time.Now()) {
			t.Errorf("%s since %v", state, since)
		}
		w.follow(w.blue, []step{{0, "draining Target.DeregistrationInProgress"}, {300*time.Second - 1, "draining Target.DeregistrationInProgress"}, {300 * time.Second, "healthy"}})
		if state, _ := w.e.Health(w.blue, "a"); state != "" {
			t.Errorf("after the delay: %s", state)
		}
		if got := w.shown(w.blue, types.TargetDescription{Id: aws.String("127.0.1.1")}); got != "unused Target.NotRegistered" {
			t.Errorf("asked for by name: %s", got)
		}

		w.e.Deregister(w.blue, "b")
		time.Sleep(10 * time.Second)
		w.e.Register(w.blue, "b", "127.0.1.2", 0) // brought back
		time.Sleep(time.Second)
		if got := w.shown(w.blue); got != "healthy" {
			t.Errorf("registered again while draining: %s", got)
		}
		time.Sleep(300 * time.Second)
		if got := w.shown(w.blue); got != "healthy" {
			t.Errorf("the old delay still took it out: %s", got)
		}
		w.e.Close()
	})
}

func TestRegisterTargets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Options{Prober: &answers{status: 200}})
		register := func(group string, d ...types.TargetDescription) error {
			_, err := w.e.RegisterTargets(context.Background(), &elbv2.RegisterTargetsInput{TargetGroupArn: &group, Targets: d})
			return err
		}
		deregister := func(d ...types.TargetDescription) error {
			_, err := w.e.DeregisterTargets(context.Background(), &elbv2.DeregisterTargetsInput{TargetGroupArn: &w.blue, Targets: d})
			return err
		}
		at := func(id string, port int32) types.TargetDescription {
			return types.TargetDescription{Id: &id, Port: &port}
		}
		wantCode(t, "two ports of one address", register(w.blue, at("127.0.1.1", 80), at("127.0.1.1", 81)), "")
		wantCode(t, "one again", register(w.blue, at("127.0.1.1", 80)), "")
		wantCode(t, "address of another machine", register(w.blue, at("10.0.0.1", 80)), codeValidation)
		wantCode(t, "no address", register(w.blue, at("i-0123", 80)), codeValidation)
		wantCode(t, "port 70000", register(w.blue, at("127.0.1.1", 70000)), codeValidation)
		wantCode(t, "none", register(w.blue), codeValidation)
		wantCode(t, "unknown group", register(w.blue+"0", at("127.0.1.1", 80)), "TargetGroupNotFound")
		wantCode(t, "deregister unknown", deregister(at("127.0.1.9", 80)), codeInvalidTarget)
		wantCode(t, "deregister one port", deregister(at("127.0.1.1", 80)), "")
		time.Sleep(time.Second)
		if got := w.shown(w.blue, at("127.0.1.1", 80)); got != "draining Target.DeregistrationInProgress" {
			t.Errorf("port 80: %s", got)
		}
		if got := w.shown(w.blue, at("127.0.1.1", 81)); got != "healthy" {
			t.Errorf("port 81: %s", got)
		}
		w.e.Close()
	})
}

func TestFailOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		probe := &answers{status: 200}
		w := newWorld(t, Options{Prober: probe})
		open := func() bool { return w.e.Routes(w.listener).Groups[w.blue].FailOpen }
		w.e.Register(w.blue, "a", "127.0.1.1", 0)
		if !open() {
			t.Error("no healthy target yet, but closed")
		}
		time.Sleep(time.Second)
		if open() {
			t.Error("open although a target is healthy")
		}
		probe.set(500, nil, false)
		time.Sleep(2 * time.Minute)
		if !open() {
			t.Error("closed although every target is unhealthy")
		}
		w.e.Close()
	})
}

// Health never jumps: a target becomes unhealthy only after as many failures
// in a row as asked for, healthy from unhealthy only after as many successes.
func TestObserveNeedsARun(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		th := thresholds{[]codeRange{{200, 299}}, rapid.IntRange(2, 10).Draw(t, "healthy"), rapid.IntRange(2, 10).Draw(t, "unhealthy")}
		h := enter(types.TargetHealthStateEnumInitial, types.TargetHealthReasonEnumInitialHealthChecking, time.Time{})
		passed, failed := 0, 0 // in a row
		for i, ok := range rapid.SliceOf(rapid.Bool()).Draw(t, "results") {
			status := 500
			if ok {
				status, passed, failed = 204, passed+1, 0
			} else {
				passed, failed = 0, failed+1
			}
			before := h
			h = h.observe(checkResult{status: status}, th, time.Unix(int64(i), 0))
			switch {
			case before.State == h.State:
				if !before.Since.Equal(h.Since) {
					t.Fatal("Since moved without a change of state")
				}
			case h.State == types.TargetHealthStateEnumHealthy:
				if !ok || before.State == types.TargetHealthStateEnumUnhealthy && passed < th.healthy {
					t.Fatalf("healthy after %d successes, want %d", passed, th.healthy)
				}
			case h.State == types.TargetHealthStateEnumUnhealthy:
				if ok || failed < th.unhealthy {
					t.Fatalf("unhealthy after %d failures, want %d", failed, th.unhealthy)
				}
			}
			if (h.State == types.TargetHealthStateEnumHealthy) != (h.Reason == "") {
				t.Fatalf("%s with reason %q", h.State, h.Reason)
			}
		}
	})
}

func TestParseMatcher(t *testing.T) {
	got, err := parseMatcher("200, 300-302")
	if diff := cmp.Diff([]codeRange{{200, 200}, {300, 302}}, got, cmp.AllowUnexported(codeRange{})); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

func TestHTTPProber(t *testing.T) {
	release := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/redirect":
			http.Redirect(w, r, "/", http.StatusFound)
		case "/hang":
			<-release
		}
	}))
	defer srv.Close()
	defer close(release)
	p := NewHTTPProber()
	for path, want := range map[string]int{"/": 200, "/redirect": 302} {
		if got, err := p.Probe(t.Context(), srv.URL+path); got != want || err != nil {
			t.Errorf("%s: %d %v", path, got, err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := p.Probe(ctx, srv.URL+"/hang"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("no answer: %v", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	if _, err := p.Probe(t.Context(), "http://"+address); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("nothing there: %v", err)
	}
}
