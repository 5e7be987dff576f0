package server

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"

	"github.com/penstock-cd/penstock/internal/deploy"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
	"github.com/penstock-cd/penstock/internal/gen/penstock/v1/penstockv1connect"
	"github.com/penstock-cd/penstock/internal/policy"
)

func login(r *rig, user, pass string) (*connect.Response[penstockv1.LoginResponse], error) {
	return r.project.Login(r.Context(), connect.NewRequest(&penstockv1.LoginRequest{Username: user, Password: pass}))
}

func TestLogin(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		res := must[*connect.Response[penstockv1.LoginResponse]](r)(login(r, "admin", password))
		cookie := res.Header().Get("Set-Cookie")
		for _, want := range []string{sessionCookie + "=pss_", "HttpOnly", "SameSite=Strict", "Path=/", "Expires="} {
			if !strings.Contains(cookie, want) {
				r.Errorf("cookie %q lacks %q", cookie, want)
			}
		}
		if strings.Contains(cookie, "Secure") {
			r.Errorf("cookie %q asks for TLS on a plain connection", cookie)
		}
		who := func(h http.Header) error {
			_, err := r.srv.admitCall(r.Context(), penstockv1connect.ProjectServiceWhoAmIProcedure, h)
			return err
		}
		if err := who(http.Header{"Cookie": {sessionCookie + "=" + res.Msg.Token}}); err != nil {
			r.Errorf("with the cookie: %v", err)
		}
		out := penstockv1connect.NewProjectServiceClient(r.client(), "http://server", as(res.Msg.Token))
		if _, err := out.Logout(r.Context(), connect.NewRequest(&penstockv1.LogoutRequest{})); err != nil {
			r.Fatal(err)
		}
		if err := who(http.Header{"Authorization": {"Bearer " + res.Msg.Token}}); deploy.CodeOf(err) != deploy.CodeUnauthorized {
			r.Errorf("behind the logout: %v", err)
		}
		for _, x := range [][2]string{{"admin", "wrong"}, {"root", password}, {"admin", ""}} {
			_, err := login(r, x[0], x[1])
			wantCode(r, "login as "+x[0], err, deploy.CodeUnauthorized, "")
		}
	})
}

func TestLoginIsSlowForThoseWhoGuess(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		r.srv.opt.Admin.PasswordHash = "$argon2id$v=19$m=8,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAA" // cheap to check, matches nothing
		codes := map[deploy.Code]int{}
		for range 20 {
			_, err := login(r, "admin", "guess")
			codes[deploy.Code(detail(err).Code)]++
		}
		if codes[deploy.CodeUnauthorized] != 5 || codes[deploy.CodeExhausted] != 15 {
			r.Errorf("20 guesses at once: %v, want 5 tried", codes)
		}
		_, err := login(r, "somebody", "guess") // another name does not help
		wantCode(r, "another name from the same place", err, deploy.CodeExhausted, "")
		time.Sleep(13 * time.Second)
		_, err = login(r, "admin", "guess")
		wantCode(r, "a while later", err, deploy.CodeUnauthorized, "")
		_, err = login(r, "admin", strings.Repeat("x", 2000))
		wantCode(r, "a very long password", err, deploy.CodeInvalid, "")
	})
}

// TestManyPlacesGuessSlowlyToo guesses from many addresses, and from one that
// must not lock the others out.
func TestManyPlacesGuessSlowlyToo(t *testing.T) {
	now := time.Now()
	from := func(g *loginGuard, user string, places, each int) (n int) {
		for i := range places {
			for range each {
				if g.allow(user, fmt.Sprintf("192.0.2.%d:%d", i, 1000+n), now) {
					n++
				}
			}
		}
		return n
	}
	if n := from(newLoginGuard("admin"), "admin", 100, 5); n != 20 {
		t.Errorf("%d guesses of one name from 100 places, want 20", n)
	}
	g := newLoginGuard("admin")
	if n := from(g, "nobody", 100, 5); n != 20 {
		t.Errorf("%d guesses of unknown names, want 20", n)
	}
	g = newLoginGuard("admin")
	if n := from(g, "admin", 1, 1000); n != 5 {
		t.Errorf("%d guesses from one place, want 5", n)
	}
	if !g.allow("admin", "198.51.100.7:1", now) {
		t.Error("one place has locked the owner of the name out")
	}
	l := newLimits(1, 1)
	for i := range maxLimits + 100 {
		l.allow(fmt.Sprint(i), now)
	}
	if len(l.of) > maxLimits+1 {
		t.Errorf("%d places are remembered", len(l.of))
	}
}

