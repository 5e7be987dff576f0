//go:build e2e

package e2e

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"

	"github.com/penstock-cd/penstock/internal/client"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
	"github.com/penstock-cd/penstock/internal/git"
	"github.com/penstock-cd/penstock/internal/git/githttp"
	"github.com/penstock-cd/penstock/internal/localcloud"
	"github.com/penstock-cd/penstock/internal/localcloud/demosvc"
	"github.com/penstock-cd/penstock/internal/localcloud/runtime/process"
	"github.com/penstock-cd/penstock/test/kit"
)

// canaryStages is the article's canary with a short wait.
var canaryStages = []string{
	"{name: ECS_CANARY_ROLLOUT, with: {scale: 30}}", "{name: ECS_TRAFFIC_ROUTING, with: {canary: 20}}", "{name: WAIT, with: {duration: 6s}}",
	"{name: ECS_PRIMARY_ROLLOUT}", "{name: ECS_TRAFFIC_ROUTING, with: {primary: 100}}", "{name: ECS_CANARY_CLEAN}",
}

// ring is a control plane and two agents of one identity in processes that are killed, and the outside world, which lives on
// in this one: the cloud, the git host, the users.
type ring struct {
	t       *testing.T
	cloud   *localcloud.Cloud
	calls   *callLog
	stage   kit.Cluster
	route   kit.Route
	git     *githttp.Server
	remote  string
	addr    string // of the control plane, the same after each start
	data    string
	server  *controlPlane
	api     *client.Client
	token   string // of the admin's login
	agents  map[string]*member
	users   *users
	version int
	hook    string // webhook secret
	log     string // level of all logs
	// task makes the task definition of a version.
	task func(version string) string
}

// member is one agent process with the endpoint under which it sees the cloud.
type member struct {
	name, dir string
	conf      kit.Agent
	run       *program
}

// ringOptions say what differs from two agents on a cloud like AWS.
type ringOptions struct {
	settle  string
	ideal   bool // nothing takes time in the cloud
	alone   bool // one agent
	gitUser *url.Userinfo
	hook    string // webhook secret
	log     string // level of all logs, info if it is empty
	more    string // below spec of the agents' configuration
}

func newRing(t *testing.T, settle string) *ring {
	return newRingWith(t, ringOptions{settle: settle, hook: secret})
}

func newRingWith(t *testing.T, o ringOptions) *ring {
	t.Helper()
	r := &ring{t: t, data: t.TempDir(), agents: map[string]*member{}, hook: o.hook, log: cmp.Or(o.log, "info"), task: func(v string) string { return kit.TaskFile("shop", v) }}
	r.startCloud(o)
	r.serveGit(o)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	r.addr = ln.Addr().String()
	must(t, ln.Close())
	r.startServer()
	in, err := client.New(client.Config{Server: r.server.url}).Projects.Login(t.Context(), connect.NewRequest(&penstockv1.LoginRequest{Username: adminName, Password: adminPassword}))
	must(t, err)
	r.token = in.Msg.Token
	r.api = client.New(client.Config{Server: r.server.url, Token: r.token})
	_, err = r.api.Projects.UpdateProject(t.Context(), connect.NewRequest(&penstockv1.UpdateProjectRequest{RequestId: "hook", WebhookSecret: ptr(o.hook)}))
	must(t, err)
	made, err := r.api.Projects.RegisterAgent(t.Context(), connect.NewRequest(&penstockv1.RegisterAgentRequest{RequestId: "agent", Name: "pair"}))
	must(t, err)
	remote := r.remote
	if o.gitUser != nil {
		remote = strings.Replace(remote, "://", "://"+o.gitUser.String()+"@", 1)
	}
	for _, name := range []string{"a", "b"} {
		if o.alone && name == "b" {
			break
		}
		m := &member{name: name, dir: t.TempDir(), conf: kit.Agent{
			Project: project, ID: made.Msg.Agent.Id, Key: made.Msg.Key, Server: r.server.url, Endpoint: r.calls.endpoint(t, name), Settle: o.settle,
			Repositories: map[string]string{"apps": remote}, More: o.more,
		}}
		r.agents[name] = m
		r.startAgent(m)
	}
	return r
}

