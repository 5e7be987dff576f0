package sim

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/localcloud/runtime/memory"
	"github.com/penstock-cd/penstock/internal/platform/fake"
	"github.com/penstock-cd/penstock/test/world"
)

// course is a deployment whose every crash point is tried.
type course struct {
	name  string
	first string // file of the version before, "" for none
	file  string // of the version that is deployed
	want  string // how it ends, whatever crashes

	// On ECS:
	body   string // below spec, of the version that is deployed
	live   bool   // a service is there, made by somebody else
	images map[string]memory.Behaviour
	cancel string // a person cancels in this stage
	native string // strategy of a service with the controller ECS, "" for EXTERNAL
	lambda bool   // a function in place of a service

	// way says that a course of its own tries what comes before the way back: here
	// points count from what turned the deployment back.
	way bool
}

// wayBegins reports whether a durable write turns a deployment back.
func wayBegins(labels string) bool {
	return strings.Contains(labels, string(deploy.EvCancelRequested)) || strings.Contains(labels, string(deploy.EvRollbackStarted))
}

// cloud reports whether the course runs on the local cloud.
func (c course) ecs() bool { return c.body != "" }

const shortCanary = `  pipeline:
    stages:
    - name: FAKE_CANARY_ROLLOUT
    - name: FAKE_TRAFFIC_ROUTING
      with: {canary: 20}
    - name: WAIT
      with: {duration: 10s}
    - name: FAKE_PRIMARY_ROLLOUT
    - name: FAKE_TRAFFIC_ROUTING
      with: {primary: 100}
    - name: FAKE_CANARY_CLEAN
`

const blueGreen = `  pipeline:
    stages:
    - name: FAKE_CANARY_ROLLOUT
      with: {replicas: 2}
    - name: FAKE_TRAFFIC_ROUTING
      with: {canary: 100}
    - name: FAKE_PRIMARY_ROLLOUT
    - name: FAKE_TRAFFIC_ROUTING
      with: {primary: 100}
    - name: FAKE_CANARY_CLEAN
`

const noPipeline = "  description: everything at once\n"

func app(body string, orders map[string]string) string {
	set := map[string]string{"startAfter": "2s"}
	for k, v := range orders {
		set[k] = v
	}
	return world.FakeApp("web", set, body)
}

func courses() []course {
	v1 := app(noPipeline, map[string]string{"version": "v1"})
	with := func(body string, more ...string) string {
		orders := map[string]string{"version": "v2"}
		for i := 0; i < len(more); i += 2 {
			orders[more[i]] = more[i+1]
		}
		return app(body, orders)
	}
	return []course{
		{name: "canary", first: v1, file: with(shortCanary), want: "SUCCESS"},
		{name: "canary and back", first: v1, file: with(shortCanary, "failAt", "FAKE_CANARY_CLEAN/finish"), want: "ROLLED_BACK", way: true},
		{name: "blue-green", first: v1, file: with(blueGreen), want: "SUCCESS"},
		{name: "quick sync", first: v1, file: with(noPipeline), want: "SUCCESS"},
		{name: "quick sync and back", first: v1, file: with(noPipeline, "failAt", "FAKE_SYNC/finish"), want: "ROLLED_BACK", way: true},
		{name: "first deployment", file: with(noPipeline), want: "SUCCESS"},
		{name: "first deployment and back", file: with(noPipeline, "failAt", "FAKE_SYNC/finish"), want: "ROLLED_BACK", way: true},
	}
}

// mode is what dies, where.
type mode struct {
	name   string
	cloud  bool // at a write to the cloud; else at a durable write of the record
	read   bool // at a read of the cloud whose answer differs from the one before
	after  bool
	server bool // the server dies, else the agent
}

var modes = []mode{
	{name: "server before durable write", server: true},
	{name: "server after durable write", server: true, after: true},
	{name: "agent at durable write"},
	{name: "server before cloud write", cloud: true, server: true},
	{name: "server after cloud write", cloud: true, server: true, after: true},
	{name: "agent before cloud write", cloud: true},
	{name: "agent after cloud write", cloud: true, after: true},
	{name: "agent at a new answer", read: true},
}

var crashPoints atomic.Int64