func TestNoPasswordNoLogin(t *testing.T) {
	onRig(t, func(o *Options) { o.Admin = Admin{} }, func(r *rig) {
		_, err := login(r, "", "")
		wantCode(r, "login", err, deploy.CodeDenied, "")
	})
}

func TestTheCookieIsSecureBehindTLS(t *testing.T) {
	onRig(t, func(o *Options) { o.WebAddress = "https://penstock.example" }, func(r *rig) {
		res := must[*connect.Response[penstockv1.LoginResponse]](r)(login(r, "admin", password))
		if c := res.Header().Get("Set-Cookie"); !strings.Contains(c, "Secure") {
			r.Errorf("cookie %q of a page that is published under https", c)
		}
	})
	onRig(t, nil, func(r *rig) {
		if c := r.srv.cookie(http.Header{schemeHeader: {"https"}}, "x", time.Now()).String(); !strings.Contains(c, "Secure") {
			r.Errorf("cookie %q over TLS", c)
		}
		// A client cannot claim the scheme.
		_, h, _ := r.get("POST", penstockv1connect.ProjectServiceLoginProcedure,
			map[string]string{"Content-Type": "application/json", schemeHeader: "https"}, `{"username":"admin","password":"`+password+`"}`)
		if c := h.Get("Set-Cookie"); c == "" || strings.Contains(c, "Secure") {
			r.Errorf("cookie %q: the header of the client counted", c)
		}
	})
}

func TestMalformedHashesMatchNothing(t *testing.T) {
	good := passwordHash()
	if !CheckPassword(good, password) || CheckPassword(good, password+"x") {
		t.Fatal("the hash does not tell right from wrong")
	}
	parts := strings.Split(good, "$")
	with := func(i int, s string) string {
		p := append([]string(nil), parts...)
		p[i] = s
		return strings.Join(p, "$")
	}
	for _, h := range []string{
		"", "$", password, "$argon2id$", good + "$x", with(1, "argon2i"), with(2, "v=16"), with(3, "m=,t=1,p=1"), with(3, "m=32768,t=0,p=2"),
		with(3, "m=32768,t=3,p=0"), with(3, "m=999999999,t=1,p=1"), with(3, "m=8,t=99,p=1"), with(4, "!"), with(5, ""), with(5, "!"), with(5, strings.Repeat("A", 200)),
	} {
		if CheckPassword(h, password) {
			t.Errorf("hash %q matched", h)
		}
	}
}

func TestOtherOriginsAreRefused(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		post := func(h map[string]string) int {
			h["Content-Type"], h["Cookie"] = "application/json", sessionCookie+"="+r.token
			status, _, _ := r.get("POST", penstockv1connect.ApplicationServiceSyncApplicationProcedure, h, `{"applicationId":"x"}`)
			return status
		}
		for name, h := range map[string]map[string]string{
			"by fetch metadata": {"Sec-Fetch-Site": "cross-site"}, "by origin": {"Origin": "https://evil.example"}, "same site": {"Sec-Fetch-Site": "same-site"},
		} {
			if got := post(h); got != http.StatusForbidden {
				r.Errorf("cross-origin %s: status %d", name, got)
			}
		}
		for name, h := range map[string]map[string]string{
			"own page": {"Sec-Fetch-Site": "same-origin"}, "own origin": {"Origin": "http://server"}, "no browser": {},
		} {
			if got := post(h); got != http.StatusNotFound { // the application
				r.Errorf("%s: status %d, want the call to arrive", name, got)
			}
		}
	})
}