func (r *ring) startCloud(o ringOptions) {
	t := r.t
	profile := localcloud.AWSLike()
	if o.ideal {
		profile = localcloud.Ideal()
	}
	rt, err := process.New(process.Options{Catalogue: process.CatalogueFunc(func(image string) (process.Program, bool) {
		version, ok := strings.CutPrefix(image, "demo:")
		return process.Program{Argv: []string{penstock, "task"}, Env: map[string]string{demosvc.EnvVersion: version}}, ok
	})})
	must(t, err)
	t.Cleanup(rt.Close)
	r.cloud, err = localcloud.New(localcloud.Options{
		Listen: "127.0.0.1:0", Profile: profile, Runtime: rt, Seed: uint64(time.Now().UnixNano()), ListenerAddr: func(int) string { return "127.0.0.1:0" },
	})
	must(t, err)
	must(t, r.cloud.Start(t.Context()))
	t.Cleanup(func() { _ = r.cloud.Close() })
	r.calls = &callLog{cloud: r.cloud.Handler(), sets: map[string]string{}}
	r.stage, err = kit.NewCluster(t.Context(), r.cloud.AWSConfig(), "ring")
	must(t, err)
	r.route, err = r.stage.NewRoute(t.Context(), "shop", 80)
	must(t, err)
}

func (r *ring) serveGit(o ringOptions) {
	var err error
	password, _ := o.gitUser.Password() // none without a user
	r.git, err = githttp.New(r.t.Context(), r.t.TempDir(), githttp.Options{Username: o.gitUser.Username(), Password: password})
	must(r.t, err)
	must(r.t, r.git.CreateRepo(r.t.Context(), repo, "main"))
	srv := httptest.NewServer(r.git)
	r.t.Cleanup(srv.Close)
	r.remote = srv.URL + "/" + repo
}

// startServer starts the control plane over the same data and on the same address as before.
func (r *ring) startServer() {
	r.server = startServer(r.t, "--listen", r.addr, "--data-dir", r.data, "--auto-register", "--log-level", r.log)
}

// startAgent starts an agent process.
func (r *ring) startAgent(m *member) {
	cred := r.cloud.Credentials()
	env := []string{
		"AWS_ACCESS_KEY_ID=" + cred.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + cred.SecretAccessKey, "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null",
		"AWS_EC2_METADATA_DISABLED=true",
	}
	m.run = start(r.t, env, "agent", "--config-data", m.conf.ConfigData(), "--data-dir", m.dir, "--log-format", "json", "--log-level", r.log)
}

// kill ends a process as SIGKILL does and waits until it is gone.
func (p *program) kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// other is the agent beside the named one.
func (r *ring) other(name string) *member {
	if name == "a" {
		return r.agents["b"]
	}
	return r.agents["a"]
}

// holder is the agent that carries the deployment on: its own log says so last.
func (r *ring) holder(deployment string) *member {
	for _, m := range r.agents {
		holds := false
		for line := range strings.Lines(m.run.err.String()) {
			var e struct{ Msg, Deployment string }
			if json.Unmarshal([]byte(line), &e) == nil && e.Deployment == deployment {
				switch e.Msg {
				case "carrying on":
					holds = true
				case "carried on no longer", "finished":
					holds = false
				}
			}
		}
		select {
		case <-m.run.ended:
		default:
			if holds {
				return m
			}
		}
	}
	return nil
}

