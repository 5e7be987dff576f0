package router

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// fakeTable is a table a test writes by hand.
type fakeTable struct {
	mu    sync.Mutex
	snaps map[string]Snapshot
}

func (f *fakeTable) Routes(arn string) Snapshot {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.snaps[arn]
}

// set makes one listener "l" with the actions as its default rule.
func (f *fakeTable) set(version uint64, groups map[string]Group, rules ...Rule) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.snaps = map[string]Snapshot{"l": {
		ListenerARN: "l", Exists: true, Port: 80, Protocol: "HTTP",
		Version: version, RulesVersion: version, Rules: rules, Groups: groups,
	}}
}

func forward(weights ...int) Rule {
	f := &Forward{}
	for i, w := range weights {
		f.Groups = append(f.Groups, WeightedGroup{ARN: fmt.Sprintf("g%d", i), Weight: w})
	}
	return Rule{ARN: "default", Default: true, Action: Action{Forward: f}}
}

func group(i int, targets ...Target) Group {
	return Group{ARN: fmt.Sprintf("g%d", i), Targets: targets}
}

func groups(gs ...Group) map[string]Group {
	m := map[string]Group{}
	for _, g := range gs {
		m[g.ARN] = g
	}
	return m
}

func up(id string) Target { return Target{ID: id, Addr: id + ":80", Healthy: true} }

func newRouter(t *testing.T, opts Options) (*fakeTable, *Router) {
	t.Helper()
	table := &fakeTable{}
	r := New(table, opts)
	t.Cleanup(r.Close)
	return table, r
}

func TestWeightedChoiceFollowsTheWeights(t *testing.T) {
	for _, weights := range [][]int{{80, 20}, {1, 1}, {999, 1}, {0, 7}, {3, 0}, {70, 20, 10}, {5, 0, 5}} {
		table, r := newRouter(t, Options{Seed: 42, Nodes: 2})
		var gs []Group
		total := 0
		for i, w := range weights {
			gs = append(gs, group(i, up(fmt.Sprint("t", i))))
			total += w
		}
		table.set(1, groups(gs...), forward(weights...))
		r.Changed("l")
		const n = 40_000
		counts := map[string]int{}
		for range n {
			counts[r.Route("l", Request{}).TargetGroupARN]++
		}
		for i, w := range weights {
			want := float64(w) / float64(total)
			got := float64(counts[fmt.Sprint("g", i)]) / n
			// Five standard deviations of a binomial count; the seed is fixed.
			if limit := 5 * math.Sqrt(want*(1-want)/n); math.Abs(got-want) > limit {
				t.Errorf("weights %v: group %d has %.4f, want %.4f ± %.4f", weights, i, got, want, limit)
			}
		}
	}
}

func TestRoundRobinFailOpenAndEmptyGroups(t *testing.T) {
	table, r := newRouter(t, Options{})
	sick := Target{ID: "c", Addr: "c:80"}
	table.set(1, groups(group(0, up("a"), up("b"), sick)), forward(1))
	r.Changed("l")
	counts := map[string]int{}
	for range 10 {
		counts[r.Route("l", Request{}).TargetID]++
	}
	if diff := cmp.Diff(map[string]int{"a": 5, "b": 5}, counts); diff != "" {
		t.Errorf("healthy targets take turns: %s", diff)
	}

	open := group(0, sick)
	open.FailOpen = true
	table.set(2, groups(open), forward(1))
	if got := r.Route("l", Request{}); got.TargetID != "c" || got.Status != 200 {
		t.Errorf("fail open: %+v", got)
	}
	table.set(3, groups(group(0)), forward(1))
	if got := r.Route("l", Request{}); got.Status != 503 || got.TargetGroupARN != "g0" {
		t.Errorf("empty group: %+v", got)
	}
	table.set(4, groups(group(0, up("a"))), forward(0))
	r.Changed("l")
	if got := r.Route("l", Request{}); got.Status != 503 || got.TargetGroupARN != "" {
		t.Errorf("all weights 0: %+v", got)
	}
	if got := r.Route("unknown", Request{}); got.Status != 0 {
		t.Errorf("unknown listener: %+v", got)
	}
}

