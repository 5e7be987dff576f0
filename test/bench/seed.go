package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/engine"
	"github.com/penstock-cd/penstock/internal/index"
	"github.com/penstock-cd/penstock/internal/store"
	"github.com/penstock-cd/penstock/internal/store/sqlite"
)

// seedProject is the project of the seeded database.
const seedProject = "default"

// seedBatch is how many deployments share a transaction. The store keeps what
// it needs to undo one call in a list that grows with its transaction: larger
// ones cost more for each deployment, not less.
const seedBatch = 30

// seeder makes what a large installation has after some weeks: every fact is
// decided by the engine, every record is the fold of its stream, with the index
// that the server keeps.
type seeder struct {
	apps   []deploy.Application
	now    time.Time
	n      int
	events int
	out    []written
}

// written is one call of a transaction: events for a stream, or a record.
type written struct {
	stream store.Stream
	after  int64
	topic  string
	events []deploy.Event

	to     store.Collection
	record store.Record
}

func (w written) write(tx store.Tx) error {
	if len(w.events) > 0 {
		return tx.Append(w.stream, w.after, w.topic, w.events)
	}
	return tx.Put(w.to, w.record)
}

// made is how long it took to make a database, on the clock and of work; zero
// when it was there.
type made struct{ took, work time.Duration }

// seeded gives the directory of a seeded database, which is made when it is
// not there.
func seeded(ctx context.Context, cache string, apps, deployments int) (dir string, m made, err error) {
	dir = filepath.Join(cache, fmt.Sprintf("seed-%d-%d", apps, deployments))
	if _, err := os.Stat(dir); err == nil {
		return dir, m, nil
	}
	from, before, fresh := time.Now(), cpuTime(), dir+".new"
	if err := os.RemoveAll(fresh); err != nil {
		return dir, m, err
	}
	st, err := sqlite.Open(ctx, fresh, sqlite.Options{NoSync: true})
	if err != nil {
		return dir, m, err
	}
	s := &seeder{now: time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC)}
	err = s.fill(ctx, st, apps, deployments)
	if cerr := st.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return dir, m, err
	}
	fmt.Fprintf(os.Stderr, "seeded %d applications, %d deployments, %d events\n", apps, deployments, s.events)
	return dir, made{time.Since(from), cpuTime() - before}, os.Rename(fresh, dir)
}