// short is the part of the matrix that an ordinary run tries: everything once on
// ECS for the way that goes furthest, and on the fake platform what ECS has not.
func short(c course, m mode) bool {
	switch c.name {
	case "ecs canary and back":
		return !m.server && (m.cloud || m.read)
	case "ecs native quick sync and back":
		return !m.server && m.cloud && m.after
	case "lambda canary and back":
		return m.name == "agent after cloud write"
	case "first deployment":
		return !m.read
	}
	return false
}

// matrixEnv set to "all" tries every mode of every course.
const matrixEnv = "PENSTOCK_SIM_MATRIX"

// tried reports whether this run tries a mode of a course. A thorough one tries
// all of services of the controller EXTERNAL; of the other ways to deploy what
// is their own, their calls, unless it is asked for more.
func tried(c course, m mode) bool {
	switch {
	case m.read && !c.ecs():
		return false
	case !thorough():
		return short(c, m)
	case (c.native != "" || c.lambda) && os.Getenv(matrixEnv) != "all":
		return m.cloud && m.after
	}
	return true
}

// TestCrashMatrix lets server and agent die at each durable write, at each write
// to the cloud, before and after it, and at each read that tells something new:
// the end is the same every time.
func TestCrashMatrix(t *testing.T) {
	onlySeeds(t)
	for _, c := range slices.Concat(courses(), ecsCourses(), lambdaCourses()) {
		if !thorough() {
			c.way = false // the short form has no other course for it
		}
		for _, m := range modes {
			if !tried(c, m) {
				continue
			}
			t.Run(strings.ReplaceAll(c.name+"/"+m.name, " ", "-"), func(t *testing.T) {
				t.Parallel()
				points := 0
				for n := 1; ; n++ {
					reached := false
					inWorld(t, func(t *testing.T) { reached = crashOnce(t, c, m, n) })
					if !reached || t.Failed() {
						break
					}
					points++
				}
				if points == 0 {
					t.Error("no point was reached")
				}
				crashPoints.Add(int64(points))
			})
		}
	}
}

var errDied = errors.New("connection lost")

// crashOnce runs a course and lets one thing die at its n-th point.
func crashOnce(t *testing.T, c course, m mode, n int) (reached bool) {
	opt := world.Options{Agents: 2, RouteLag: 8 * time.Second, Latency: 5 * time.Millisecond}
	if c.ecs() {
		opt.AWS, opt.AWSOptions = true, crashCloud
	}
	w := world.New(t, opt)
	defer w.Close()
	number := c.begin(w)
	var count atomic.Int64
	var counts atomic.Bool
	counts.Store(!c.way)
	die := func(what, by string) bool {
		if !counts.Load() || count.Add(1) != int64(n) {
			return false
		}
		w.Note("crash point %d: %s, %s", n, m.name, what)
		if m.server {
			w.StopServer(3 * time.Second)
			return true
		}
		p := w.Holder()
		if by != "" {
			p = w.Process(by)
		}
		if p != nil {
			p.Kill()
			w.CheckSuccession(p.Name)
		}
		return true
	}
	intercept, after := guards(w, m, die)
	w.InterceptCloud(intercept, after)
	w.InterceptAWS(awsGuards(m, die))
	w.OnCommit(func(x world.Commit) {
		if wayBegins(x.Labels) {
			counts.Store(true)
		}
		if !m.cloud && !m.read && x.After == m.after && die(x.Labels, "") && m.server {
			panic("the process dies")
		}
	})
	c.deploy(w)
	settle(w, number, c.cancel)
	w.OnCommit(nil)
	w.InterceptAWS(nil, nil)
	t.Logf("%s, %s: %d points passed", c.name, m.name, count.Load())
	reached = count.Load() >= int64(n)
	if !w.Up() {
		w.Tick(5 * time.Second)
	}
	w.Tick(20 * time.Second)
	examine(t, w, fmt.Sprintf("%s, %s, point %d", c.name, m.name, n))
	d, _ := w.Deployment("web", number)
	if d.Display() != c.want && !t.Failed() {
		report(t, w, fmt.Sprintf("%s, %s, point %d: ended as %s (%s; failed %s), want %s", c.name, m.name, n, d.Display(), d.Reason, d.Failed, c.want))
	}
	return reached
}