func TestAgentKeys(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		ctx := r.Context()
		id, first := r.agent("a")
		p := r.join(id, first, "one")
		_, err := r.project.RegisterAgent(ctx, connect.NewRequest(&penstockv1.RegisterAgentRequest{Name: " A "}))
		wantCode(r, "the name again", err, deploy.CodeExists, "")
		add := func(request string) (*connect.Response[penstockv1.AddAgentKeyResponse], error) {
			return r.project.AddAgentKey(ctx, connect.NewRequest(&penstockv1.AddAgentKeyRequest{RequestId: request, AgentId: id}))
		}
		second := must[*connect.Response[penstockv1.AddAgentKeyResponse]](r)(add("k2"))
		if len(second.Msg.Agent.Keys) != 2 || second.Msg.Key == first {
			r.Fatalf("keys: %v", second.Msg.Agent.Keys)
		}
		_, err = add("k3")
		wantCode(r, "a third key", err, deploy.CodeExhausted, "")
		q := r.join(id, second.Msg.Key, "two")
		q.work()
		p.work()
		remove := func(key string) (*connect.Response[penstockv1.RemoveAgentKeyResponse], error) {
			return r.project.RemoveAgentKey(ctx, connect.NewRequest(&penstockv1.RemoveAgentKeyRequest{AgentId: id, KeyId: key}))
		}
		_, err = remove("nothing")
		wantCode(r, "remove an unknown key", err, deploy.CodeNotFound, "")
		left := must[*connect.Response[penstockv1.RemoveAgentKeyResponse]](r)(remove(second.Msg.Agent.Keys[0].Id))
		if len(left.Msg.Agent.Keys) != 1 {
			r.Errorf("left: %v", left.Msg.Agent.Keys)
		}
		_, err = p.link.GetWork(ctx, connect.NewRequest(&penstockv1.GetWorkRequest{SessionId: p.session}))
		wantCode(r, "with the removed key", err, deploy.CodeUnauthorized, "")
		q.work()
		_, err = add("k2")
		wantCode(r, "the request of the second key again", err, deploy.CodeExists, "")
		if got := must[*connect.Response[penstockv1.ListAgentsResponse]](r)(r.project.ListAgents(ctx, connect.NewRequest(&penstockv1.ListAgentsRequest{}))); len(got.Msg.Agents[0].Keys) != 1 {
			r.Errorf("a repeated request left keys %v", got.Msg.Agents[0].Keys)
		}
	})
}

func TestADisabledAgentIsOutAtOnce(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		id, key := r.agent("a")
		p := r.join(id, key, "one")
		app := p.register("web")
		d := p.moved("", "c1", app)
		over := make(chan error, 1)
		go func() {
			s, err := p.link.Wait(r.Context(), connect.NewRequest(&penstockv1.WaitRequest{SessionId: p.session}))
			for err == nil && s.Receive() {
			}
			over <- s.Err()
		}()
		synctest.Wait()
		set := func(on bool) {
			r.Helper()
			if _, err := r.project.SetAgentEnabled(r.Context(), connect.NewRequest(&penstockv1.SetAgentEnabledRequest{AgentId: id, Enabled: on})); err != nil {
				r.Fatal(err)
			}
		}
		set(false)
		_, err := p.link.Renew(r.Context(), connect.NewRequest(&penstockv1.RenewRequest{SessionId: p.session}))
		wantCode(r, "renew", err, deploy.CodeUnauthorized, "")
		wantCode(r, "the stream", <-over, deploy.CodeUnauthorized, reasonSessionOver)
		set(true)
		q := r.join(id, key, "two")
		a := q.work().Assignments
		if len(a) != 1 || a[0].DeploymentId != d || a[0].WriteAfter.AsDuration() < DefaultLease {
			r.Errorf("assignments %v: the dismissed process may still be at work for a lease", a)
		}
	})
}