// A weighted group without targets answers 503 for its share: there is no
// fail-over to the other group.
func TestEmptyCanaryGroupFailsItsShare(t *testing.T) {
	table, r := newRouter(t, Options{Seed: 3})
	table.set(1, groups(group(0, up("a")), group(1)), forward(80, 20))
	r.Changed("l")
	failed := 0
	for range 10_000 {
		if r.Route("l", Request{}).Status == 503 {
			failed++
		}
	}
	if failed < 1800 || failed > 2200 {
		t.Errorf("%d of 10000 failed, want about 2000", failed)
	}
}

func TestNodesTakeWeightsOverLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table, r := newRouter(t, Options{Nodes: 2, LagMin: 2 * time.Second, LagMax: 10 * time.Second, Seed: 5})
		gs := groups(group(0, up("a")), group(1, up("b")))
		table.set(1, gs, forward(1, 0))
		r.Changed("l") // new: at once
		weights := func() (out []int) {
			for _, n := range r.Effective("l") {
				out = append(out, n.Groups[1].Weight)
			}
			return out
		}
		table.set(2, gs, forward(0, 1))
		r.Changed("l")
		time.Sleep(2*time.Second - time.Nanosecond)
		if diff := cmp.Diff([]int{0, 0}, weights()); diff != "" {
			t.Error("changed before the shortest lag", diff)
		}
		time.Sleep(8*time.Second + time.Nanosecond)
		synctest.Wait()
		if diff := cmp.Diff([]int{1, 1}, weights()); diff != "" {
			t.Error("not changed after the longest lag", diff)
		}
	})
}

// Whatever the delays of several changes are, a node never goes back to an
// older one, and ends with the newest.
func TestLaterChangeIsNeverUndone(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		seed := rapid.Uint64().Draw(rt, "seed")
		gaps := rapid.SliceOfN(rapid.IntRange(0, 6), 1, 6).Draw(rt, "seconds between changes")
		var failure string // a failed draw or check must not end the bubble's goroutine
		synctest.Test(t, func(t *testing.T) {
			table, r := newRouter(t, Options{Nodes: 3, LagMin: time.Second, LagMax: 8 * time.Second, Seed: seed})
			gs := groups(group(0, up("a")))
			table.set(1, gs, forward(1))
			r.Changed("l")
			newest := make([]int, 3)
			look := func() {
				for _, n := range r.Effective("l") {
					if w := n.Groups[0].Weight; w < newest[n.Node] {
						failure = fmt.Sprintf("node %d went back from %d to %d", n.Node, newest[n.Node], w)
					} else {
						newest[n.Node] = w
					}
				}
			}
			version := 1
			for _, gap := range gaps {
				version++
				table.set(uint64(version), gs, forward(version))
				r.Changed("l")
				for range gap * 4 {
					time.Sleep(250 * time.Millisecond)
					synctest.Wait()
					look()
				}
			}
			for range 40 {
				time.Sleep(250 * time.Millisecond)
				synctest.Wait()
				look()
			}
			for node, w := range newest {
				if w != version {
					failure = fmt.Sprintf("node %d ended with %d, want %d", node, w, version)
				}
			}
		})
		if failure != "" {
			rt.Fatal(failure)
		}
	})
}

type refusing struct{}

func (refusing) Deliver(context.Context, string, Request) (int, error) {
	return 0, errors.New("connection refused")
}

func TestRouteCountsWhatTheClientSees(t *testing.T) {
	table, r := newRouter(t, Options{Deliver: refusing{}})
	table.set(1, groups(group(0, up("a"))), forward(1))
	r.Changed("l")
	for range 3 {
		if got := r.Route("l", Request{}); got.Status != 502 {
			t.Errorf("refused connection: %+v", got)
		}
	}
	want := []Count{{ListenerARN: "l", TargetGroupARN: "g0", TargetID: "a", Status: 502, Requests: 3}}
	if diff := cmp.Diff(want, r.Stats()); diff != "" {
		t.Error(diff)
	}
}

