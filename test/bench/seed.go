package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/engine"
	"github.com/penstock-cd/penstock/internal/store"
	"github.com/penstock-cd/penstock/internal/store/sqlite"
)

// seedProject is the project of the seeded database.
const seedProject = "default"

// seedBatch is how many applications share a transaction.
const seedBatch = 100

// seeder fills a store with what a large installation has after some weeks:
// every fact is decided by the engine and appended to its stream, every record
// is the fold of its stream.
type seeder struct {
	apps   []deploy.Application
	now    time.Time
	n      int
	events int
}

// seeded gives the directory of a seeded database, which is made when it is
// not there, and how long that took.
func seeded(ctx context.Context, cache string, apps, deployments int) (dir string, took time.Duration, err error) {
	dir = filepath.Join(cache, fmt.Sprintf("seed-%d-%d", apps, deployments))
	if _, err := os.Stat(dir); err == nil {
		return dir, 0, nil
	}
	from, fresh := time.Now(), dir+".new"
	if err := os.RemoveAll(fresh); err != nil {
		return dir, 0, err
	}
	st, err := sqlite.Open(ctx, fresh, sqlite.Options{NoSync: true})
	if err != nil {
		return dir, 0, err
	}
	s := &seeder{now: time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC)}
	err = s.fill(ctx, st, apps, deployments)
	if cerr := st.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return dir, 0, err
	}
	fmt.Fprintf(os.Stderr, "seeded %d applications, %d deployments, %d events\n", apps, deployments, s.events)
	return dir, time.Since(from), os.Rename(fresh, dir)
}

func (s *seeder) fill(ctx context.Context, st store.Store, apps, deployments int) error {
	err := st.Update(ctx, seedProject, func(tx store.Tx) error {
		for i := range 20 {
			id := fmt.Sprintf("agent-%02d", i)
			body := fmt.Sprintf(`{"id":%q,"name":"%s","registeredAt":"2026-09-01T00:00:00Z"}`, id, id)
			if err := tx.Put(store.Agents, store.Record{Key: id, Body: []byte(body), Index: map[string]string{"name": id}}); err != nil {
				return err
			}
		}
		return nil
	})
	s.apps = make([]deploy.Application, apps)
	for round := 0; err == nil && s.n < deployments; round++ {
		for from := 0; err == nil && from < apps && s.n < deployments; from += seedBatch {
			to := min(apps, from+seedBatch, from+deployments-s.n)
			err = st.Update(ctx, seedProject, func(tx store.Tx) error {
				for i := from; i < to; i++ {
					if err := s.deployment(tx, i, s.n+apps >= deployments); err != nil {
						return err
					}
				}
				return nil
			})
		}
		fmt.Fprintf(os.Stderr, "seeding: %d deployments, %d events\n", s.n, s.events)
	}
	return err
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
func (s *seeder) deployment(tx store.Tx, i int, newest bool) error {
	a := &s.apps[i]
	if a.ID == "" {
		if err := s.app(tx, a, engine.Register{ProjectID: seedProject, App: ref(i)}); err != nil {
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
	if err := s.app(tx, a, engine.Enqueue{DeploymentID: id, Trigger: t.Kind, Commit: commit.Hash}, engine.AdmitNext{}); err != nil {
		return err
	}
	d, err := s.run(tx, id, a.Ref, t, s.n%13 == 0, newest && i%50 == 0)
	if err != nil || !d.Status.Terminal() {
		return err
	}
	return s.app(tx, a, engine.Ended{Deployment: d})
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
func (s *seeder) run(tx store.Tx, id string, app deploy.Ref, t deploy.Trigger, fails, waits bool) (deploy.Deployment, error) {
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
			return d, s.keep(tx, d, all)
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
	return d, s.keep(tx, d, all)
}

// keep appends the stream of a deployment and stores its fold. The index is
// worked out by the server when it opens the database.
func (s *seeder) keep(tx store.Tx, d deploy.Deployment, events []deploy.Event) error {
	s.events += len(events)
	if err := tx.Append(store.Stream{Kind: deploy.StreamDeployment, ID: d.ID}, 0, d.App.ID, events); err != nil {
		return err
	}
	body, err := json.Marshal(d)
	if err != nil {
		return err
	}
	return tx.Put(store.Deployments, store.Record{Key: d.ID, Body: body, Index: map[string]string{"application_id": d.App.ID, "status": string(d.Status)}})
}

// app lets the engine decide about an application.
func (s *seeder) app(tx store.Tx, a *deploy.Application, inputs ...engine.AppInput) error {
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
	if err := tx.Append(store.Stream{Kind: deploy.StreamApplication, ID: a.ID}, before, a.ID, all); err != nil {
		return err
	}
	body, err := json.Marshal(*a)
	if err != nil {
		return err
	}
	return tx.Put(store.Applications, store.Record{Key: a.ID, Body: body, Index: map[string]string{"name": a.Name, "agent_id": a.AgentID, "repo_id": a.RepoID, "kind": string(a.Kind)}})
}
