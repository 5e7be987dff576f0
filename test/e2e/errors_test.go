//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/penstock-cd/penstock/internal/client"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
	"github.com/penstock-cd/penstock/internal/git"
	"github.com/penstock-cd/penstock/internal/git/githttp"
	"github.com/penstock-cd/penstock/test/kit"
)

const (
	project = "default"
	repo    = "apps.git"
	secret  = "a webhook secret of the test"
)

// world is a control plane, an agent and a cloud in processes of their own, and a git host in this one.
type world struct {
	t       *testing.T
	cloud   *cloud
	server  *controlPlane
	agent   *program
	api     *client.Client
	git     *githttp.Server
	remote  string
	stage   kit.Cluster
	routes  map[string]kit.Route
	conf    kit.Agent
	version int    // of the application that goes on: shop
	head    string // the newest commit
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, cloud: startCloud(t, "ideal"), server: startServer(t, "--auto-register"), routes: map[string]kit.Route{}}
	w.buildStage()
	w.serveGit()
	w.login()
	made, err := w.api.Projects.RegisterAgent(t.Context(), connect.NewRequest(&penstockv1.RegisterAgentRequest{RequestId: "agent", Name: "e2e"}))
	must(t, err)
	w.conf = kit.Agent{
		Project: project, ID: made.Msg.Agent.Id, Key: made.Msg.Key, Server: w.server.url, Endpoint: w.cloud.Endpoint, Settle: "1s",
		Repositories: map[string]string{"apps": w.remote, "gone": "http://127.0.0.1:1/gone.git"},
	}
	w.agent = w.startAgent(w.conf)
	return w
}

func (w *world) startAgent(conf kit.Agent) *program {
	w.t.Helper()
	return start(w.t, w.cloud.env(), "agent", "--config-data", conf.ConfigData(), "--data-dir", w.t.TempDir(), "--log-level", "debug")
}

func (w *world) buildStage() {
	w.t.Helper()
	conf := aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String(w.cloud.Endpoint),
		Credentials: credentials.NewStaticCredentialsProvider(w.cloud.AccessKeyID, w.cloud.SecretAccessKey, ""),
	}
	var err error
	w.stage, err = kit.NewCluster(w.t.Context(), conf, "e2e")
	must(w.t, err)
	for i, name := range []string{"shop", "other"} {
		w.routes[name], err = w.stage.NewRoute(w.t.Context(), name, int32(80+i))
		must(w.t, err)
	}
}

func (w *world) serveGit() {
	w.t.Helper()
	var err error
	w.git, err = githttp.New(w.t.Context(), w.t.TempDir(), githttp.Options{})
	must(w.t, err)
	must(w.t, w.git.CreateRepo(w.t.Context(), repo, "main"))
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(w.t, err)
	srv := &http.Server{Handler: w.git, ReadHeaderTimeout: 10 * time.Second}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(ln) }()
	w.t.Cleanup(func() { _ = srv.Close(); <-done })
	w.remote = "http://" + ln.Addr().String() + "/" + repo
}

func (w *world) login() {
	w.t.Helper()
	res, err := client.New(client.Config{Server: w.server.url}).Projects.Login(w.t.Context(), connect.NewRequest(&penstockv1.LoginRequest{Username: adminName, Password: adminPassword}))
	must(w.t, err)
	w.api = client.New(client.Config{Server: w.server.url, Token: res.Msg.Token})
	_, err = w.api.Projects.UpdateProject(w.t.Context(), connect.NewRequest(&penstockv1.UpdateProjectRequest{RequestId: "hook", WebhookSecret: ptr(secret)}))
	must(w.t, err)
}

func ptr[T any](v T) *T { return &v }

// files are those of one application.
func (w *world) files(name, version string, stages ...string) map[string]string {
	return map[string]string{
		name + "/app.pipecd.yaml": kit.AppFile(name, w.routes[name], stages...),
		name + "/servicedef.yaml": kit.ServiceFile(w.stage.ARN, name, 1),
		name + "/taskdef.yaml":    kit.TaskFile(name, version),
	}
}