func TestWildcard(t *testing.T) {
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{
		{"*", "", true},
		{"*", "abc", true},
		{"/img/*", "/img/", true},
		{"/img/*", "/img", false},
		{"/a?c", "/abc", true},
		{"/a?c", "/ac", false},
		{"*.example.com", "a.b.example.com", true},
		{"a*b*c", "a-x-b-y-c", true},
		{"a*b*c", "a-x-c", false},
		{`\*`, "*", true},
		{`\*`, "x", false},
		{`a\?`, "a?", true},
		{`a\?`, "ab", false},
		{"", "", true},
		{"", "a", false},
		{"**", "a", true},
	} {
		if got := wildcard(c.pattern, c.s); got != c.want {
			t.Errorf("wildcard(%q, %q) = %v", c.pattern, c.s, got)
		}
	}
}

// The matcher agrees with a regular expression made from the same pattern.
func TestWildcardAgreesWithRegexp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringMatching(`[ab*?]{0,8}`).Draw(t, "pattern")
		s := rapid.StringMatching(`[ab]{0,10}`).Draw(t, "s")
		expr := regexp.MustCompile("^" + strings.NewReplacer("*", ".*", "?", ".").Replace(pattern) + "$")
		if got, want := wildcard(pattern, s), expr.MatchString(s); got != want {
			t.Fatalf("wildcard(%q, %q) = %v, want %v", pattern, s, got, want)
		}
	})
}

func TestConditions(t *testing.T) {
	req := Request{
		Method: "POST", Host: "Shop.Example.com:8080", Path: "/Img/a.png",
		Query: url.Values{"v": {"2"}, "x": {"Canary"}}, Header: http.Header{"X-Team": {"red", "BLUE"}},
		RemoteAddr: "127.0.0.9:5000",
	}
	for _, c := range []struct {
		name string
		cond Condition
		want bool
	}{
		{"host, any case, without port", Condition{Field: "host-header", Values: []string{"*.example.COM"}}, true},
		{"other host", Condition{Field: "host-header", Values: []string{"example.com"}}, false},
		{"path", Condition{Field: "path-pattern", Values: []string{"/nope", "/Img/*"}}, true},
		{"path minds case", Condition{Field: "path-pattern", Values: []string{"/img/*"}}, false},
		{"path by expression", Condition{Field: "path-pattern", Regex: []*regexp.Regexp{regexp.MustCompile(`\.png$`)}}, true},
		{"second header value", Condition{Field: "http-header", Header: "x-team", Values: []string{"blue"}}, true},
		{"absent header", Condition{Field: "http-header", Header: "x-none", Values: []string{"*"}}, false},
		{"method", Condition{Field: "http-request-method", Values: []string{"GET", "POST"}}, true},
		{"method minds case", Condition{Field: "http-request-method", Values: []string{"post"}}, false},
		{"query key and value", Condition{Field: "query-string", Query: []KeyValue{{"v", "2"}}}, true},
		{"query value of any key", Condition{Field: "query-string", Query: []KeyValue{{"", "canary"}}}, true},
		{"query value of another key", Condition{Field: "query-string", Query: []KeyValue{{"v", "canary"}}}, false},
		{"source", Condition{Field: "source-ip", Prefixes: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/28")}}, true},
		{"other source", Condition{Field: "source-ip", Prefixes: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}, false},
		{"unknown field", Condition{Field: "moon-phase", Values: []string{"*"}}, false},
	} {
		if got := c.cond.matches(req); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	both := Rule{Conditions: []Condition{
		{Field: "http-request-method", Values: []string{"POST"}}, {Field: "path-pattern", Values: []string{"/none"}},
	}}
	if both.matches(req) {
		t.Error("a rule matched although one of two conditions does not hold")
	}
}

func TestGroupStickiness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table, r := newRouter(t, Options{Seed: 9})
		gs := groups(group(0, up("a")), group(1, up("b")))
		rule := forward(50, 50)
		rule.Action.Forward.StickySeconds = 60
		table.set(1, gs, rule)
		r.Changed("l")
		first := r.Route("l", Request{})
		if len(first.Cookies) != 2 || first.Cookies[0].Name != "AWSALBTG" || first.Cookies[1].Name != "AWSALBTGCORS" {
			t.Fatalf("cookies %v", first.Cookies)
		}
		with := Request{Header: http.Header{"Cookie": {first.Cookies[0].Name + "=" + first.Cookies[0].Value}}}
		for range 50 {
			if got := r.Route("l", with); got.TargetGroupARN != first.TargetGroupARN {
				t.Fatalf("left its group: %+v", got)
			}
		}
		forged := Request{Header: http.Header{"Cookie": {"AWSALBTG=" + first.Cookies[0].Value[:20] + "AAAA"}}}
		time.Sleep(time.Minute)
		for name, req := range map[string]Request{"expired": with, "forged": forged} {
			seen := map[string]bool{}
			for range 50 {
				seen[r.Route("l", req).TargetGroupARN] = true
			}
			if len(seen) != 2 {
				t.Errorf("%s cookie still binds: %v", name, seen)
			}
		}
	})
}

