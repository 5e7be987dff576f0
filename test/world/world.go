package world

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"

	"github.com/penstock-cd/penstock/internal/agent"
	"github.com/penstock-cd/penstock/internal/blob/mem"
	"github.com/penstock-cd/penstock/internal/client"
	"github.com/penstock-cd/penstock/internal/deploy"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
	"github.com/penstock-cd/penstock/internal/git/gitmem"
	"github.com/penstock-cd/penstock/internal/platform"
	"github.com/penstock-cd/penstock/internal/platform/fake"
	"github.com/penstock-cd/penstock/internal/server"
	"github.com/penstock-cd/penstock/internal/store"
)

// Project is the one project of every world.
const Project = "default"

const baseURL = "http://penstock.test"

// Options say what kind of world to make.
type Options struct {
	Agents   int           // processes started at once; 0 means 1
	Repos    []string      // repository ids; none means "main"
	Settle   time.Duration // of the fake platform's routes
	Latency  time.Duration // of each call of the fake cloud
	RouteLag time.Duration // until traffic follows a new weight
	Mistake  fake.Mistake
	AWS      bool // with ECS on a local cloud in memory
	// AWSOptions are those of the local cloud.
	AWSOptions AWSOptions
	// WrapLink stands between an agent and its link, for planted faults.
	WrapLink func(p *Process, l agent.Link) agent.Link
	// Skew is by how much the clock of a process's host is off, and drifts in each second.
	Skew func(process string) (off time.Duration, drift float64)
	// WrapPlatform stands between an agent and a platform, for planted faults.
	WrapPlatform func(p *Process, x platform.Platform) platform.Platform
	// Made is told the world before anything runs in it.
	Made func(*World)
}

// World is the whole system.
type World struct {
	T         testing.TB
	Cloud     *fake.Cloud
	AWS       *AWS // nil without Options.AWS
	Repos     map[string]*gitmem.Repo
	Processes map[string]*Process

	opt       Options
	host      *host
	log       *slog.Logger
	logs      *tail
	agentKey  string
	repoNames []string
	users     map[string]*client.Client
	burying   sync.WaitGroup
	starting  sync.Mutex // the server
	ended     atomic.Bool
	rewound   atomic.Bool // a backup was restored
	ids       atomic.Int64
	listed    sync.Map // listed by application

	mu       sync.Mutex
	reports  map[string]string // process by the event id that it reported under
	problems []string
	trace    []string
	aws      awsHooks
	watch    *watch
}

// New makes a world inside the current bubble; Close must be called before the
// bubble ends.
func New(t testing.TB, opt Options) *World {
	if opt.Agents == 0 {
		opt.Agents = 1
	}
	if len(opt.Repos) == 0 {
		opt.Repos = []string{"main"}
	}
	w := &World{
		T: t, opt: opt, Cloud: fake.NewCloud("fake/1"), Repos: map[string]*gitmem.Repo{}, Processes: map[string]*Process{},
		repoNames: opt.Repos, users: map[string]*client.Client{}, logs: &tail{}, reports: map[string]string{},
		watch: newWatch(),
	}
	if opt.Made != nil {
		opt.Made(w)
	}
	w.Cloud.Latency, w.Cloud.RouteLag = opt.Latency, opt.RouteLag
	w.Cloud.Answered = func(ctx context.Context) { sightOf(ctx).saw("read") }
	w.Cloud.Pause, w.Cloud.Later = travel, func(d time.Duration, f func()) { time.AfterFunc(d, f) }
	w.log = slog.New(slog.NewTextHandler(w.logs, &slog.HandlerOptions{Level: slog.LevelInfo}))
	dir, err := tempDir()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) }) //nolint:errcheck // a leftover in memory is no failure of the test
	w.host = &host{
		dir: dir, blobs: &mem.Store{}, log: w.log, admin: server.Admin{Username: "admin", PasswordHash: adminPassword()},
		touched: w.watch.touched, newID: func() string { return fmt.Sprintf("id%07d", w.ids.Add(1)) },
	}
	for _, id := range opt.Repos {
		w.Repos[id] = gitmem.New(gitmem.Options{Name: id})
		w.Commit(id, "empty repository", map[string]string{"README.md": id + "\n"})
	}
	if err := w.host.start(); err != nil {
		t.Fatal(err)
	}
	if opt.AWS {
		w.AWS = newAWS(t, opt.AWSOptions)
		w.AWS.Load()
	}
	w.join()
	for i := range opt.Agents {
		w.StartAgent(fmt.Sprintf("a%d", i+1))
	}
	w.Cloud.Intercept(w.deny(nil), nil)
	w.Go(w.watchOn)
	w.Tick(time.Second)
	return w
}

// pause lets time pass, at most until a context ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// travel is the time of a call to the fake cloud.
func travel(ctx context.Context, call string, d time.Duration) {
	onTheWay(ctx, "fake cloud", call, nil)
	pause(ctx, d)
}

// tempDir makes a directory in memory where the system has such a place.
func tempDir() (string, error) {
	parent := ""
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		parent = "/dev/shm"
	}
	return os.MkdirTemp(parent, "penstock-world-")
}

