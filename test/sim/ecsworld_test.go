package sim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/penstock-cd/penstock/internal/agent"
	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/git"
	"github.com/penstock-cd/penstock/internal/localcloud"
	"github.com/penstock-cd/penstock/internal/localcloud/runtime/memory"
	"github.com/penstock-cd/penstock/test/world"
)

// ecsSimulation is one random world on ECS: the application web, and sometimes
// api beside it, whose service stands behind the same target groups.
type ecsSimulation struct {
	simulation
	rough bool // tasks die and weights are changed by others: users may feel that
	heads []string

	lambda bool     // functions in place of services
	native string   // the strategy of services of the controller ECS, "" for EXTERNAL
	bodies []string // pipelines that versions are deployed with
	writes []string // that faults of calls meet
}

// simulateECS runs one world on ECS and reports what it finds.
func simulateECS(t *testing.T, seed uint64, p plan) []string {
	s := &ecsSimulation{simulation: simulation{t: t, seed: seed, r: rand.New(rand.NewPCG(seed, 0xec5)), apps: []string{"web"}, agents: 2 + int(seed%2)}}
	s.rough = s.r.IntN(6) == 0 && !p.built()
	if s.bodies, s.writes = ecsPipelines, ecsWrites; p.native != "" {
		s.native, s.bodies, s.writes = p.native, nativePipelines[p.native], nativeWrites
	}
	if p.lambda {
		s.lambda, s.rough, s.bodies, s.writes = true, false, lambdaPipelines, lambdaWrites
	}
	opt := world.Options{Agents: s.agents, AWS: true, AWSOptions: s.cloud(p), WrapPlatform: p.platform}
	if p.wrap != nil {
		opt.WrapLink = func(pr *world.Process, l agent.Link) agent.Link { return p.wrap(s.w)(pr, l) }
	}
	if s.r.IntN(3) == 0 {
		opt.Skew = skewed(seed)
	}
	opt.Made = func(w *world.World) { s.take(w, p) }
	s.w = world.New(t, opt)
	defer s.w.Close()
	if p.prepare != nil {
		p.prepare(s.w)
	}
	s.begin = time.Now()
	s.w.InterceptAWS(s.beforeCall, s.afterCall)
	s.w.OnCommit(s.commit)
	if s.r.IntN(4) == 0 && s.native == "" {
		live := s.w.AWS.Live
		if s.lambda {
			live = s.w.AWS.LiveFunction
		}
		if err := live(context.Background(), "web", "v0"); err != nil {
			t.Fatal(err)
		}
		s.w.Tick(40*time.Second + opt.AWSOptions.Profile.ReadLag) // a service that nobody can see yet is no service to take over
		s.w.AWS.Good()
	}
	if (s.r.IntN(3) == 0 || p.twin) && s.native == "" {
		s.apps = append(s.apps, "api")
	}
	s.pushECS("web")
	for time.Since(s.begin) < faultTime && len(s.w.Problems()) == 0 {
		s.w.Tick(time.Duration(s.r.IntN(20000)) * time.Millisecond)
		if n := s.r.IntN(4); p.deaths && n > 0 {
			s.arm(&trap{left: n, cloud: true, after: true, down: 20 * time.Second})
		}
		s.actECS()
		s.check()
	}
	s.calmECS()
	simulated.Add(int64(time.Since(s.begin)))
	return s.w.Problems()
}

// cloud draws a local cloud.
func (s *ecsSimulation) cloud(p plan) world.AWSOptions {
	pick := func(ds ...time.Duration) time.Duration { return ds[s.r.IntN(len(ds))] }
	prof := localcloud.Profile{
		Name: "random", Nodes: 1 + s.r.IntN(3), Latency: time.Duration(s.r.IntN(80)) * time.Millisecond, Watch: 2 * time.Second,
		WeightLagMax: pick(0, 10*time.Second, 60*time.Second), ReadLag: pick(0, 0, 10*time.Second, 60*time.Second),
	}
	o := world.AWSOptions{FromGood: true, Seed: s.seed, Every: 500 * time.Millisecond, Settle: max(30*time.Second, prof.WeightLagMax+5*time.Second)}
	if p.built() {
		prof.WeightLagMin, prof.WeightLagMax, prof.Nodes, prof.ReadLag = 5*time.Second, 20*time.Second, 2, 0
		o.Settle = 30 * time.Second
	}
	if p.settle > 0 {
		o.Settle = p.settle
	}
	o.Profile, s.lag = prof, prof.ReadLag
	return o
}

