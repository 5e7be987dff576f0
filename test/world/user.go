package world

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect"
	"golang.org/x/crypto/argon2"

	"github.com/penstock-cd/penstock/internal/client"
	"github.com/penstock-cd/penstock/internal/deploy"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
	"github.com/penstock-cd/penstock/internal/git"
	"github.com/penstock-cd/penstock/internal/store"
)

// adminPassword is the PHC form of the admin's password "admin".
func adminPassword() string {
	key := argon2.IDKey([]byte("admin"), []byte("saltsaltsaltsalt"), 1, 8, 1, 32)
	return "$argon2id$v=19$m=8,t=1,p=1$" + base64.RawStdEncoding.EncodeToString([]byte("saltsaltsaltsalt")) + "$" + base64.RawStdEncoding.EncodeToString(key)
}

// User is a person's client: admin, ann (admin), bob (operator), eve (viewer).
func (w *World) User(name string) *client.Client {
	c := w.users[name]
	if c == nil {
		w.T.Fatalf("nobody is called %s", name)
	}
	return c
}

// Commit writes files to the main branch of a repository; an empty content
// removes a file. It returns the commit.
func (w *World) Commit(repo, message string, files map[string]string) string {
	w.T.Helper()
	c := git.Change{Branch: "main", Message: message, Files: map[string]string{}, Author: git.Signature{Name: "Dev", Email: "dev@penstock.test", When: time.Now()}}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if files[name] == "" {
			c.Remove = append(c.Remove, name)
			continue
		}
		c.Files[name] = files[name]
	}
	sha, err := w.Repos[repo].Commit(c)
	if err != nil {
		w.T.Fatalf("commit to %s: %v", repo, err)
	}
	w.tracef("commit %.7s to %s: %s", sha, repo, message)
	return sha
}

// FakeApp renders an application file of the fake platform. Keys of set are
// its orders; body is what else stands below spec, two spaces deep.
func FakeApp(name string, set map[string]string, body string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "apiVersion: pipecd.dev/v1beta1\nkind: FakeApp\nspec:\n  name: %s\n  input:\n", name)
	for _, k := range slices.Sorted(maps.Keys(set)) {
		fmt.Fprintf(&b, "    %s: %s\n", k, set[k])
	}
	return b.String() + strings.TrimRight(body, "\n") + "\n"
}

// FakeCanary is the pipeline of the main job on the fake platform.
const FakeCanary = `  pipeline:
    stages:
    - name: FAKE_CANARY_ROLLOUT
      with: {replicas: 1}
    - name: FAKE_TRAFFIC_ROUTING
      with: {canary: 20}
    - name: WAIT
      with: {duration: 150s}
    - name: FAKE_PRIMARY_ROLLOUT
    - name: FAKE_TRAFFIC_ROUTING
      with: {primary: 100}
    - name: FAKE_CANARY_CLEAN
`

// AppFile is the usual place of an application's file.
func AppFile(name string) string { return path.Join(name, "app.pipecd.yaml") }

// App returns an application by name as the record has it.
func (w *World) App(name string) (deploy.Application, bool) {
	w.T.Helper()
	var out deploy.Application
	found := false
	w.View(func(tx store.Tx) error {
		recs, err := tx.List(store.Applications, store.Query{Where: map[string][]string{"name": {strings.ToLower(name)}}, Limit: 1})
		if err != nil || len(recs) == 0 {
			return err
		}
		found = true
		return json.Unmarshal(recs[0].Body, &out)
	})
	return out, found
}

// listed is what was read of the deployments of an application, good until the record changes.
type listed struct {
	inst        *instance
	changed     int64
	deployments []deploy.Deployment
}

// Deployments lists the deployments of an application, oldest first. Worlds ask
// for them far more often than they change.
func (w *World) Deployments(app string) []deploy.Deployment {
	w.T.Helper()
	now := listed{inst: w.host.current(), changed: w.host.changed.Load()}
	if x, ok := w.listed.Load(app); ok && now.inst != nil {
		if x := x.(listed); x.inst == now.inst && x.changed == now.changed {
			return slices.Clone(x.deployments)
		}
	}
	now.deployments = w.readDeployments(app)
	w.listed.Store(app, now)
	return slices.Clone(now.deployments)
}

