package sim

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/penstock-cd/penstock/internal/agent"
	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/engine"
	"github.com/penstock-cd/penstock/internal/platform"
	"github.com/penstock-cd/penstock/internal/platform/fake"
	"github.com/penstock-cd/penstock/test/world"
)

// faultTime is how long faults are injected into a random world: two or three
// deployments of each application, one after the other. More worlds find more
// than longer ones.
const faultTime = 9 * time.Minute

// defaultSeeds is how many worlds an ordinary test run looks at.
const defaultSeeds = 2

// thorough reports whether the simulator was asked for: then every crash point
// and every planted fault is tried, else a part of them.
func thorough() bool {
	return os.Getenv("PENSTOCK_SIM_FOR") != "" || os.Getenv("PENSTOCK_SIM_SEEDS") != ""
}

var (
	seedsRun  atomic.Int64
	simulated atomic.Int64 // nanoseconds
	planted   atomic.Int64
	plantedOf atomic.Int64
	mutants   atomic.Int64 // caught, of mutantsOf
	mutantsOf atomic.Int64
)

// cpuSeconds is what this process has used of the processors, 0 where that cannot be told.
func cpuSeconds() float64 {
	s := []metrics.Sample{{Name: "/cpu/classes/user:cpu-seconds"}}
	runtime.GC() // brings the figure up to date
	metrics.Read(s)
	if s[0].Value.Kind() != metrics.KindFloat64 {
		return 0
	}
	return s[0].Value.Float64()
}

func TestMain(m *testing.M) {
	debug.SetGCPercent(400) // memory is there, and a fifth of the time is saved
	code := m.Run()
	if _, _, ok := shard(); ok {
		tellCounts()
		os.Exit(code)
	}
	var kinds []string
	faults.Range(func(kind, n any) bool {
		kinds = append(kinds, fmt.Sprintf("%s: %d", kind, n.(*atomic.Int64).Load()))
		return true
	})
	slices.Sort(kinds)
	if len(kinds) > 0 {
		fmt.Printf("faults injected: %s\n", strings.Join(kinds, ", "))
	}
	if n, used := deployments.Load(), cpuSeconds()+time.Duration(childCPU.Load()).Seconds(); n > 0 && used > 0 {
		fmt.Printf("simulated deployments: %d, %.1f per CPU second\n", n, float64(n)/used)
	}
	fmt.Printf("seeds=%d simulated_hours=%.1f crash_points=%d planted=%d/%d mutants=%d/%d\n",
		seedsRun.Load(), time.Duration(simulated.Load()).Hours(), crashPoints.Load(), planted.Load(), plantedOf.Load(), mutants.Load(), mutantsOf.Load())
	os.Exit(code)
}

// replayed is the seed that was asked for, 0 for none.
func replayed() uint64 {
	s, err := strconv.ParseUint(os.Getenv("PENSTOCK_SIM_SEED"), 10, 64)
	if err != nil {
		return 0
	}
	return s
}

// onlySeeds skips a test when one seed is to be replayed.
func onlySeeds(t *testing.T) {
	t.Helper()
	if replayed() > 0 && os.Getenv("PENSTOCK_SIM_SEEDS") == "" {
		t.Skip("one seed is replayed")
	}
}

// TestSimulator runs worlds drawn from seeds.
func TestSimulator(t *testing.T) {
	first, seeds, limit := uint64(1), defaultSeeds, time.Duration(0)
	if text := os.Getenv("PENSTOCK_SIM_FOR"); text != "" {
		var err error
		if limit, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
		first, seeds = uint64(time.Now().UnixNano()), 1<<30
	}
	if s := replayed(); s > 0 {
		if first = s; limit == 0 {
			seeds = 1
		}
	}
	if n, err := strconv.Atoi(os.Getenv("PENSTOCK_SIM_SEEDS")); err == nil && n > 0 {
		seeds, limit = n, 0
	}
	n, of, sharded := shard()
	switch {
	case !sharded && seeds > 1 && runtime.GOMAXPROCS(0) > 1:
		spread(t, first)
		return
	case !sharded:
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	}
	end := time.Now().Add(limit)
	for seed := first; seed < first+uint64(seeds) && (limit == 0 || time.Now().Before(end)); seed++ {
		if seed/2%of != n { // in pairs, because every other world is on ECS and takes longer
			continue
		}
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			inWorld(t, func(t *testing.T) { run(t, seed, plan{}) })
		})
		seedsRun.Add(1)
	}
}

// plan is what is built in on purpose.
type plan struct {
	mistake fake.Mistake
	wrap    func(*world.World) func(*world.Process, agent.Link) agent.Link
	prepare func(*world.World)
	deaths  bool // agents die more often, right after a write to the cloud

	made   func(*world.World) // is told the world
	ecs    bool               // in worlds on ECS
	twin   bool               // with a second application behind the same groups
	native string             // with services of the controller ECS of this strategy
	lambda bool               // functions in place of services
	settle time.Duration      // of the agents' provider
	// platform stands between agents and a platform, in worlds on ECS.
	platform func(*world.Process, platform.Platform) platform.Platform
}