var ecsPipelines = []string{noPipeline, world.ArticleCanary, world.ArticleCanary, ecsBlueGreen, `  timeout: 30m
  pipeline:
    stages:
    - name: ECS_CANARY_ROLLOUT
      with: {scale: 50}
    - name: ECS_TRAFFIC_ROUTING
      with: {canary: 30}
    - name: WAIT_APPROVAL
      with: {timeout: 3m}
    - name: ECS_PRIMARY_ROLLOUT
    - name: ECS_TRAFFIC_ROUTING
      with: {primary: 100}
    - name: ECS_CANARY_CLEAN
`}

// pushECS commits a new image with a behaviour by chance.
func (s *ecsSimulation) pushECS(app string) {
	if s.touch(app) {
		s.heads = append(s.heads, s.touched)
		return
	}
	s.version++
	image := fmt.Sprintf("v%d", s.version)
	b := memory.Behaviour{StartDelay: time.Duration(s.r.IntN(20)) * time.Second, HealthyAfter: time.Duration(s.r.IntN(20)) * time.Second}
	switch s.r.IntN(10) {
	case 0:
		b.HealthyAfter = -1
	case 1:
		// One that turns sick when it is all there is hurts users, whoever deploys it.
		if after := time.Duration(45+s.r.IntN(90)) * time.Second; s.rough {
			b.UnhealthyAfter = after
		}
	case 2:
		b.FailToStart = true
	case 3:
		if s.rough {
			b.ExitAfter, b.ExitCode = time.Duration(30+s.r.IntN(120))*time.Second, 1
		}
	}
	if s.lambda { // nobody checks the health of a function: one that fails is for metrics to find
		b.HealthyAfter = 0
	}
	s.w.AWS.Behave(image, b)
	body := s.bodies[s.r.IntN(len(s.bodies))]
	if app != "web" {
		body = noPipeline
	}
	if !strings.Contains(body, "timeout: 30m") {
		body = "  timeout: 30m\n" + body
	}
	if s.native != "" {
		s.heads = append(s.heads, s.w.CommitNative(app, image, s.native, body))
		return
	}
	if s.lambda {
		s.heads = append(s.heads, s.w.CommitLambda(app, image, body))
		return
	}
	s.heads = append(s.heads, s.w.CommitECS(app, image, body))
}

// ecsWrites are the writes that faults of calls meet.
var ecsWrites = []string{"ecs.CreateTaskSet", "ecs.UpdateTaskSet", "ecs.DeleteTaskSet", "ecs.UpdateServicePrimaryTaskSet", "ecs.RegisterTaskDefinition", "elasticloadbalancing.ModifyListener", "ecs.CreateService"}

