package agent

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-cd/penstock/internal/change"
	"github.com/penstock-cd/penstock/internal/client"
	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/engine"
	"github.com/penstock-cd/penstock/internal/git"
	"github.com/penstock-cd/penstock/internal/git/gitmem"
	"github.com/penstock-cd/penstock/internal/plan"
	"github.com/penstock-cd/penstock/internal/platform"
	"github.com/penstock-cd/penstock/internal/spec"
)

const (
	testLease = 9 * time.Second
	appID     = "app-1"
)

var fakeKind = spec.KindInfo{Kind: "FakeApp", Platform: "FAKE", Plugin: "fake", Stages: []string{"FAKE_SYNC", "FAKE_CANARY", "FAKE_PROMOTE"}, AutoRollback: true}

// record is a control plane in memory: it decides with the engine itself.
type record struct {
	mu          sync.Mutex
	app         deploy.Application
	d           deploy.Deployment
	epoch       int64
	sessions    int
	down        bool
	workDown    bool // GetWork alone fails
	writeAfter  time.Duration
	head        string
	heads       []client.HeadReport
	files       []client.FilesReport
	journal     []deploy.JournalEntry
	blobs       map[string][]byte
	logs        map[string]string
	waiting     []deploy.Reason
	breaches    []client.BreachReport
	verified    []string
	live        []deploy.LiveState
	compared    []client.Comparison
	answered    map[string]bool
	calls       []string
	left        int
	wake        map[chan client.Wakeup]bool
	deployments int
	refuseHead  string // answered once to ReportHead
	incarnation string // of the store
}

func newRecord() *record {
	return &record{
		app:         deploy.Application{Ref: deploy.Ref{ID: appID, Name: "web", Kind: "FakeApp", Provider: "p", RepoID: "r", Branch: "main", Path: "web", ConfigFile: "app.pipecd.yaml"}},
		incarnation: "i", blobs: map[string][]byte{}, logs: map[string]string{}, answered: map[string]bool{}, wake: map[chan client.Wakeup]bool{},
	}
}

// process is the link of one agent process to the record; dead cuts it for good.
type process struct {
	*record
	dead bool
}

var errDown = deploy.Errorf(deploy.CodeUnavailable, "connection refused")

func (p *process) enter(call, session string) error {
	if p.down || p.dead {
		return errDown
	}
	p.calls = append(p.calls, call)
	if call != "hello" && session != fmt.Sprint("s", p.sessions) {
		return &deploy.Error{Code: deploy.CodeUnauthorized, Reason: client.ReasonSessionOver, Message: "session over"}
	}
	return nil
}

func (p *process) Hello(context.Context, client.Hello) (client.Session, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.enter("hello", ""); err != nil {
		return client.Session{}, err
	}
	p.sessions++
	p.assign()
	return client.Session{ID: fmt.Sprint("s", p.sessions), Lease: testLease, RenewEvery: testLease / 3, Incarnation: p.incarnation}, nil
}

// assign gives the open deployment to the newest session under a new epoch.
func (r *record) assign() {
	if r.d.ID == "" || r.d.Status.Terminal() || r.sessions == 0 {
		return
	}
	r.epoch++
	r.must(engine.Assign{Holder: fmt.Sprint("s", r.sessions), Epoch: r.epoch})
}

// must decides what cannot be refused.
func (r *record) must(in engine.Input) {
	if err := r.decide(in); err != nil {
		panic(err)
	}
}

func (r *record) decide(in engine.Input) error {
	events, err := engine.Decide(r.d, in, time.Now())
	if err != nil {
		return err
	}
	for _, e := range events {
		if r.d, err = engine.Apply(r.d, e); err != nil {
			return err
		}
	}
	if r.d.Status.Terminal() && r.app.Current != "" {
		r.app.Current = ""
		if r.d.End == deploy.EndDeclared {
			r.app.LastGood = &deploy.Good{DeploymentID: r.d.ID, Commit: r.d.Trigger.Commit, DesiredDigest: r.d.Plan.DesiredDigest}
		}
	}
	return nil
}

