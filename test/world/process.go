package world

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/penstock-cd/penstock/internal/agent"
	"github.com/penstock-cd/penstock/internal/client"
	"github.com/penstock-cd/penstock/internal/platform"
	"github.com/penstock-cd/penstock/internal/platform/ecs"
	"github.com/penstock-cd/penstock/internal/platform/fake"
	"github.com/penstock-cd/penstock/internal/spec"
)

// Process is one agent process. All processes have the same identity.
type Process struct {
	Name string
	Link *Link

	w     *World
	dead  atomic.Bool
	ended chan struct{} // closed when it is dead
	stop  context.CancelFunc
	done  chan struct{}
	cloud *awsLink // nil without Options.AWS
	known known    // of the watch
	// cutter is its way to the server.
	cutter *cutter

	mu      sync.Mutex
	reports map[string]int // by deployment
}

// StartAgent starts a process.
func (w *World) StartAgent(name string) *Process {
	p := &Process{Name: name, Link: newLink(w.host, name), w: w, reports: map[string]int{}, done: make(chan struct{}), ended: make(chan struct{})}
	p.known = known{trouble: time.Now(), done: map[string]judgement{}, looks: map[string]observation{}}
	p.cutter = &cutter{Link: p.Link}
	var link agent.Link = w.skewed(p, &audited{Link: client.NewLink(p.cutter, baseURL, w.agentKey), w: w, p: p})
	if w.opt.WrapLink != nil {
		link = w.opt.WrapLink(p, link)
	}
	platforms := []platform.Platform{fake.New(fake.Options{Cloud: w.Cloud, By: name, Settle: w.opt.Settle, Mistake: w.opt.Mistake})}
	if w.AWS != nil {
		p.cloud = &awsLink{w: w, p: p, seen: map[string]string{}}
		platforms = append(platforms, ecs.New(ecs.Options{HTTPClient: &http.Client{Transport: p.cloud}, Endpoint: w.AWS.Cloud.Endpoint(), Credentials: w.AWS.Credentials(), Logger: w.log}), lambdaPlatform(w.AWS, &http.Client{Transport: p.cloud}))
	}
	a, err := agent.New(agent.Options{
		Config: w.piped(), Key: spec.Secret(w.agentKey), Link: link, Platforms: w.watching(p, platforms), Kinds: []spec.KindInfo{fake.KindInfo()},
		OpenRepo: func(_ context.Context, r spec.Repository) (agent.Repo, error) {
			repo := w.Repos[r.RepoID]
			if repo == nil {
				return nil, fmt.Errorf("no repository %s", r.RepoID)
			}
			return repo.Mirror(r.Branch), nil
		},
		Logger: w.log.With("process", name), NewID: p.newID, ProcessID: name, Host: "host", Version: "test",
	})
	if err != nil {
		w.T.Fatalf("agent %s: %v", name, err)
	}
	ctx, stop := context.WithCancel(context.Background())
	p.stop = stop
	w.mu.Lock()
	w.Processes[name] = p
	w.mu.Unlock()
	w.tracef("agent %s started", name)
	w.burying.Go(func() {
		defer close(p.done)
		if err := a.Run(ctx); err != nil {
			w.Problemf("agent %s: %v", name, err)
		}
	})
	return p
}

// newID counts by deployment, so that two of them that report at one instant get
// the same ids whoever comes first.
func (p *Process) newID(deployment string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reports[deployment]++
	return fmt.Sprintf("%s-%s-%d", p.Name, deployment, p.reports[deployment])
}

// Kill ends the process as SIGKILL does: from this instant nothing it does
// reaches anybody. It does not wait and may be called from any hook.
func (p *Process) Kill() {
	if p.dead.Swap(true) {
		return
	}
	close(p.ended)
	p.w.tracef("agent %s killed", p.Name)
	p.Link.Cut(false)
	p.stop()
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	if p.w.Processes[p.Name] == p {
		delete(p.w.Processes, p.Name)
	}
}

// Stop ends the process in an orderly way and waits for it.
func (p *Process) Stop() {
	p.w.tracef("agent %s stops", p.Name)
	p.w.watch.leaves(p)
	p.stop()
	<-p.done
	if !p.dead.Swap(true) {
		close(p.ended)
	}
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	if p.w.Processes[p.Name] == p {
		delete(p.w.Processes, p.Name)
	}
}

// Freeze lets the process stand still, as a stopped one does: what it sends
// waits, with calls that have begun, and goes out when the time is over, however
// long its callers have given up by then.
func (p *Process) Freeze(d time.Duration) {
	p.w.tracef("agent %s stands still for %s", p.Name, d)
	p.w.watch.stands(p, time.Now().Add(d))
	p.Link.freeze(time.Now().Add(d))
	if p.cloud != nil {
		p.cloud.freeze(time.Now().Add(d))
	}
}

// CutCloud cuts the process off from the cloud for a time. One way, its calls
// arrive there and only the answers are lost.
func (p *Process) CutCloud(oneWay bool, d time.Duration) {
	p.w.tracef("agent %s is cut off from the cloud, one way %v, for %s", p.Name, oneWay, d)
	if p.cloud != nil {
		p.cloud.cut(oneWay, time.Now().Add(d))
	}
}

// Dead reports whether the process has ended.
func (p *Process) Dead() bool { return p.dead.Load() }

// Process returns a live process by name, nil if there is none.
func (w *World) Process(name string) *Process {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.Processes[name]
}

// Tick lets time pass and then everything that is due at this instant happen.
func (w *World) Tick(d time.Duration) {
	time.Sleep(d)
	w.quiesce()
}

func (w *World) piped() *spec.Piped {
	text := "apiVersion: pipecd.dev/v1beta1\nkind: Piped\nspec:\n  projectID: " + Project + "\n  pipedID: agent\n  pipedKeyData: a2V5\n  apiAddress: localhost:1\n  repositories:\n"
	for _, id := range w.repoNames {
		text += "  - {repoId: " + id + ", remote: 'https://git.test/" + id + "', branch: main}\n"
	}
	text += "  platformProviders:\n  - {name: fake, type: FAKE}\n"
	if w.AWS != nil {
		text += "  - {name: lambda, type: LAMBDA, config: {region: us-east-1, settleTime: 5s}}\n"
		text += "  - {name: ecs, type: ECS, config: {region: us-east-1, settleTime: " + w.opt.AWSOptions.settle().String() + "}}\n"
	}
	cfg, _, err := spec.ReadPiped("piped.yaml", []byte(text), fake.KindInfo())
	if err != nil {
		w.T.Fatalf("the agent's file: %v\n%s", err, text)
	}
	return cfg
}