// commit writes files together with a new version of shop, which has to go on whatever becomes of the other application.
func (w *world) commit(files map[string]string) {
	w.t.Helper()
	w.version++
	for path, content := range w.files("shop", w.shopVersion()) {
		files[path] = content
	}
	var err error
	w.head, err = w.git.Commit(w.t.Context(), repo, "main", "Ship "+w.shopVersion(), files, git.Signature{Name: "E2E", Email: "e2e@localhost"})
	must(w.t, err)
	must(w.t, kit.Push(w.t.Context(), w.server.url, project, secret, w.remote))
}

func (w *world) shopVersion() string { return fmt.Sprintf("v%d", w.version) }

// shopGoesOn waits until the newest version of shop is deployed and answers.
func (w *world) shopGoesOn() {
	w.t.Helper()
	w.await("shop", time.Minute, "shop is deployed", func(d *penstockv1.Deployment) bool {
		return d.Display == "SUCCESS" && slices.ContainsFunc(d.GetPlan().GetVersions(), func(v *penstockv1.Version) bool { return v.Version == w.shopVersion() })
	})
	onlyVersion(w.t, w.cloud.listenerAddr(w.routes["shop"].Listener), w.shopVersion(), 5*time.Second)
}

func (w *world) application(name string) (*penstockv1.Application, error) {
	res, err := w.api.Applications.GetApplication(w.t.Context(), connect.NewRequest(&penstockv1.GetApplicationRequest{Application: name}))
	if err != nil {
		return nil, err
	}
	return res.Msg.Application, nil
}

// await waits for the application's deployment of the newest commit to be as wished and gives it.
func (w *world) await(app string, within time.Duration, what string, ok func(*penstockv1.Deployment) bool) *penstockv1.Deployment {
	w.t.Helper()
	return await(w.t, within, what, func() (*penstockv1.Deployment, error) {
		d, err := w.newest(app)
		if err == nil && (d.GetTrigger().GetCommit().GetHash() != w.head || !ok(d)) {
			err = fmt.Errorf("%s of %.7s is %s, reason %s, failed %s, stages %v", d.Id, d.GetTrigger().GetCommit().GetHash(), d.Display, d.GetReason().GetText(), d.GetFailed().GetText(), stages(d))
		}
		return d, err
	})
}

func (w *world) newest(app string) (*penstockv1.Deployment, error) {
	a, err := w.application(app)
	if err != nil {
		return nil, err
	}
	id := a.CurrentDeploymentId
	if id == "" {
		id = a.LastDeploymentId
	}
	if id == "" {
		return nil, errors.New("there is no deployment yet")
	}
	res, err := w.api.Deployments.GetDeployment(w.t.Context(), connect.NewRequest(&penstockv1.GetDeploymentRequest{DeploymentId: id}))
	if err != nil {
		return nil, err
	}
	return res.Msg.Deployment, nil
}

func stages(d *penstockv1.Deployment) []string {
	var out []string
	for _, s := range d.Stages {
		out = append(out, strings.TrimSpace(s.Name+" "+s.Status+" "+s.GetReason().GetText()+" "+s.GetWaiting().GetText()))
	}
	return out
}

// says fails unless the text names everything that a person needs.
func says(t *testing.T, what, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%s does not name %q: %s", what, p, text)
		}
	}
}

// What goes wrong in the files, the cloud, the repository or the keys of one application is named where a person looks for
// it, and the other application goes on.
func TestClearErrorsWhileOthersGoOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.commit(w.files("other", "v1"))
	w.shopGoesOn()
	w.await("other", time.Minute, "other is deployed", func(d *penstockv1.Deployment) bool { return d.Display == "SUCCESS" })
	for _, c := range []struct {
		name string
		run  func(*world)
	}{
		{"unreachable repository", (*world).unreachableRepository},
		{"malformed YAML", (*world).malformedYAML},
		{"missing task definition", (*world).missingTaskDefinition},
		{"unattached target group", (*world).unattachedGroup},
		{"throttled API", (*world).throttledAPI},
		{"foreign weight change", (*world).foreignWeights},
		{"unknown key", (*world).unknownKey},
		{"removed key", (*world).removedKey},
	} {
		if !t.Run(c.name, func(t *testing.T) { sub := *w; sub.t = t; c.run(&sub); w.version, w.head = sub.version, sub.head }) {
			t.Logf("%s: the cases behind it may fail with it", c.name)
		}
	}
}