func (p *process) Renew(_ context.Context, session string, seen int64) (client.Renewal, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return client.Renewal{Lease: testLease, Left: testLease, Grant: seen + 1, Incarnation: p.incarnation}, p.enter("renew", session)
}

func (p *process) Leave(_ context.Context, session string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.left++
	return p.enter("leave", session)
}

func (p *process) Wait(ctx context.Context, session string, f func(client.Wakeup)) error {
	c := make(chan client.Wakeup, 16)
	p.mu.Lock()
	if err := p.enter("wait", session); err != nil {
		p.mu.Unlock()
		return err
	}
	p.wake[c] = true
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.wake, c)
	}()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case w, ok := <-c:
			if !ok {
				return errDown
			}
			f(w)
		}
	}
}

func (r *record) ring(w client.Wakeup) {
	for c := range r.wake {
		c <- w
	}
}

func (p *process) GetWork(_ context.Context, session string) (client.Work, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.enter("get work", session); err != nil {
		return client.Work{}, err
	}
	if p.workDown {
		return client.Work{}, errDown
	}
	p.calls = append(p.calls, "got work")
	w := client.Work{
		Applications: []deploy.Application{p.app},
		Repositories: []client.RepositoryWork{{RepoID: "r", Branch: "main", Head: p.head, Applications: []deploy.Application{p.app}}},
	}
	if engine.Due(p.d).Work != engine.DueNothing {
		w.Assignments = []client.Assignment{{Epoch: p.epoch, Deployment: p.d, Application: p.app, Journal: append([]deploy.JournalEntry(nil), p.journal...), WriteAfter: p.writeAfter}}
	}
	return w, nil
}

func (p *process) ReportHead(_ context.Context, session string, h client.HeadReport) (client.HeadAnswer, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.enter("report head", session); err != nil {
		return client.HeadAnswer{}, err
	}
	p.heads = append(p.heads, h)
	if h.Error != "" {
		return client.HeadAnswer{}, nil
	}
	if p.refuseHead != "" {
		p.head, p.refuseHead = p.refuseHead, ""
		return client.HeadAnswer{Head: p.head}, nil
	}
	p.head = h.New
	var a client.HeadAnswer
	for _, c := range h.Candidates {
		p.app.Head = h.Commit
		p.app.Seq++
		if c.Due && c.InvalidDetail == "" {
			p.trigger(deploy.Trigger{Kind: deploy.OnCommit, Commit: h.Commit})
			a.DeploymentIDs = append(a.DeploymentIDs, p.d.ID)
		}
	}
	return a, nil
}

// trigger begins a deployment and gives it to the live process.
func (r *record) trigger(t deploy.Trigger) {
	r.deployments++
	r.d = deploy.Deployment{}
	r.journal = nil
	id := fmt.Sprint("d", r.deployments)
	r.app.Current = id
	r.must(engine.Trigger{ID: id, ProjectID: "project", App: r.app.Ref, Trigger: t})
	r.must(engine.Admit{PlanDeadline: time.Now().Add(15 * time.Minute)})
	r.assign()
}

func (p *process) ReportFiles(_ context.Context, session string, f client.FilesReport) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.files = append(p.files, f)
	return false, p.enter("report files", session)
}