// begin brings a world to where the course starts and tells the number of the
// deployment to come.
func (c course) begin(w *world.World) int {
	number := 1
	switch {
	case c.live:
		live := w.AWS.Live
		if c.lambda {
			live = w.AWS.LiveFunction
		}
		if err := live(context.Background(), "web", "v1"); err != nil {
			w.T.Fatal(err)
		}
		w.Tick(30 * time.Second)
	case c.first != "":
		if c.ecs() {
			c.commit(w, "v1", c.first)
		} else {
			w.Commit("main", "v1", map[string]string{world.AppFile("web"): c.first})
		}
		settle(w, number, "")
		number++
	}
	return number
}

func (c course) deploy(w *world.World) {
	if !c.ecs() {
		w.Commit("main", "v2", map[string]string{world.AppFile("web"): c.file})
		return
	}
	for image, b := range c.images {
		w.AWS.Behave(image, b)
	}
	c.commit(w, "v2", c.body)
}

func (c course) commit(w *world.World, image, body string) {
	if c.lambda {
		w.CommitLambda("web", image, body)
		return
	}
	if c.native != "" {
		w.CommitNative("web", image, c.native, body)
		return
	}
	w.CommitECS("web", image, body)
}

// awsGuards are the hooks of calls to the local cloud.
func awsGuards(m mode, die func(what, by string) bool) (func(world.AWSCall) bool, func(world.AWSCall)) {
	before := func(x world.AWSCall) bool {
		return !(m.cloud && !m.after && x.Write && die(x.String(), x.By) && !m.server)
	}
	after := func(x world.AWSCall) {
		if m.cloud && m.after && x.Write || m.read && x.Fresh {
			die(x.String(), x.By)
		}
	}
	return before, after
}

// guards are the hooks of cloud writes: the writer is checked at each, and
// something dies at one.
func guards(w *world.World, m mode, die func(what, by string) bool) (func(fake.Write) fake.Verdict, func(fake.Write)) {
	before := func(x fake.Write) fake.Verdict {
		w.CheckWriter(x)
		if m.cloud && !m.after && die(x.String(), "") && !m.server {
			return fake.Verdict{Lose: true, Err: errDied}
		}
		return fake.Verdict{}
	}
	after := func(x fake.Write) {
		if m.cloud && m.after {
			die(x.String(), "")
		}
	}
	return before, after
}

// settle lets time pass until the n-th deployment of web is over. In the stage
// cancel, if any, a person cancels it.
func settle(w *world.World, n int, cancel string) {
	step := 3 * time.Second
	for end := time.Now().Add(20 * time.Minute); time.Now().Before(end); {
		w.Tick(step)
		if !w.Up() {
			continue
		}
		d, ok := w.Deployment("web", n)
		if ok && d.Status.Terminal() {
			return
		}
		i := d.Current()
		if cancel == "" || i < 0 || d.Cancel != nil {
			continue
		}
		// A stage may be short: from the one before on it is looked at closely.
		if step = 3 * time.Second; i+1 < len(d.Stages) && d.Stages[i+1].Name == cancel {
			step = 50 * time.Millisecond
		}
		if d.Stages[i].Name == cancel {
			if err := w.Cancel("bob", d.ID, ""); err != nil {
				w.Note("cancel: %v", err)
			}
		}
	}
}

// examine checks everything that can be checked of a world at rest.
func examine(t *testing.T, w *world.World, what string) {
	t.Helper()
	w.CheckRecord(&world.Memory{})
	w.CheckCloud()
	if w.AWS != nil {
		w.CheckAWS()
		w.CheckUsers()
	}
	w.CheckEnds()
	if p := w.Problems(); len(p) > 0 {
		report(t, w, what+":\n"+strings.Join(p, "\n"))
	}
}

// report fails the test with a short trace.
func report(t *testing.T, w *world.World, text string) {
	t.Helper()
	log := w.Log()
	if n := len(log) - 4000; n > 0 && replayed() == 0 { // who replays one wants to know
		log = "…" + log[n:]
	}
	t.Errorf("%s\n\ntrace:\n%s\n\nlog:\n%s", text, strings.Join(w.Trace(), "\n"), log)
}