func (w *World) readDeployments(app string) []deploy.Deployment {
	w.T.Helper()
	a, ok := w.App(app)
	if !ok {
		return nil
	}
	var out []deploy.Deployment
	w.View(func(tx store.Tx) error {
		recs, err := tx.List(store.Deployments, store.Query{Where: map[string][]string{"application_id": {a.ID}}, Limit: 1000})
		for _, r := range recs {
			var d deploy.Deployment
			if err := json.Unmarshal(r.Body, &d); err != nil {
				return err
			}
			out = append(out, d)
		}
		return err
	})
	return out
}

// Deployment returns the n-th deployment of an application, from 1.
func (w *World) Deployment(app string, n int) (deploy.Deployment, bool) {
	all := w.Deployments(app)
	if n < 1 || n > len(all) {
		return deploy.Deployment{}, false
	}
	return all[n-1], true
}

// Sync asks for a deployment.
func (w *World) Sync(user, app, strategy string) error {
	a, ok := w.App(app)
	if !ok {
		return fmt.Errorf("there is no application %s", app)
	}
	_, err := w.User(user).Applications.SyncApplication(context.Background(), connect.NewRequest(&penstockv1.SyncApplicationRequest{ApplicationId: a.ID, Strategy: strategy}))
	return err
}

// Enable switches an application on or off.
func (w *World) Enable(user, app string, on bool) error {
	a, ok := w.App(app)
	if !ok {
		return fmt.Errorf("there is no application %s", app)
	}
	if !on {
		w.watch.release(a.ID)
	}
	_, err := w.User(user).Applications.SetApplicationEnabled(context.Background(), connect.NewRequest(&penstockv1.SetApplicationEnabledRequest{ApplicationId: a.ID, Enabled: on}))
	return err
}

// Cancel cancels a deployment.
func (w *World) Cancel(user, deployment, choice string) error {
	_, err := w.User(user).Deployments.CancelDeployment(context.Background(), connect.NewRequest(&penstockv1.CancelDeploymentRequest{DeploymentId: deployment, Choice: choice}))
	return err
}

// Decide approves, rejects or skips a stage.
func (w *World) Decide(verb, user, deployment, stage string) error {
	ctx, d := context.Background(), w.User(user).Deployments
	var err error
	switch verb {
	case "approve":
		_, err = d.ApproveStage(ctx, connect.NewRequest(&penstockv1.ApproveStageRequest{DeploymentId: deployment, StageId: stage}))
	case "reject":
		_, err = d.RejectStage(ctx, connect.NewRequest(&penstockv1.RejectStageRequest{DeploymentId: deployment, StageId: stage}))
	case "skip":
		_, err = d.SkipStage(ctx, connect.NewRequest(&penstockv1.SkipStageRequest{DeploymentId: deployment, StageId: stage}))
	}
	return err
}

// ApproveSeen approves a stage and says which changes were looked at.
func (w *World) ApproveSeen(user, deployment, stage, seen string) error {
	_, err := w.User(user).Deployments.ApproveStage(context.Background(), connect.NewRequest(&penstockv1.ApproveStageRequest{DeploymentId: deployment, StageId: stage, SeenDigest: seen}))
	return err
}

// RollBackTo starts a deployment of an earlier one's commit.
func (w *World) RollBackTo(user, deployment, note string) error {
	_, err := w.User(user).Deployments.RollBackTo(context.Background(), connect.NewRequest(&penstockv1.RollBackToRequest{DeploymentId: deployment, Note: note}))
	return err
}

// Ask asks the agent of an application something and waits for the answer.
func (w *World) Ask(user string, m *penstockv1.AskRequest) (*penstockv1.AskResponse, error) {
	res, err := w.User(user).Decisions.Ask(context.Background(), connect.NewRequest(m))
	if err != nil {
		return nil, err
	}
	return res.Msg, nil
}

// Retry starts a deployment again.
func (w *World) Retry(user, deployment string) error {
	_, err := w.User(user).Deployments.RetryDeployment(context.Background(), connect.NewRequest(&penstockv1.RetryDeploymentRequest{DeploymentId: deployment}))
	return err
}