// ship commits the next version and gives the deployment that comes of it.
func (r *ring) ship(stages ...string) *penstockv1.Deployment {
	r.t.Helper()
	before := ""
	if d, err := r.newest(); err == nil {
		before = d.Id
	}
	r.version++
	files := map[string]string{"shop/taskdef.yaml": r.task(r.now())}
	if r.version == 1 {
		files["shop/app.pipecd.yaml"] = kit.AppFile("shop", r.route, stages...)
		files["shop/servicedef.yaml"] = kit.ServiceFile(r.stage.ARN, "shop", 3)
	}
	_, err := r.git.Commit(r.t.Context(), repo, "main", "Ship "+r.now(), files, git.Signature{Name: "Ring", Email: "ring@localhost"})
	must(r.t, err)
	_ = kit.Push(r.t.Context(), r.server.url, project, r.hook, r.remote) // agents poll as well
	return await(r.t, 60*time.Second, "a deployment of "+r.now(), func() (*penstockv1.Deployment, error) {
		d, err := r.newest()
		if err == nil && d.Id == before {
			err = errors.New("the newest is still " + before)
		}
		return d, err
	})
}

func (r *ring) now() string { return fmt.Sprintf("v%d", r.version) }

// newest is the newest deployment.
func (r *ring) newest() (*penstockv1.Deployment, error) {
	ctx, cancel := context.WithTimeout(r.t.Context(), 5*time.Second)
	defer cancel()
	res, err := r.api.Deployments.ListDeployments(ctx, connect.NewRequest(&penstockv1.ListDeploymentsRequest{Page: &penstockv1.PageRequest{PageSize: 1}}))
	if err != nil {
		return nil, err
	}
	if len(res.Msg.Deployments) == 0 {
		return nil, errors.New("there is no deployment yet")
	}
	return r.get(res.Msg.Deployments[0].Id)
}

func (r *ring) get(id string) (*penstockv1.Deployment, error) {
	res, err := r.read(id)
	if err != nil {
		return nil, err
	}
	return res.Deployment, nil
}

func (r *ring) read(id string) (*penstockv1.GetDeploymentResponse, error) {
	ctx, cancel := context.WithTimeout(r.t.Context(), 5*time.Second)
	defer cancel()
	res, err := r.api.Deployments.GetDeployment(ctx, connect.NewRequest(&penstockv1.GetDeploymentRequest{DeploymentId: id}))
	if err != nil {
		return nil, err
	}
	return res.Msg, nil
}

// reach waits until the running stage of a deployment is as wished; one that ends before fails the test.
func (r *ring) reach(id, what string, within time.Duration, ok func(d *penstockv1.Deployment, running *penstockv1.Stage) bool) *penstockv1.Deployment {
	r.t.Helper()
	deadline := time.Now().Add(within)
	for {
		d, err := r.get(id)
		if err == nil {
			i := slices.IndexFunc(d.Stages, func(s *penstockv1.Stage) bool { return s.Status == "RUNNING" })
			var running *penstockv1.Stage
			if i >= 0 {
				running = d.Stages[i]
			}
			if ok(d, running) {
				return d
			}
			if d.FinishedAt != nil {
				r.t.Fatalf("%s: the deployment has ended as %s before, reason %s, failed %s, stages %v", what, d.Display, d.GetReason().GetText(), d.GetFailed().GetText(), stages(d))
			}
			err = fmt.Errorf("%s, stages %v", d.Display, stages(d))
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("%s: not within %s: %v", what, within, err)
		}
		time.Sleep(50 * time.Millisecond) // a real process on the other side: there is no event to wait for
	}
}

// ends waits for the end of a deployment and wants it to be a success that answers.
func (r *ring) ends(id string, within time.Duration) {
	r.t.Helper()
	r.reach(id, "the end of "+r.now(), within, func(d *penstockv1.Deployment, _ *penstockv1.Stage) bool { return d.Display == "SUCCESS" })
	onlyVersion(r.t, r.cloud.Router().Addr(r.route.Listener), r.now(), 15*time.Second)
}

// first deploys the first version, and begins the users' requests.
func (r *ring) first() {
	r.t.Helper()
	d := r.ship(canaryStages...)
	r.ends(d.Id, 90*time.Second)
	r.users = newUsers(r.t, "http://"+r.cloud.Router().Addr(r.route.Listener)+"/")
}