func TestAPIKeysExpire(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		create := func(m *penstockv1.CreateAPIKeyRequest) (*connect.Response[penstockv1.CreateAPIKeyResponse], error) {
			return r.project.CreateAPIKey(r.Context(), connect.NewRequest(m))
		}
		for _, bad := range []*penstockv1.CreateAPIKeyRequest{{Name: "x", Role: "root"}, {Role: "viewer"}, {Name: "x", Role: "agent"}, {Name: "x", Role: "viewer", Days: -1}, {Name: "x", Role: "viewer", Days: 4000}} {
			_, err := create(bad)
			wantCode(r, bad.String(), err, deploy.CodeInvalid, "")
		}
		key := must[*connect.Response[penstockv1.CreateAPIKeyResponse]](r)(create(&penstockv1.CreateAPIKeyRequest{Name: "ci", Role: "operator", Days: 1})).Msg.Key
		c := penstockv1connect.NewProjectServiceClient(r.client(), "http://server", as(key))
		me := must[*connect.Response[penstockv1.WhoAmIResponse]](r)(c.WhoAmI(r.Context(), connect.NewRequest(&penstockv1.WhoAmIRequest{}))).Msg
		if me.Name != "key:ci" || me.Role != "operator" || len(me.Rights) != len(policy.Rights(policy.RoleOperator)) {
			r.Errorf("who am I: %v", me)
		}
		time.Sleep(24*time.Hour + time.Second)
		_, err := c.WhoAmI(r.Context(), connect.NewRequest(&penstockv1.WhoAmIRequest{}))
		wantCode(r, "a day later", err, deploy.CodeUnauthorized, "")
		time.Sleep(25 * time.Hour)
		if _, ok := r.record("_system", "credentials", hashSecret(key)); ok {
			r.Error("the expired key was not removed")
		}
	})
}

func TestCallsAreLimited(t *testing.T) {
	l := newLimits(callsPerSecond, callsAtOnce)
	now := time.Now()
	n := 0
	for range callsAtOnce + 100 {
		if l.allow("a", now) {
			n++
		}
	}
	if n != callsAtOnce || !l.allow("b", now) || !l.allow("a", now.Add(time.Second)) {
		t.Errorf("%d calls at once", n)
	}
	l.sweep(now.Add(2 * limitIdle))
	if len(l.of) != 0 {
		t.Errorf("%d limiters are kept", len(l.of))
	}
}

func TestSecretsStayWhereTheyAre(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		ctx := r.Context()
		webhook := "marker-webhook-secret-0123456789"
		id, key := r.agent("a")
		p := r.join(id, key, "one")
		p.moved("", "c1", p.register("web"))
		var answers strings.Builder
		note := func(v interface{ String() string }, err error) {
			if err != nil {
				answers.WriteString(err.Error())
				return
			}
			answers.WriteString(v.String())
		}
		up, err := r.project.UpdateProject(ctx, connect.NewRequest(&penstockv1.UpdateProjectRequest{WebhookSecret: &webhook}))
		note(up.Msg, err)
		_, err = login(r, "admin", "marker-password")
		note(nil, err)
		in := must[*connect.Response[penstockv1.LoginResponse]](r)(login(r, "admin", password))
		bad := penstockv1connect.NewProjectServiceClient(r.client(), "http://server", as("psa_marker-unknown"))
		_, err = bad.WhoAmI(ctx, connect.NewRequest(&penstockv1.WhoAmIRequest{}))
		note(nil, err)
		got, err := r.project.GetProject(ctx, connect.NewRequest(&penstockv1.GetProjectRequest{}))
		note(got.Msg, err)
		if !got.Msg.Project.WebhookSecretSet {
			r.Error("the secret is not set")
		}
		agents, err := r.project.ListAgents(ctx, connect.NewRequest(&penstockv1.ListAgentsRequest{}))
		note(agents.Msg, err)
		for kind, id := range map[deploy.StreamKind]string{deploy.StreamProject: "default", deploy.StreamAgent: id} {
			events, err := r.deploys.ListEvents(ctx, connect.NewRequest(&penstockv1.ListEventsRequest{StreamKind: string(kind), StreamId: id}))
			note(events.Msg, err)
			if len(events.Msg.Events) == 0 {
				r.Errorf("no events in %s", kind)
			}
		}
		_, _, metrics := r.get("GET", "/metrics", nil, "")
		where := map[string]string{"log": r.log.String(), "answers and events": answers.String(), "metrics": metrics}
		for place, text := range where {
			for what, secret := range map[string]string{"agent key": key, "webhook secret": webhook, "password": password, "wrong password": "marker-password", "session": in.Msg.Token, "unknown key": "marker-unknown", "hash": hashSecret(key)} {
				if strings.Contains(text, secret) {
					r.Errorf("the %s is in the %s", what, place)
				}
			}
		}
	})
}