func (w *world) unreachableRepository() {
	says(w.t, "the repository's error", await(w.t, 30*time.Second, "an error of the repository", func() (string, error) {
		res, err := w.api.Projects.ListAgents(w.t.Context(), connect.NewRequest(&penstockv1.ListAgentsRequest{}))
		if err != nil {
			return "", err
		}
		for _, r := range res.Msg.Agents[0].Repositories {
			if r.Id == "gone" && r.Error != "" {
				return r.Error, nil
			}
			if r.Id == "apps" && r.Error != "" {
				w.t.Errorf("the reachable repository has an error: %s", r.Error)
			}
		}
		return "", fmt.Errorf("repositories: %v", res.Msg.Agents[0].Repositories)
	}), "127.0.0.1:1")
}

func (w *world) malformedYAML() {
	files := w.files("other", "v2")
	files["other/app.pipecd.yaml"] = "apiVersion: pipecd.dev/v1beta1\nkind: ECSApp\nspec:\n  name: other\n  input: [\n  pipeline: {}}\n"
	w.commit(files)
	a := await(w.t, 20*time.Second, "the application to say that its file is wrong", func() (*penstockv1.Application, error) {
		a, err := w.application("other")
		if err == nil && a.InvalidDetail == "" {
			err = fmt.Errorf("sync state %s", a.SyncState)
		}
		return a, err
	})
	says(w.t, "the application's error", a.InvalidDetail, "other/app.pipecd.yaml:")
	if a.SyncState != "INVALID_CONFIG" || a.Health == "UNHEALTHY" {
		w.t.Errorf("sync state %s, health %s", a.SyncState, a.Health)
	}
	w.shopGoesOn()
}

func (w *world) missingTaskDefinition() {
	files := w.files("other", "v2")
	files["other/app.pipecd.yaml"] = strings.Replace(files["other/app.pipecd.yaml"], "taskDefinitionFile: taskdef.yaml", "taskDefinitionFile: no-such-file.yaml", 1)
	w.commit(files)
	d := w.await("other", 30*time.Second, "a failed deployment", func(d *penstockv1.Deployment) bool { return d.Display == "FAILURE" })
	says(w.t, "the deployment's reason", d.GetReason().GetText()+d.GetFailed().GetText(), "no-such-file.yaml")
	w.shopGoesOn()
	if a, err := w.application("other"); err != nil || a.InvalidDetail != "" {
		w.t.Errorf("the file itself is fine again: %q, %v", a.GetInvalidDetail(), err)
	}
}

func (w *world) unattachedGroup() {
	loose, err := w.stage.NewGroup(w.t.Context(), "loose")
	must(w.t, err)
	files := w.files("other", "v2")
	files["other/app.pipecd.yaml"] = strings.Replace(files["other/app.pipecd.yaml"], w.routes["other"].Primary, loose, 1)
	w.commit(files)
	d := w.await("other", 90*time.Second, "a failed deployment", func(d *penstockv1.Deployment) bool { return d.Display == "FAILURE" || d.Display == "ROLLED_BACK" })
	says(w.t, "the deployment's reason", d.GetReason().GetText()+d.GetFailed().GetText(), "loose")
	w.shopGoesOn()
}