func TestStickyCookieDoesNotReachAGroupOfWeightZero(t *testing.T) {
	table, r := newRouter(t, Options{Seed: 9})
	gs := groups(group(0, up("a")), group(1, up("b")))
	rule := forward(0, 1)
	rule.Action.Forward.StickySeconds = 60
	table.set(1, gs, rule)
	r.Changed("l")
	c := r.Route("l", Request{}).Cookies[0]
	back := forward(1, 0)
	back.Action.Forward.StickySeconds = 60
	table.set(2, gs, back)
	r.Changed("l")
	if got := r.Route("l", Request{Header: http.Header{"Cookie": {c.Name + "=" + c.Value}}}); got.TargetGroupARN != "g0" {
		t.Errorf("%+v", got)
	}
}

func TestTargetStickiness(t *testing.T) {
	table, r := newRouter(t, Options{})
	g := group(0, up("a"), up("b"), up("c"))
	g.StickySeconds = 60
	table.set(1, groups(g), forward(1))
	r.Changed("l")
	first := r.Route("l", Request{})
	with := Request{Header: http.Header{"Cookie": {"AWSALB=" + first.Cookies[0].Value}}}
	for range 10 {
		if got := r.Route("l", with); got.TargetID != first.TargetID {
			t.Fatalf("left its target: %+v", got)
		}
	}
	g.Targets = []Target{up("b"), up("c")} // "a" is deregistered
	table.set(2, groups(g), forward(1))
	if got := r.Route("l", with); got.TargetID == first.TargetID || got.Status != 200 {
		t.Errorf("request for a target that is gone: %+v", got)
	}
}