func (p *process) Report(_ context.Context, session string, r client.Report) (deploy.Deployment, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.enter("report", session); err != nil {
		return deploy.Deployment{}, err
	}
	if p.answered[r.EventID] {
		return p.d, nil
	}
	var in engine.Input
	switch {
	case r.Plan != nil:
		in = engine.Planned{Epoch: r.Epoch, Plan: *r.Plan}
	case r.PlanFailed != nil:
		in = engine.PlanFailed{Epoch: r.Epoch, Reason: *r.PlanFailed}
	case r.Breach != nil:
		p.breaches = append(p.breaches, *r.Breach)
		in = engine.Breach{Epoch: r.Epoch, Foreign: r.Breach.Kind == "FOREIGN", Reason: r.Breach.Reason}
	case r.Step.Progress == "WAITING":
		p.waiting = append(p.waiting, r.Step.Reason)
		return p.d, nil
	default:
		s := r.Step
		if s.Verified != "" {
			p.verified = append(p.verified, s.Verified)
		}
		in = engine.StepReport{Epoch: r.Epoch, Stage: s.Stage, Attempt: s.Attempt, Step: s.Step, Failed: s.Progress == "FAILED", Reason: s.Reason, LiveDigest: s.Verified}
	}
	if err := p.decide(in); err != nil {
		return deploy.Deployment{}, err
	}
	p.answered[r.EventID] = true
	return p.d, nil
}

func (p *process) PutJournal(_ context.Context, session, _ string, epoch int64, entries []deploy.JournalEntry) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.enter("put journal", session); err != nil {
		return err
	}
	if epoch != p.epoch {
		return deploy.Refuse(deploy.RefusedStaleEpoch, "", "epoch %d is over", epoch)
	}
	p.journal = append(p.journal, entries...)
	return nil
}

func (p *process) AppendLog(_ context.Context, session string, c client.LogChunk) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.enter("append log", session); err != nil {
		return false, err
	}
	key := fmt.Sprint(c.Stage, "/", c.Attempt, "/", c.Epoch)
	if int64(len(p.logs[key])) == c.Offset {
		p.logs[key] += string(c.Data)
	}
	return false, nil
}

func (p *process) PutBlob(_ context.Context, session string, data []byte) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := sha256.Sum256(data)
	p.blobs[hex.EncodeToString(h[:])] = data
	return hex.EncodeToString(h[:]), p.enter("put blob", session)
}

func (p *process) GetBlob(_ context.Context, session, digest string) ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.blobs[digest], p.enter("get blob", session)
}

func (p *process) AnswerQuestion(context.Context, string, client.QuestionAnswer) error { return nil }

func (p *process) ReportLive(_ context.Context, session, _ string, o client.Observation) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.enter("report live", session); err != nil {
		return err
	}
	p.live = append(p.live, o.State)
	if o.Comparison != nil {
		p.compared = append(p.compared, *o.Comparison)
	}
	return nil
}

// command is a person's input, with the wake-up that follows it.
func (r *record) command(t *testing.T, in engine.Input) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.decide(in); err != nil {
		t.Fatal(err)
	}
	r.ring(client.Wakeup{Work: true})
}

func (r *record) set(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
}

func (r *record) deployment() deploy.Deployment {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.d
}

// world is a cloud with one version in it.
type world struct {
	mu         sync.Mutex
	version    string // "" when nothing exists
	runs       []string
	tokens     map[string]string // step → token
	writing    int
	atOnce     int // most writes at the same time
	observed   int
	observeErr error
	unsettled  []deploy.Reason
	makers     []string // ids of the deployments that made it
	guarded    int
	// run replaces the doing of a step.
	run   func(ctx context.Context, s platform.Step, j platform.Journal) (platform.Outcome, error)
	guard func(platform.Held) (platform.Breach, error)
}

func (*world) Kind() deploy.Kind { return "FakeApp" }
func (*world) Stages() []platform.StageInfo {
	return []platform.StageInfo{{Name: "FAKE_SYNC"}, {Name: "FAKE_CANARY"}, {Name: "FAKE_PROMOTE"}}
}