// weights are those that the API shows, in percent: primary and canary.
func (r *ring) weights() (primary, canary int) {
	for _, rule := range r.cloud.ELB().Routes(r.route.Listener).Rules {
		if !rule.Default || rule.Action.Forward == nil {
			continue
		}
		for _, g := range rule.Action.Forward.Groups {
			switch g.ARN {
			case r.route.Primary:
				primary = g.Weight
			case r.route.Canary:
				canary = g.Weight
			}
		}
	}
	return primary, canary
}

// account compares what there is in the cloud, and what was ever made there, with the ledgers of all deployments.
func (r *ring) account() {
	t := r.t
	t.Helper()
	ledger := map[string]string{} // state by object
	res, err := r.api.Deployments.ListDeployments(t.Context(), connect.NewRequest(&penstockv1.ListDeploymentsRequest{Page: &penstockv1.PageRequest{PageSize: 200}}))
	must(t, err)
	for _, d := range slices.Backward(res.Msg.Deployments) { // oldest first: a later one removes what an earlier one kept
		got, err := r.read(d.Id)
		must(t, err)
		for _, o := range got.Ledger {
			ledger[base(o.Id)] = o.State
			if o.State != "REMOVED" && o.State != "KEPT" {
				t.Errorf("%s %s of the finished deployment %s is %s in its ledger", o.Type, o.Id, d.Id, o.State)
			}
		}
	}
	for id := range r.calls.made() {
		if ledger[id] == "" {
			t.Errorf("task set %s was made and is in no ledger", id)
		}
	}
	for _, arn := range r.revisions() {
		if ledger[base(arn)] == "" {
			t.Errorf("task definition %s is there and in no ledger", arn)
		}
	}
	for _, c := range r.cloud.ECS().Dump().Clusters {
		for _, s := range c.Services {
			if len(s.TaskSets) != 1 {
				t.Errorf("service %s has %d task sets at the end, want the primary alone: %+v", s.Name, len(s.TaskSets), s.TaskSets)
			}
			for _, set := range s.TaskSets {
				if ledger[base(set.ID)] != "KEPT" {
					t.Errorf("task set %s is there and the ledgers say %q", set.ID, ledger[base(set.ID)])
				}
			}
		}
	}
}

// revisions are the task definitions that may be used.
func (r *ring) revisions() []string {
	out, err := awsecs.NewFromConfig(r.cloud.AWSConfig()).ListTaskDefinitions(r.t.Context(), &awsecs.ListTaskDefinitionsInput{})
	must(r.t, err)
	return out.TaskDefinitionArns
}

// base is the last part of an ARN.
func base(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }

// call is one call of the cloud's API.
type call struct {
	at    time.Time
	agent string
	op    string
	token string
	made  string // id of the task set that it answered with
}

// write tells whether it may change something.
func (c call) write() bool {
	return !strings.HasPrefix(c.op, "Describe") && !strings.HasPrefix(c.op, "List") && !strings.HasPrefix(c.op, "Get")
}

// callLog stands before the cloud and notes who calls what. It counts what took effect, also when the caller never heard of it.
type callLog struct {
	cloud http.Handler
	mu    sync.Mutex
	list  []call
	sets  map[string]string // token by task set
	hook  func(call)        // told before a write is carried out
}

// endpoint is an address of the cloud for one agent alone.
func (l *callLog) endpoint(t *testing.T, agent string) string {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { l.serve(agent, w, req) }))
	t.Cleanup(srv.Close)
	return srv.URL
}

func (l *callLog) serve(agent string, w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(io.LimitReader(req.Body, 1<<20))
	if err != nil {
		return
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	c := call{agent: agent, op: operation(req, body)}
	var in struct{ ClientToken string }
	_ = json.Unmarshal(body, &in) // the query protocol has none
	c.token = in.ClientToken
	l.mu.Lock()
	hook := l.hook
	l.mu.Unlock()
	if hook != nil && c.write() {
		hook(c)
	}
	answer := httptest.NewRecorder()
	// What has arrived is carried out, also when the caller is dead by then: the successor has to find it.
	l.cloud.ServeHTTP(answer, req.WithContext(context.WithoutCancel(req.Context())))
	c.at = time.Now()
	if c.op == "CreateTaskSet" && answer.Code == http.StatusOK {
		var out struct{ TaskSet struct{ ID string } }
		_ = json.Unmarshal(answer.Body.Bytes(), &out)
		c.made = base(out.TaskSet.ID)
	}
	l.note(c)
	for k, v := range answer.Header() {
		w.Header()[k] = v
	}
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes())
}