func (w *world) throttledAPI() {
	w.cloud.admin(http.MethodPost, "faults", map[string]any{"operation": "ecs.CreateTaskSet", "code": "ThrottlingException", "message": "Rate exceeded"}, nil)
	w.commit(w.files("other", "v2"))
	seen := ""
	w.await("other", time.Minute, "a stage that says it is throttled", func(d *penstockv1.Deployment) bool {
		seen = strings.Join(stages(d), "; ")
		return d.Status == "RUNNING" && strings.Contains(strings.ToLower(seen), "throttl")
	})
	says(w.t, "the stage", seen, "ecs:CreateTaskSet")
	w.cloud.admin(http.MethodDelete, "faults", nil, nil)
	w.await("other", 2*time.Minute, "other to be deployed once calls are answered again", func(d *penstockv1.Deployment) bool { return d.Display == "SUCCESS" })
	w.shopGoesOn()
}

func (w *world) foreignWeights() {
	w.commit(w.files("other", "v3", "name: ECS_CANARY_ROLLOUT\n        with: {scale: 100}", "name: ECS_TRAFFIC_ROUTING\n        with: {canary: 20}",
		"name: WAIT\n        with: {duration: 10m}", "name: ECS_PRIMARY_ROLLOUT", "name: ECS_TRAFFIC_ROUTING\n        with: {primary: 100}", "name: ECS_CANARY_CLEAN"))
	w.await("other", 90*time.Second, "WAIT", func(d *penstockv1.Deployment) bool {
		return slices.ContainsFunc(d.Stages, func(s *penstockv1.Stage) bool { return s.Name == "WAIT" && s.Status == "RUNNING" })
	})
	must(w.t, w.stage.SetWeights(w.t.Context(), w.routes["other"], 70))
	d := w.await("other", 30*time.Second, "the deployment to stop for a person", func(d *penstockv1.Deployment) bool { return d.FinishedAt != nil })
	if d.Display != "NEEDS_ATTENTION" {
		w.t.Errorf("the deployment ended %s, want NEEDS_ATTENTION", d.Display)
	}
	says(w.t, "the deployment's reason", d.GetReason().GetText()+d.GetFailed().GetText(), "omebody else", "default actions of listener", "canary 20 %", "70 %")
	got := answers(w.t, w.cloud.listenerAddr(w.routes["other"].Listener), 200)
	if got["v3"] < 100 {
		w.t.Errorf("the weights that somebody set were overwritten: %v", got)
	}
	w.shopGoesOn()
}

func (w *world) unknownKey() {
	conf := w.conf
	conf.Key = "psa_" + strings.Repeat("0", 43)
	stranger := w.startAgent(conf)
	text := await(w.t, 20*time.Second, "the agent to say that its key is not known", func() (string, error) {
		s := stranger.err.String()
		if !strings.Contains(s, "level=ERROR") {
			return s, errors.New("it says: " + tail(s, 5))
		}
		return s, nil
	})
	says(w.t, "the agent's log", text, "the credential is unknown or has expired", "make a new one")
	if strings.Contains(text, conf.Key) {
		w.t.Error("the agent's log shows the key")
	}
	stranger.stop()
	w.commit(map[string]string{})
	w.shopGoesOn()
}

func (w *world) removedKey() {
	res, err := w.api.Projects.ListAgents(w.t.Context(), connect.NewRequest(&penstockv1.ListAgentsRequest{}))
	must(w.t, err)
	_, err = w.api.Projects.SetAgentEnabled(w.t.Context(), connect.NewRequest(&penstockv1.SetAgentEnabledRequest{RequestId: "off", AgentId: res.Msg.Agents[0].Id}))
	must(w.t, err)
	await(w.t, 30*time.Second, "the application to say that no agent is there", func() (bool, error) {
		a, err := w.application("shop")
		if err == nil && a.AgentOnline {
			err = errors.New("its agent is still shown online")
		}
		return true, err
	})
	ctx, cancel := context.WithTimeout(w.t.Context(), 30*time.Second)
	defer cancel()
	_, err = w.api.Projects.SetAgentEnabled(ctx, connect.NewRequest(&penstockv1.SetAgentEnabledRequest{RequestId: "on", AgentId: res.Msg.Agents[0].Id, Enabled: true}))
	must(w.t, err)
	w.commit(map[string]string{})
	w.shopGoesOn() // nothing was lost
}