// built reports whether anything is built in on purpose.
func (p plan) built() bool {
	return p.mistake != "" || p.wrap != nil || p.prepare != nil || p.settle > 0 || p.platform != nil
}

// run runs the world of a seed: even ones are on ECS.
func run(t *testing.T, seed uint64, p plan) []string {
	if p.ecs || !p.built() && seed%2 == 0 {
		return simulateECS(t, seed, p)
	}
	return simulate(t, seed, p)
}

var (
	deployments atomic.Int64 // that were simulated
	faults      sync.Map     // *atomic.Int64 by kind
)

// injected counts a fault by kind.
func injected(kind string) { injectedN(kind, 1) }

func injectedN(kind string, times int64) {
	n, _ := faults.LoadOrStore(kind, new(atomic.Int64))
	n.(*atomic.Int64).Add(times)
}

// simulation is one random world.
type simulation struct {
	t        *testing.T
	seed     uint64
	r        *rand.Rand
	w        *world.World
	memory   world.Memory
	apps     []string
	version  int
	agents   int
	begin    time.Time
	lag      time.Duration // of reads of the cloud
	restored bool          // a backup was restored: what is live may need a person
	touched  string        // newest commit that changes nothing that is deployed

	mu    sync.Mutex
	armed *trap
}

// trap is a death or a fault that waits for a write.
type trap struct {
	left   int // writes to let pass
	cloud  bool
	after  bool
	server bool
	late   time.Duration // instead of a death: success returned as a time-out
	down   time.Duration
}

// simulate runs one world and reports what it finds.
func simulate(t *testing.T, seed uint64, p plan) (problems []string) {
	s := &simulation{t: t, seed: seed, r: rand.New(rand.NewPCG(seed, 0x5eed)), apps: []string{"web", "api"}, agents: 2 + int(seed%2)}
	lag := time.Duration(s.r.IntN(9)) * time.Second
	opt := world.Options{Agents: s.agents, Latency: time.Duration(s.r.IntN(80)) * time.Millisecond, RouteLag: lag, Mistake: p.mistake}
	if p.wrap != nil {
		opt.WrapLink = func(pr *world.Process, l agent.Link) agent.Link { return p.wrap(s.w)(pr, l) }
	}
	if p.built() {
		opt.RouteLag = 8 * time.Second
	}
	opt.Made = func(w *world.World) { s.take(w, p) }
	s.w = world.New(t, opt)
	defer s.w.Close()
	if p.prepare != nil {
		p.prepare(s.w)
	}
	s.begin = time.Now()
	s.w.InterceptCloud(s.before, s.after)
	s.w.OnCommit(s.commit)
	for _, a := range s.apps {
		s.push(a)
	}
	for time.Since(s.begin) < faultTime && len(s.w.Problems()) == 0 {
		s.w.Tick(time.Duration(s.r.IntN(20000)) * time.Millisecond)
		if n := s.r.IntN(4); p.deaths && n > 0 {
			s.arm(&trap{left: n, cloud: true, after: true, down: 20 * time.Second})
		}
		s.act()
		s.w.CheckRecord(&s.memory)
		s.w.CheckCloud()
	}
	s.calm()
	simulated.Add(int64(time.Since(s.begin)))
	return s.w.Problems()
}

// take is told the world before anything runs in it.
func (s *simulation) take(w *world.World, p plan) {
	s.w = w
	if p.made != nil {
		p.made(w)
	}
}

var pipelines = []string{noPipeline, shortCanary, shortCanary, blueGreen, `  timeout: 30m
  pipeline:
    stages:
    - name: FAKE_CANARY_ROLLOUT
    - name: FAKE_TRAFFIC_ROUTING
      with: {canary: 30}
    - name: WAIT_APPROVAL
      with: {timeout: 3m}
    - name: FAKE_PRIMARY_ROLLOUT
    - name: FAKE_TRAFFIC_ROUTING
      with: {primary: 100}
    - name: WAIT
      with: {duration: 40s}
    - name: FAKE_CANARY_CLEAN
`}