// actECS does one thing to the world.
func (s *ecsSimulation) actECS() {
	app := s.apps[s.r.IntN(len(s.apps))]
	what, n, flag := s.r.IntN(30), s.r.IntN(1000), s.r.IntN(2) == 0
	d := time.Duration(1+s.r.IntN(60)) * time.Second
	write := s.writes[n%len(s.writes)]
	switch what {
	case 0, 1, 2:
		s.pushECS(app)
	case 3, 4, 5:
		s.person(app, n)
	case 6, 7, 8:
		s.arm(&trap{left: n % 8, cloud: n%2 == 0, after: flag, server: n%3 == 0, down: d})
	case 9, 10:
		s.process(n, flag, d)
	case 11, 12:
		s.partitions(n, flag, d)
	case 13:
		s.call("call throttled", localcloud.Fault{Operation: "*", Code: "ThrottlingException", Message: "Rate exceeded", Count: 1 + n%20})
	case 14:
		s.call("call slow", localcloud.Fault{Operation: "*", Latency: localcloud.Duration(time.Duration(500+n*3) * time.Millisecond), Count: 1 + n%10})
	case 15:
		s.call("call fails", localcloud.Fault{Operation: "*", Code: "ServerException", Message: "Service Unavailable", Status: 500, Count: 1 + n%10})
	case 16, 17:
		s.call("success returned as time-out", localcloud.Fault{Operation: write, LostResponse: true, Count: 1 + n%2})
	case 18, 19:
		s.call("applied after its time-out", localcloud.Fault{Operation: write, AppliedLate: localcloud.Duration(d), Count: 1})
	case 20:
		s.call("credentials expired", localcloud.Fault{Operation: "*", Code: "ExpiredTokenException", Message: "The security token included in the request is expired", Status: 403, Count: 1 + n%5})
	case 21, 22:
		s.git(n, d)
	case 23:
		s.approveAndCancel(app)
	case 24:
		if s.rough {
			s.interfere(n)
		}
	case 25, 26:
		s.machine(n%5, n, flag, d)
	case 27:
		injected("answers in part")
		s.w.Partial(d, flag)
	case 28:
		if n%4 == 0 {
			s.rewind(n, d)
		}
	}
}

// call injects a fault of the local cloud.
func (s *ecsSimulation) call(kind string, f localcloud.Fault) {
	injected(kind)
	if f.LostResponse || f.AppliedLate > 0 {
		s.w.AWS.Doubt(f.Count)
	}
	s.w.Note("%s: %s, %d times, %s", kind, f.Operation, f.Count, max(f.Latency.D(), f.AppliedLate.D()))
	if _, err := s.w.AWS.Cloud.Inject(f); err != nil {
		s.t.Fatal(err)
	}
}

func (s *ecsSimulation) process(n int, flag bool, d time.Duration) {
	p := s.some(n)
	if p == nil {
		return
	}
	switch n % 4 {
	case 0:
		injected("agent dies")
		p.Kill()
		s.replace(d)
	case 1:
		injected("agent stops")
		s.w.Go(p.Stop)
		s.replace(d)
	case 2:
		injected("one more agent")
		s.replace(time.Second)
	default:
		injected("agent stands still")
		s.w.AWS.Doubt(1)
		if flag {
			d = 10 * time.Minute
		}
		p.Freeze(d)
	}
}

func (s *ecsSimulation) partitions(n int, flag bool, d time.Duration) {
	p := s.some(n)
	if p == nil {
		return
	}
	switch n % 4 {
	case 0:
		injected("server dies")
		s.w.StopServer(d)
	case 1:
		injected("partition from the server")
		s.w.Note("link of %s cut, silent %v, for %s", p.Name, flag, d)
		p.Link.Cut(flag)
		time.AfterFunc(d, p.Link.Mend)
	case 2:
		injected("partition from the server, answers only")
		s.w.Note("answers to %s lost for %s", p.Name, d)
		p.Link.CutAnswers()
		time.AfterFunc(d, p.Link.Mend)
	default:
		injected("partition from the cloud")
		s.w.AWS.Doubt(1)
		p.CutCloud(flag, d)
	}
}

func (s *ecsSimulation) git(n int, d time.Duration) {
	r := s.w.Repos["main"]
	switch n % 4 {
	case 0:
		injected("git force-pushed")
		sha := s.heads[n%len(s.heads)]
		s.w.Note("force push to %.7s", sha)
		if err := r.ForcePush("main", sha); err != nil {
			s.t.Fatal(err)
		}
	case 1:
		injected("git branch deleted")
		s.w.Note("branch deleted for %s", d)
		r.DeleteBranch("main")
		head := s.heads[len(s.heads)-1]
		time.AfterFunc(d, func() { _ = r.ForcePush("main", head) })
	case 2:
		injected("git host down")
		s.w.Note("git host down for %s", d)
		r.Fail(git.ErrUnreachable)
		time.AfterFunc(d, func() { r.Fail(nil) })
	default:
		injected("git answers an old ref")
		r.AnswerOld(1 + n%5)
	}
}