// join registers the agent and the people.
func (w *World) join() {
	admin := w.connect("")
	ctx := context.Background()
	in, err := admin.Projects.Login(ctx, connect.NewRequest(&penstockv1.LoginRequest{Username: "admin", Password: "admin"}))
	if err != nil {
		w.T.Fatalf("login: %v", err)
	}
	admin = w.connect(in.Msg.Token)
	w.users["admin"] = admin
	reg, err := admin.Projects.RegisterAgent(ctx, connect.NewRequest(&penstockv1.RegisterAgentRequest{Name: "agent"}))
	if err != nil {
		w.T.Fatalf("register agent: %v", err)
	}
	w.agentKey = reg.Msg.Key
	for _, u := range [][2]string{{"ann", "admin"}, {"bob", "operator"}, {"eve", "viewer"}} {
		key, err := admin.Projects.CreateAPIKey(ctx, connect.NewRequest(&penstockv1.CreateAPIKeyRequest{Name: u[0], Role: u[1]}))
		if err != nil {
			w.T.Fatalf("key of %s: %v", u[0], err)
		}
		w.users[u[0]] = w.connect(key.Msg.Key)
	}
}

func (w *World) connect(token string) *client.Client {
	return client.New(client.Config{Server: baseURL, Token: token, HTTPClient: newLink(w.host, "")})
}

// quiesce waits until nothing more happens at this instant.
func (w *World) quiesce() { synctest.Wait() }

// Close ends everything and reports what was found on the way.
func (w *World) Close() {
	w.ended.Store(true)
	for _, p := range w.Live() {
		p.Kill()
	}
	if w.AWS != nil {
		w.AWS.Close(w.T)
	}
	w.burying.Wait() // a server that is being started is there afterwards
	if inst := w.host.kill(); inst != nil {
		if err := inst.bury(); err != nil {
			w.Problemf("close the store: %v", err)
		}
	}
}

// Go runs f beside the world; Close waits for it.
func (w *World) Go(f func()) { w.burying.Go(f) }

// Ended reports whether the world was closed.
func (w *World) Ended() bool { return w.ended.Load() }

// Live lists the live processes by name.
func (w *World) Live() []*Process {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []*Process
	for _, p := range w.Processes {
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b *Process) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// deny makes dead processes harmless: what they still do does not arrive.
func (w *World) deny(next func(fake.Write) fake.Verdict) func(fake.Write) fake.Verdict {
	return func(x fake.Write) fake.Verdict {
		if p := w.Process(x.By); p == nil {
			return fake.Verdict{Lose: true, Err: errLinkCut}
		}
		if next != nil {
			return next(x)
		}
		return fake.Verdict{}
	}
}

// InterceptCloud calls f before each write of a live process and after behind it.
func (w *World) InterceptCloud(f func(fake.Write) fake.Verdict, after func(fake.Write)) {
	w.Cloud.Intercept(w.deny(f), after)
}

// OnCommit calls f around each durable write of facts, in the goroutine that
// writes; a call that panics is the death of the store.
func (w *World) OnCommit(f func(Commit)) { w.host.onCommit(f) }

// Up reports whether there is a server.
func (w *World) Up() bool { return w.host.current() != nil }

// View reads the record. It fails the test when there is no server.
func (w *World) View(f func(store.Tx) error) {
	w.T.Helper()
	inst := w.host.current()
	if inst == nil {
		w.T.Fatal("there is no server to look into")
	}
	if err := inst.store.View(context.Background(), Project, f); err != nil {
		w.T.Fatalf("look into the store: %v", err)
	}
}

// Tamper changes every open deployment of the record behind the server's back,
// for planted faults.
func (w *World) Tamper(f func(store.Tx, deploy.Deployment) (deploy.Deployment, error)) {
	inst := w.host.current()
	if inst == nil {
		return
	}
	defer w.host.changed.Add(1)
	err := inst.store.Update(context.Background(), Project, func(tx store.Tx) error {
		recs, err := tx.List(store.Deployments, store.Query{Where: map[string][]string{"open": {"1"}}, Limit: 100})
		if err != nil {
			return err
		}
		for _, r := range recs {
			var d deploy.Deployment
			if err := json.Unmarshal(r.Body, &d); err != nil {
				return err
			}
			if d, err = f(tx, d); err != nil {
				return err
			}
			if r.Body, err = json.Marshal(d); err != nil {
				return err
			}
			if err := tx.Put(store.Deployments, r); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		w.log.Warn("tamper", "error", err)
	}
}

// Problemf notes something that must not happen.
func (w *World) Problemf(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.problems = append(w.problems, fmt.Sprintf(format, args...))
}

// Problems lists what was noted.
func (w *World) Problems() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.problems)
}

func (w *World) tracef(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.trace = append(w.trace, time.Now().Format("15:04:05.000 ")+fmt.Sprintf(format, args...))
}

// Note adds a line to the trace.
func (w *World) Note(format string, args ...any) { w.tracef(format, args...) }

// Trace is what was done to the world, oldest first.
func (w *World) Trace() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.trace)
}

// Log is the end of what server and agents logged.
func (w *World) Log() string { return w.logs.String() }

// tail keeps the end of what is written to it.
type tail struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

const tailBytes = 64 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.buf.Len() > 2*tailBytes {
		keep := bytes.Clone(t.buf.Bytes()[t.buf.Len()-tailBytes:])
		t.buf.Reset()
		t.buf.Write(keep)
	}
	return t.buf.Write(p)
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.buf.String()
}