// push commits a new version of an application with orders by chance.
func (s *simulation) push(app string) {
	if s.touch(app) {
		return
	}
	s.version++
	set := map[string]string{"version": fmt.Sprintf("v%d", s.version), "startAfter": fmt.Sprintf("%ds", s.r.IntN(20)), "give": "60"}
	switch s.r.IntN(10) {
	case 0:
		set["neverHealthy"] = "true"
	case 1:
		set["unhealthyAfter"] = fmt.Sprintf("%ds", 25+s.r.IntN(60))
	case 2:
		stages := []string{"FAKE_CANARY_ROLLOUT/ready", "FAKE_TRAFFIC_ROUTING/verify", "FAKE_PRIMARY_ROLLOUT/promote", "FAKE_PRIMARY_ROLLOUT/retire", "FAKE_CANARY_CLEAN/finish", "FAKE_SYNC/promote"}
		set["failAt"] = stages[s.r.IntN(len(stages))]
	}
	body := pipelines[s.r.IntN(len(pipelines))]
	if !strings.Contains(body, "timeout: 30m") {
		body = "  timeout: 30m\n" + body
	}
	s.w.Commit("main", fmt.Sprintf("%s v%d %v", app, s.version, set["failAt"]), map[string]string{world.AppFile(app): world.FakeApp(app, set, body)})
}

// act does one thing to the world.
func (s *simulation) act() {
	app := s.apps[s.r.IntN(len(s.apps))]
	what, n, flag := s.r.IntN(20), s.r.IntN(1000), s.r.IntN(2) == 0
	d := time.Duration(1+s.r.IntN(60)) * time.Second
	switch what {
	case 0, 1, 2:
		s.push(app)
	case 3, 4, 5, 6:
		s.person(app, n)
	case 7, 8:
		s.arm(&trap{left: n % 12, cloud: n%2 == 0, after: flag, server: n%3 == 0, down: d})
	case 9:
		s.arm(&trap{left: n % 5, cloud: true, late: time.Duration(100+n*2) * time.Millisecond})
	case 10:
		if p := s.some(n); p != nil {
			injected("agent dies")
			p.Kill()
			s.replace(d)
		}
	case 11:
		if p := s.some(n); p != nil {
			injected("partition from the server")
			s.w.Note("link of %s cut, silent %v, for %s", p.Name, flag, d)
			p.Link.Cut(flag)
			time.AfterFunc(d, p.Link.Mend)
		}
	case 12:
		injected("server dies")
		s.w.StopServer(d)
	case 13:
		injected("call throttled")
		s.w.Note("cloud throttled for %s", d)
		s.w.Cloud.Fail(platform.Retryable(fmt.Errorf("rate exceeded"), time.Second))
		time.AfterFunc(d, func() { s.w.Cloud.Fail(nil) })
	case 14:
		if p := s.some(n); p != nil {
			injected("agent stops")
			s.w.Go(p.Stop)
			s.replace(d)
		}
	case 15, 16:
		s.machine(n%5, n, flag, d)
	case 17:
		if n%4 == 0 {
			s.rewind(n, d)
		}
	}
}

func (s *simulation) some(n int) *world.Process {
	if ps := s.w.Live(); len(ps) > 0 {
		return ps[n%len(ps)]
	}
	return nil
}

// replace starts another process after a while.
func (s *simulation) replace(after time.Duration) {
	s.agents++
	name := fmt.Sprintf("a%d", s.agents)
	time.AfterFunc(after, func() {
		if !s.w.Ended() {
			s.w.StartAgent(name)
		}
	})
}

// person does what a person could do to the newest deployment.
func (s *simulation) person(app string, n int) {
	if !s.w.Up() {
		return
	}
	all := s.w.Deployments(app)
	if len(all) == 0 {
		return
	}
	d := all[len(all)-1]
	stage := ""
	if i := d.Current(); i >= 0 {
		stage = d.Stages[i].ID
	}
	// Refusals are an answer too: the person may be too late or too early.
	var err error
	switch n % 8 {
	case 0:
		err = s.w.Cancel("bob", d.ID, "")
	case 1:
		err = s.w.Sync("bob", app, "")
	case 2:
		err = s.w.Decide("reject", "bob", d.ID, stage)
	case 3:
		err = s.w.Decide("skip", "bob", d.ID, stage)
	default:
		err = s.w.Decide("approve", "bob", d.ID, stage)
	}
	if deploy.CodeOf(err) == deploy.CodeInternal {
		s.w.Problemf("a person got an internal error: %v", err)
	}
}

func (s *simulation) arm(x *trap) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.armed = x
}

// spring takes the trap when its write has come.
func (s *simulation) spring(cloud, after bool) *trap {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.armed
	if x == nil || x.cloud != cloud || x.after != after {
		return nil
	}
	if x.left--; x.left >= 0 {
		return nil
	}
	s.armed = nil
	return x
}

func (s *simulation) before(x fake.Write) fake.Verdict {
	s.w.CheckWriter(x)
	tr := s.spring(true, false)
	switch {
	case tr == nil:
		return fake.Verdict{}
	case tr.late > 0:
		injected("applied after its time-out")
		s.w.Note("%s takes effect after %s and is never answered", x, tr.late)
		return fake.Verdict{Late: tr.late, Hang: true}
	}
	s.w.Note("death before %s", x)
	if s.die(tr, x.By) {
		return fake.Verdict{}
	}
	return fake.Verdict{Lose: true, Err: errDied}
}