// approveAndCancel lets two people decide in the same instant.
func (s *ecsSimulation) approveAndCancel(app string) {
	if !s.w.Up() {
		return
	}
	all := s.w.Deployments(app)
	if len(all) == 0 {
		return
	}
	d := all[len(all)-1]
	i := d.Current()
	if i < 0 {
		return
	}
	injected("approve and cancel at once")
	s.w.Go(func() { s.answer(s.w.Decide("approve", "ann", d.ID, d.Stages[i].ID)) })
	s.w.Go(func() { s.answer(s.w.Cancel("bob", d.ID, "")) })
}

// answer takes any refusal, but no internal error.
func (s *ecsSimulation) answer(err error) {
	if deploy.CodeOf(err) == deploy.CodeInternal {
		s.w.Problemf("a person got an internal error: %v", err)
	}
}

// interfere does what others do to the cloud.
func (s *ecsSimulation) interfere(n int) {
	if n%2 == 0 {
		injected("weights changed by somebody else")
		s.w.Note("weights changed to %d/%d", 100-n%40, n%40)
		if err := s.w.AWS.SetWeights(int32(100-n%40), int32(n%40)); err != nil {
			s.w.Note("not changed: %v", err) // other faults meet this call too
		}
		return
	}
	if id := s.w.AWS.Flap(n, 15*time.Second); id != "" {
		injected("target flaps")
		s.w.Note("task %s is unhealthy for 15s", id)
	}
}

func (s *ecsSimulation) beforeCall(x world.AWSCall) bool {
	if !x.Write {
		return true
	}
	tr := s.spring(true, false)
	if tr == nil {
		return true
	}
	s.w.Note("death before %s", x)
	return s.die(tr, x.By)
}

func (s *ecsSimulation) afterCall(x world.AWSCall) {
	if !x.Write {
		return
	}
	if tr := s.spring(true, true); tr != nil {
		s.w.AWS.Doubt(1)
		s.w.Note("death after %s", x)
		s.die(tr, x.By)
	}
}

// check looks at the record and at the cloud.
func (s *ecsSimulation) check() {
	s.w.CheckRecord(&s.memory)
	if s.w.Up() {
		if !s.restored {
			s.w.CheckHolds()
		}
		for _, d := range s.w.Deployments("web") {
			if d.End == deploy.EndDeclared {
				s.w.AWS.Good()
			}
		}
	}
	if !s.rough {
		s.w.CheckAWS()
		s.w.CheckUsers()
	}
}

// calmECS stops the faults: every run must end within its deadlines.
func (s *ecsSimulation) calmECS() {
	s.w.Note("faults stop")
	s.arm(nil)
	s.w.AWS.Cloud.ClearFaults()
	s.w.Repair()
	s.w.Tick(61 * time.Second)
	s.w.Repos["main"].Fail(nil)
	s.w.StartServer()
	for _, p := range s.w.Live() {
		p.Link.Mend()
		p.Freeze(0)
	}
	if len(s.w.Live()) == 0 {
		s.replace(time.Second)
	}
	open := s.rest()
	switch {
	case !s.w.Up():
		s.w.Problemf("the server is down although nothing stopped it")
	case open > 0 && len(s.w.Problems()) == 0:
		s.w.Problemf("%d deployments have not ended 70 minutes after the faults stopped", open)
	case len(s.w.Problems()) == 0:
		s.count()
		s.memory.Again()
		s.check()
		s.w.CheckEnds()
		if !s.rough {
			s.checkAttention()
		}
	}
	if len(s.w.Problems()) > 0 && !quiet(s.t) {
		s.t.Errorf("seed %d: replay with PENSTOCK_SIM_SEED=%d", s.seed, s.seed)
		report(s.t, s.w, strings.Join(s.w.Problems(), "\n"))
	}
}