// fill decides in one goroutine and writes in this one.
func (s *seeder) fill(ctx context.Context, st store.Store, apps, deployments int) error {
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	batches, decided := make(chan []written, 8), make(chan error, 1)
	go func() {
		defer close(batches)
		decided <- s.decide(apps, deployments, func(batch []written) bool {
			select {
			case batches <- batch:
				return true
			case <-ctx.Done():
				return false
			}
		})
	}()
	for batch := range batches {
		err := st.Update(ctx, seedProject, func(tx store.Tx) error {
			for _, w := range batch {
				if err := w.write(tx); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	if err := <-decided; err != nil {
		return err
	}
	return st.Update(ctx, store.System, func(tx store.Tx) error { return index.MarkCurrent(tx, seedProject) })
}

// decide makes agents, applications and deployments and gives them away in
// batches, until there are enough or nobody takes them.
func (s *seeder) decide(apps, deployments int, give func([]written) bool) error {
	for i := range 20 {
		id := fmt.Sprintf("agent-%02d", i)
		body := fmt.Sprintf(`{"id":%q,"name":"%s","registeredAt":"2026-09-01T00:00:00Z"}`, id, id)
		s.out = append(s.out, written{to: store.Agents, record: store.Record{Key: id, Body: []byte(body), Index: map[string]string{"name": id}}})
	}
	s.apps = make([]deploy.Application, apps)
	for s.n < deployments {
		if err := s.deployment(s.n%apps, s.n+apps >= deployments); err != nil {
			return err
		}
		if s.n%seedBatch == 0 || s.n == deployments {
			if !give(s.out) {
				return nil
			}
			s.out = nil
		}
		if s.n%5000 == 0 {
			fmt.Fprintf(os.Stderr, "seeding: %d deployments, %d events\n", s.n, s.events)
		}
	}
	return nil
}

var (
	seedTeams = []string{"payments", "search", "identity", "checkout", "media", "platform", "growth", "data"}
	seedNouns = []string{"api", "worker", "web", "gateway", "scheduler", "indexer", "mailer", "importer", "cache", "proxy"}
	seedEnvs  = []string{"dev", "staging", "prod"}
	seedKinds = []string{"ECSApp", "KubernetesApp", "LambdaApp", "TerraformApp", "CloudRunApp"}
	people    = []string{"ann", "bob", "eve", "tanaka", "mori", "sato"}
)

// ref is application i of the fleet. Each name is there three times, once for
// each environment.
func ref(i int) deploy.Ref {
	team, noun, env := seedTeams[i/3%len(seedTeams)], seedNouns[i/24%len(seedNouns)], seedEnvs[i%3]
	kind := seedKinds[i/3%5]
	name := fmt.Sprintf("%s-%s-%d", team, noun, i/240)
	return deploy.Ref{
		ID: fmt.Sprintf("app-%06d", i), Name: name, Kind: deploy.Kind(kind), AgentID: fmt.Sprintf("agent-%02d", i/3%20), Provider: env + "-" + kind,
		RepoID: "repo-" + team, Branch: "main", Path: team + "/" + noun + "/" + env, ConfigFile: "app.pipecd.yaml",
		Labels: map[string]string{"team": team, "env": env, "tier": fmt.Sprint(i % 4)},
	}
}

// deployment takes one deployment of an application through the engine. The
// last ones of some are left where they wait for a person.
func (s *seeder) deployment(i int, newest bool) error {
	a := &s.apps[i]
	if a.ID == "" {
		if err := s.app(a, engine.Register{ProjectID: seedProject, App: ref(i)}); err != nil {
			return err
		}
	}
	s.n++
	s.now = s.now.Add(time.Minute)
	id := fmt.Sprintf("%012x-%08d", s.now.UnixMilli(), s.n)
	who := people[s.n%len(people)]
	commit := deploy.Commit{Hash: fmt.Sprintf("%040x", uint64(s.n)*0x9e3779b97f4a7c15), Subject: "Change " + a.Name, Author: who, Email: who + "@example.com", Time: s.now}
	t := deploy.Trigger{Kind: deploy.OnCommit, Commit: commit, Branch: "main", Strategy: deploy.StrategyAuto, Why: deploy.Why(deploy.ReasonVersionChange, "from", "v1", "to", "v2"), Key: id}
	if s.n%10 == 0 {
		t.Kind, t.By = deploy.OnCommand, who
	}
	if err := s.app(a, engine.Enqueue{DeploymentID: id, Trigger: t.Kind, Commit: commit.Hash}, engine.AdmitNext{}); err != nil {
		return err
	}
	d, err := s.run(id, a.Ref, t, s.n%13 == 0, newest && i%50 == 0)
	if err != nil {
		return err
	}
	if d.Status.Terminal() {
		if err := s.app(a, engine.Ended{Deployment: d}); err != nil {
			return err
		}
	}
	rec, err := index.Application(*a, "")
	s.out = append(s.out, written{to: store.Applications, record: rec})
	return err
}

// seedPlan is a canary with six platform stages of two steps and an approval.
func seedPlan(n int) deploy.Plan {
	p := deploy.Plan{
		Strategy: deploy.StrategyPipeline, Why: deploy.Why(deploy.ReasonVersionChange, "from", "v1", "to", "v2"), Timeout: time.Hour, RollbackLimit: time.Hour, AutoRollback: true,
		DesiredDigest: fmt.Sprintf("d%d", n), Account: "111122223333/ap-northeast-1", Versions: []deploy.Version{{Kind: "CONTAINER_IMAGE", Name: "app", Version: fmt.Sprintf("v%d", n)}},
		Rollback: []deploy.PlanStage{{ID: "back", Name: "ROLLBACK", Type: deploy.StagePlatform, Steps: []deploy.PlanStep{{Name: "do"}}, Timeout: time.Hour}},
	}
	for i := range 6 {
		p.Stages = append(p.Stages, deploy.PlanStage{
			ID: fmt.Sprintf("s%d", i), Name: "CANARY_ROLLOUT", Type: deploy.StagePlatform, Steps: []deploy.PlanStep{{Name: "write"}, {Name: "settle"}}, Timeout: time.Hour,
			Options: json.RawMessage(`{"scale":{"unit":"percent","value":10},"settleTime":"30s"}`), Holds: true,
		})
	}
	ok := deploy.PlanStage{ID: "ok", Name: "WAIT_APPROVAL", Type: deploy.StageApproval, Approvers: []string{"ann", "mori"}, Approvals: 1, Timeout: time.Hour}
	p.Stages = append(p.Stages[:4], append([]deploy.PlanStage{ok}, p.Stages[4:]...)...)
	return p
}

// run takes a deployment to its end, to a failure that is rolled back, or to its approval.
func (s *seeder) run(id string, app deploy.Ref, t deploy.Trigger, fails, waits bool) (deploy.Deployment, error) {
	var d deploy.Deployment
	var all []deploy.Event
	at := s.now
	do := func(in engine.Input) error {
		at = at.Add(time.Second)
		events, err := engine.Decide(d, in, at)
		for _, e := range events {
			if err == nil {
				e.ID, e.Actor = fmt.Sprintf("%s-%03d", id, len(all)), "agent:"+app.AgentID
				all = append(all, e)
				d, err = engine.Apply(d, e)
			}
		}
		return err
	}
	plan := seedPlan(s.n)
	err := do(engine.Trigger{ID: id, ProjectID: seedProject, App: app, Trigger: t})
	for _, in := range []engine.Input{engine.Admit{PlanDeadline: at.Add(time.Hour)}, engine.Assign{Holder: "p1", Epoch: 1}, engine.Planned{Epoch: 1, Plan: plan}} {
		if err == nil {
			err = do(in)
		}
	}
	for err == nil && !d.Status.Terminal() {
		i := d.Current()
		if i < 0 {
			return d, fmt.Errorf("deployment %s is %s without a stage", id, d.Status)
		}
		st := d.Stages[i]
		switch {
		case st.Type == deploy.StageApproval && waits:
			return d, s.keep(d, all)
		case st.Type == deploy.StageApproval:
			err = do(engine.Approve{Stage: st.ID, By: "ann", Note: "looks good"})
		case fails && st.ID == "s5":
			err = do(engine.StepReport{Epoch: 1, Stage: st.ID, Attempt: st.Attempt, Step: st.Step, Failed: true, Reason: deploy.Why(deploy.ReasonStepFailed)})
		default:
			err = do(engine.StepReport{Epoch: 1, Stage: st.ID, Attempt: st.Attempt, Step: st.Step, LiveDigest: "l"})
		}
	}
	if err != nil {
		return d, err
	}
	return d, s.keep(d, all)
}

// keep gives away the stream of a deployment and its record.
func (s *seeder) keep(d deploy.Deployment, events []deploy.Event) error {
	s.events += len(events)
	rec, err := index.Deployment(d)
	s.out = append(s.out, written{stream: store.Stream{Kind: deploy.StreamDeployment, ID: d.ID}, topic: d.App.ID, events: events}, written{to: store.Deployments, record: rec})
	return err
}

// app lets the engine decide about an application and gives away what follows.
func (s *seeder) app(a *deploy.Application, inputs ...engine.AppInput) error {
	before := a.Seq
	var all []deploy.Event
	for _, in := range inputs {
		events, err := engine.DecideApp(*a, in, s.now)
		if err != nil {
			return err
		}
		for _, e := range events {
			e.ID, e.Actor = fmt.Sprintf("%012x-%08d-%d-a", s.now.UnixMilli(), s.n, a.Seq), "server"
			all = append(all, e)
			if *a, err = engine.ApplyApp(*a, e); err != nil {
				return err
			}
		}
	}
	s.events += len(all)
	s.out = append(s.out, written{stream: store.Stream{Kind: deploy.StreamApplication, ID: a.ID}, after: before, topic: a.ID, events: all})
	return nil
}