func operation(req *http.Request, body []byte) string {
	if target := req.Header.Get("X-Amz-Target"); target != "" {
		return target[strings.LastIndexByte(target, '.')+1:]
	}
	form, _ := url.ParseQuery(string(body))
	return form.Get("Action")
}

func (l *callLog) note(c call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, c)
	if c.made != "" {
		l.sets[c.made] = c.token
	}
}

// on sets what is told of a write before it is carried out; nil ends it.
func (l *callLog) on(f func(call)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hook = f
}

// made are the task sets that were ever made, with the token of each.
func (l *callLog) made() map[string]string {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := map[string]string{}
	for id, token := range l.sets {
		out[id] = token
	}
	return out
}

// twice lists tokens under which more than one task set was made.
func (l *callLog) twice() []string {
	seen, out := map[string]int{}, []string(nil)
	for _, token := range l.made() {
		if seen[token]++; seen[token] == 2 {
			out = append(out, token)
		}
	}
	return out
}

// firstWrite is the first write of an agent behind an instant.
func (l *callLog) firstWrite(agent string, after time.Time) (call, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.list {
		if c.agent == agent && c.at.After(after) && c.write() {
			return c, nil
		}
	}
	return call{}, errors.New("it has written nothing")
}

// writes counts the writes of all agents between two instants.
func (l *callLog) writes(from, to time.Time) []call {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []call
	for _, c := range l.list {
		if c.write() && c.at.After(from) && c.at.Before(to) {
			out = append(out, c)
		}
	}
	return out
}

// users send requests at a steady pace and count what they were answered.
type users struct {
	t    *testing.T
	stop context.CancelFunc
	wg   sync.WaitGroup

	mu       sync.Mutex
	total    int
	failed   int
	problems []string
	answers  map[string]int
}

const usersAtOnce = 6

func newUsers(t *testing.T, url string) *users {
	ctx, stop := context.WithCancel(context.Background())
	u := &users{t: t, stop: stop, answers: map[string]int{}}
	hc := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: usersAtOnce}}
	for range usersAtOnce {
		u.wg.Go(func() {
			tick := time.NewTicker(usersAtOnce * 20 * time.Millisecond) // fifty requests a second together
			defer tick.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
					u.one(hc, url)
				}
			}
		})
	}
	t.Cleanup(func() { u.end() })
	return u
}

func (u *users) one(hc *http.Client, url string) {
	version, problem := "", ""
	res, err := hc.Get(url)
	if err == nil {
		var body struct{ Version string }
		err = errors.Join(json.NewDecoder(io.LimitReader(res.Body, 64<<10)).Decode(&body), res.Body.Close())
		version = body.Version
		if res.StatusCode != http.StatusOK {
			problem = res.Status
		}
	}
	if err != nil {
		problem = strings.TrimSpace(problem + " " + err.Error())
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.total++
	u.answers[version]++
	if problem != "" {
		u.failed++
		u.problems = append(u.problems, time.Now().Format("15:04:05.000 ")+problem)
	}
}

func (u *users) end() { u.stop(); u.wg.Wait() }

// sum ends the requests and fails the test when one was not answered.
func (u *users) sum() (total, failed int) {
	u.end()
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.failed > 0 {
		u.t.Errorf("%d of %d requests failed; the first: %s", u.failed, u.total, strings.Join(u.problems[:min(5, len(u.problems))], "; "))
	}
	return u.total, u.failed
}

// figures prints what a test did and measured as one line of JSON.
func figures(t *testing.T, v map[string]any) {
	t.Helper()
	b, err := json.Marshal(v)
	must(t, err)
	fmt.Println(string(b))
}