func (w *world) Load(ctx context.Context, src platform.Source) (platform.Desired, error) {
	data, err := src.Files.ReadFile(ctx, src.App.Path+"/version")
	if err != nil {
		return platform.Desired{}, spec.Errors{{File: src.App.Path + "/version", Line: 1, Column: 1, Message: err.Error()}}
	}
	v := strings.TrimSpace(string(data))
	if v == "bad" {
		return platform.Desired{}, spec.Errors{{File: "web/version", Line: 1, Column: 3, Message: "no such version"}}
	}
	return platform.Desired{Kind: "FakeApp", Digest: "digest-" + v, Versions: []deploy.Version{{Version: v}}, Body: json.RawMessage(`{"version":"` + v + `"}`)}, nil
}

func (w *world) Observe(context.Context, platform.Target) (platform.Live, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.observed++
	if w.observeErr != nil {
		return platform.Live{}, w.observeErr
	}
	return platform.Live{
		Exists: w.version != "", Account: "acc", Digest: "live-" + w.version, Versions: []deploy.Version{{Version: w.version}}, Unsettled: w.unsettled, Makers: w.makers,
		State: deploy.LiveState{Health: deploy.HealthHealthy, Resources: []deploy.Resource{{ID: "x", Version: w.version}}},
	}, nil
}

func (*world) Compare(from, to platform.State) (change.Changes, error) {
	version := func(s platform.State) map[string]any {
		if s.Desired != nil {
			return map[string]any{"version": s.Desired.Versions[0].Version}
		}
		return map[string]any{"version": s.Live.Versions[0].Version}
	}
	return change.Diff(version(from), version(to), change.Options{}), nil
}

func (*world) Plan(in platform.PlanInput) (platform.PlanPart, error) {
	stage := func(id, name string, holds bool) deploy.PlanStage {
		return deploy.PlanStage{ID: id, Name: name, Type: deploy.StagePlatform, Steps: []deploy.PlanStep{{Name: "prepare"}, {Name: "write"}}, Holds: holds}
	}
	part := plan.Part{Rollback: []deploy.PlanStage{stage("rollback", "FAKE_ROLLBACK", false)}, RollbackLimit: time.Hour}
	for _, s := range in.Stages {
		part.Stages = append(part.Stages, stage(s.ID, s.Name, s.Name == "FAKE_CANARY"))
	}
	if in.Strategy == deploy.StrategyQuick {
		part.Stages = []deploy.PlanStage{stage("sync", "FAKE_SYNC", false)}
	}
	return part, nil
}

func (w *world) Run(ctx context.Context, s platform.Step, j platform.Journal) (platform.Outcome, error) {
	key := s.Stage.Name + "/" + s.Name
	w.mu.Lock()
	w.runs = append(w.runs, key)
	if w.tokens == nil {
		w.tokens = map[string]string{}
	}
	if old := w.tokens[s.DeploymentID+key]; old != "" && old != s.Token {
		panic("the token of " + key + " changed")
	}
	w.tokens[s.DeploymentID+key] = s.Token
	w.writing++
	w.atOnce = max(w.atOnce, w.writing)
	run := w.run
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		w.writing--
		w.mu.Unlock()
	}()
	s.Log.Logf(0, "doing %s with agent-key", key)
	if run != nil {
		return run(ctx, s, j)
	}
	return w.do(ctx, s, j)
}

func (w *world) do(ctx context.Context, s platform.Step, j platform.Journal) (platform.Outcome, error) {
	if err := platform.Remember(ctx, j, "intent/"+s.Stage.ID+"/"+s.Name, s.Token); err != nil {
		return platform.Outcome{}, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case s.Name != "write":
	case s.Rollback:
		w.version = s.Live.Versions[0].Version
	case s.Stage.Name != "FAKE_CANARY":
		w.version = s.Desired.Versions[0].Version
	}
	return platform.DoneNow()
}

func (w *world) Guard(_ context.Context, h platform.Held) (platform.Breach, error) {
	w.mu.Lock()
	w.guarded++
	g := w.guard
	w.mu.Unlock()
	if g == nil {
		return platform.Breach{}, nil
	}
	return g(h)
}

// locked runs f under the lock that tests share with the platform.
func (w *world) locked(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

func (w *world) did() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.runs...)
}