func TestHTTPForwarding(t *testing.T) {
	var seen http.Header
	var host, query string
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		seen, host, query = req.Header, req.Host, req.URL.RawQuery
		w.WriteHeader(http.StatusTeapot)
	}))
	defer target.Close()
	table, r := newRouter(t, Options{Listen: func(Snapshot) string { return "127.0.0.1:0" }})
	table.set(1, groups(group(0, Target{ID: "a", Addr: target.Listener.Addr().String(), Healthy: true})), forward(1))
	r.Changed("l")
	req, _ := http.NewRequest(http.MethodGet, r.URL("l").String(), nil)
	req.Host = "shop.example.com"
	req.URL.RawQuery = "a=1;b=%zz"
	req.Header.Set("X-Forwarded-For", "203.0.113.7")
	req.Header.Set("X-Forwarded-Host", "outer.example.com")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusTeapot || host != "shop.example.com" {
		t.Errorf("status %d, host %s", resp.StatusCode, host)
	}
	if got := seen.Get("X-Forwarded-For"); got != "203.0.113.7, 127.0.0.1" {
		t.Errorf("X-Forwarded-For %q", got)
	}
	if query != "a=1;b=%zz" || seen.Get("X-Forwarded-Host") != "outer.example.com" {
		t.Errorf("query %q, headers %v", query, seen)
	}
	if seen.Get("X-Forwarded-Proto") != "http" || seen.Get("X-Forwarded-Port") != "80" {
		t.Errorf("forwarding headers %v", seen)
	}
	if got := seen.Get("X-Amzn-Trace-Id"); !regexp.MustCompile(`^Root=1-[0-9a-f]{8}-[0-9a-f]{24}$`).MatchString(got) {
		t.Errorf("X-Amzn-Trace-Id %q", got)
	}
}

func TestHTTPAnswersWithoutTarget(t *testing.T) {
	dead := httptest.NewServer(nil)
	addr := dead.Listener.Addr().String()
	dead.Close()
	table, r := newRouter(t, Options{})
	rules := []Rule{
		{ARN: "r", Conditions: []Condition{{Field: "path-pattern", Values: []string{"/old/*"}}}, Action: Action{Redirect: &Redirect{
			Protocol: "HTTPS", Port: "443", Path: "/new/#{path}", Query: "from=#{host}", Status: 301,
		}}},
		{ARN: "f", Conditions: []Condition{{Field: "path-pattern", Values: []string{"/fixed"}}}, Action: Action{Fixed: &FixedResponse{
			Status: 418, ContentType: "text/plain", Body: "short",
		}}},
		{ARN: "e", Conditions: []Condition{{Field: "path-pattern", Values: []string{"/empty"}}}, Action: Action{Forward: &Forward{
			Groups: []WeightedGroup{{"g1", 1}},
		}}},
		forward(1),
	}
	table.set(1, groups(group(0, Target{ID: "a", Addr: addr, Healthy: true}), group(1)), rules...)
	r.Changed("l")
	for path, want := range map[string]int{"/old/x": 301, "/fixed": 418, "/empty": 503, "/": 502} {
		rec := httptest.NewRecorder()
		r.Handler("l").ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "http://shop:8080"+path, nil))
		if rec.Code != want {
			t.Errorf("%s: status %d, want %d", path, rec.Code, want)
		}
		if got := rec.Header().Get("Server"); got != "awselb/2.0" {
			t.Errorf("%s: Server %q", path, got)
		}
		if path == "/old/x" && rec.Header().Get("Location") != "https://shop:443/new/old/x?from=shop" {
			t.Errorf("Location %q", rec.Header().Get("Location"))
		}
	}
}

func TestListenerSocketClosesWithTheListener(t *testing.T) {
	table, r := newRouter(t, Options{Listen: func(Snapshot) string { return "127.0.0.1:0" }})
	table.set(1, groups(group(0)), forward(1))
	r.Changed("l")
	address := r.URL("l").String()
	resp, err := http.Get(address)
	if err != nil || resp.StatusCode != 503 {
		t.Fatalf("%v %v", resp, err)
	}
	_ = resp.Body.Close()
	table.snaps = nil
	r.Changed("l")
	if _, err := http.Get(address); err == nil {
		t.Error("a removed listener still answers")
	}
	if r.Addr("l") != "" || r.Effective("l") != nil {
		t.Error("a removed listener is still known")
	}
}

func TestOnlyLoopbackSockets(t *testing.T) {
	table, r := newRouter(t, Options{Listen: func(Snapshot) string { return "0.0.0.0:0" }})
	table.set(1, groups(group(0)), forward(1))
	r.Changed("l")
	if r.Addr("l") != "" {
		t.Errorf("listening on %s", r.Addr("l"))
	}
}