func (s *simulation) after(x fake.Write) {
	if tr := s.spring(true, true); tr != nil {
		s.w.Note("death after %s", x)
		s.die(tr, x.By)
	}
}

func (s *simulation) commit(x world.Commit) {
	tr := s.spring(false, x.After)
	if tr == nil {
		return
	}
	s.w.Note("death at durable write %s, after %v", x.Labels, x.After)
	by := ""
	if p := s.w.Holder(); p != nil {
		by = p.Name
	}
	if s.die(tr, by) {
		panic("the process dies")
	}
}

// die lets the server (true) or an agent process die.
func (s *simulation) die(tr *trap, agent string) (server bool) {
	where, when := "durable write", "before"
	if tr.cloud {
		where = "cloud write"
	}
	if tr.after {
		when = "after"
	}
	if tr.server {
		injected("server dies " + when + " a " + where)
		s.w.StopServer(tr.down)
		return true
	}
	if p := s.w.Process(agent); p != nil {
		injected("agent dies " + when + " a " + where)
		p.Kill()
		s.mu.Lock()
		s.agents++
		name := fmt.Sprintf("a%d", s.agents)
		s.mu.Unlock()
		time.AfterFunc(tr.down, func() {
			if !s.w.Ended() {
				s.w.StartAgent(name)
			}
		})
	}
	return false
}

// calm stops the faults: every run must end within its deadlines, and leave
// what it promised.
func (s *simulation) calm() {
	s.w.Note("faults stop")
	s.arm(nil)
	s.w.Tick(61 * time.Second)
	s.w.Cloud.Fail(nil)
	s.w.Repair()
	s.w.StartServer()
	for _, p := range s.w.Live() {
		p.Link.Mend()
	}
	if len(s.w.Live()) == 0 {
		s.replace(time.Second)
	}
	if open := s.rest(); open > 0 {
		s.w.Problemf("%d deployments have not ended 70 minutes after the faults stopped", open)
	}
	if s.w.Up() {
		s.count()
		s.memory.Again()
		s.w.CheckRecord(&s.memory)
		s.w.CheckCloud()
		s.w.CheckEnds()
		if !s.restored {
			s.w.CheckHolds()
		}
		s.checkAttention()
	} else {
		s.w.Problemf("the server is down although nothing stopped it")
	}
	if s.t != nil && len(s.w.Problems()) > 0 && !quiet(s.t) {
		s.t.Errorf("seed %d: replay with PENSTOCK_SIM_SEED=%d", s.seed, s.seed)
		report(s.t, s.w, strings.Join(s.w.Problems(), "\n"))
	}
}

// rest waits until nothing is at work any more, and nothing has begun anew for
// half a minute and as long as reads lag, and tells how many deployments have not ended.
func (s *simulation) rest() (open int) {
	still := 0
	for range 70 * 6 { // the deadline of a deployment is 30 min, of its way back too
		s.w.Tick(10 * time.Second)
		if open = s.open(); open > 0 {
			still = 0
		} else if still++; still > 3+int(s.lag/(10*time.Second)) {
			break
		}
		if len(s.w.Problems()) > 0 {
			break
		}
	}
	return open
}

// count adds up the deployments of a world.
func (s *simulation) count() {
	for _, app := range s.apps {
		all := s.w.Deployments(app)
		deployments.Add(int64(len(all)))
		for _, d := range all {
			s.w.Note("%s of %s ended %s %s at %s after %d events", d.ID, app, d.Status, d.End, d.FinishedAt.Format(time.TimeOnly), d.Seq)
		}
	}
}

// checkAttention: nobody interferes in these worlds and nobody asks to stay half
// way, so no run may need a person at its end.
func (s *simulation) checkAttention() {
	if s.restored {
		return
	}
	for _, app := range s.apps {
		for _, d := range s.w.Deployments(app) {
			if d.End == deploy.EndNeedsAttention {
				s.w.Problemf("%s of %s needs attention: %s", d.ID, app, d.Reason)
			}
		}
	}
}

// quiet worlds are expected to fail: their problems are counted, not reported.
func quiet(t *testing.T) bool { return strings.HasPrefix(t.Name(), "TestPlanted") }

// open counts what has not ended.
func (s *simulation) open() (n int) {
	if !s.w.Up() {
		return 1
	}
	for _, app := range s.apps {
		for _, d := range s.w.Deployments(app) {
			if !d.Status.Terminal() {
				n++
				if engine.Due(d).Work == engine.DuePeople {
					continue // its deadline ends it
				}
			}
		}
	}
	return n
}