// bench is one repository, one cloud, one record, and agents on virtual time.
type bench struct {
	t     *testing.T
	rec   *record
	world *world
	repo  *gitmem.Repo
	ended []func()
}

const pipeline = `apiVersion: pipecd.dev/v1beta1
kind: FakeApp
spec:
  name: web
  pipeline:
    stages:
      - name: FAKE_CANARY
      - name: WAIT
        with: {duration: 60s}
      - name: FAKE_PROMOTE
`

const quick = `apiVersion: pipecd.dev/v1beta1
kind: FakeApp
spec:
  name: web
`

// inBubble runs a test on virtual time and ends all agents behind it.
func inBubble(t *testing.T, f func(b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bench{t: t, rec: newRecord(), world: &world{version: "v1"}, repo: gitmem.New(gitmem.Options{Name: "r"})}
		f(b)
		for _, end := range b.ended {
			end()
		}
	})
}

func (b *bench) commit(files map[string]string) string {
	b.t.Helper()
	sha, err := b.repo.Commit(git.Change{Branch: "main", Message: "change", Files: files, Author: git.Signature{Name: "jo", When: time.Now()}})
	if err != nil {
		b.t.Fatal(err)
	}
	return sha
}

// seen lets the record know the head already, so that nothing is due at the start.
func (b *bench) seen(sha string) {
	b.rec.set(func() {
		b.rec.head = sha
		b.rec.app.Head = deploy.Commit{Hash: sha}
	})
}

func (b *bench) options(link Link) Options {
	return Options{
		Config: &spec.Piped{
			File: "piped.yaml", Repositories: []spec.Repository{{RepoID: "r", Remote: "https://host/r", Branch: "main"}},
			PlatformProviders: []spec.PlatformProvider{{Name: "p", Type: "FAKE"}}, SyncInterval: 10 * time.Second,
		},
		Key: "agent-key", Link: link, Platforms: []platform.Platform{b.world}, Kinds: []spec.KindInfo{fakeKind},
		OpenRepo: func(_ context.Context, r spec.Repository) (Repo, error) { return b.repo.Mirror(r.Branch), nil },
	}
}

// start begins an agent process; what it returns ends it gracefully and waits.
func (b *bench) start(change ...func(*Options)) (p *process, end func()) {
	b.t.Helper()
	p = &process{record: b.rec}
	opt := b.options(p)
	for _, f := range change {
		f(&opt)
	}
	a, err := New(opt)
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := a.Run(ctx); err != nil {
			b.t.Error(err)
		}
	}()
	var once sync.Once
	end = func() {
		once.Do(func() {
			cancel(nil)
			<-done
		})
	}
	b.ended = append(b.ended, end)
	return p, end
}

// until waits, on virtual time, for a condition on the record, ticking it as a server does.
func (b *bench) until(what string, limit time.Duration, ok func(d deploy.Deployment) bool) deploy.Deployment {
	b.t.Helper()
	for end := time.Now().Add(limit); ; {
		d := b.rec.deployment()
		if ok(d) {
			return d
		}
		if time.Now().After(end) {
			b.t.Fatalf("%s: not within %s; status %s, reason %s, runs %v", what, limit, d.Status, d.Reason, b.world.did())
		}
		time.Sleep(100 * time.Millisecond)
		b.rec.set(func() {
			before := b.rec.d.Seq
			if err := b.rec.decide(engine.Tick{Watched: true}); err == nil && b.rec.d.Seq != before {
				b.rec.ring(client.Wakeup{Work: true})
			}
		})
	}
}

func finished(d deploy.Deployment) bool { return d.Status.Terminal() }

func stageIs(name string, st deploy.StageStatus) func(deploy.Deployment) bool {
	return func(d deploy.Deployment) bool {
		for _, s := range d.Stages {
			if s.Name == name && s.Status == st {
				return true
			}
		}
		return false
	}
}
