package demo

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"connectrpc.com/connect"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/penstock-cd/penstock/internal/agent/piped"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
	"github.com/penstock-cd/penstock/internal/gen/penstock/v1/penstockv1connect"
	"github.com/penstock-cd/penstock/internal/git"
	"github.com/penstock-cd/penstock/internal/git/githttp"
	"github.com/penstock-cd/penstock/internal/launch"
	"github.com/penstock-cd/penstock/internal/localcloud"
	"github.com/penstock-cd/penstock/internal/localcloud/runtime/process"
	"github.com/penstock-cd/penstock/internal/platform/builtin"
	"github.com/penstock-cd/penstock/internal/server"
)

// project is the project of the demo.
const project = "demo"

// gitDelay is the latency of the demo's git host.
const gitDelay = 30 * time.Millisecond

// world is everything that runs.
type world struct {
	opt      Options
	runtime  *process.Runtime
	cloud    *localcloud.Cloud
	stage    stageSet
	target   target
	git      *githttp.Server
	gitHTTP  *http.Server
	gitURL   string
	server   *launch.Server
	password string
	token    string
	secret   string // of the webhook
	agentID  string
	agentEnd chan error

	apps    penstockv1connect.ApplicationServiceClient
	deploys penstockv1connect.DeploymentServiceClient
	closers []func()
}

func random() string {
	b := make([]byte, 12)
	if _, err := rand.Read(b); err != nil {
		panic(err)
	}
	return hex.EncodeToString(b)
}

// startWorld starts all parts; what was started is closed again on failure.
func startWorld(ctx context.Context, dir string, o Options) (*world, error) {
	w := &world{opt: o, password: random(), secret: random(), agentEnd: make(chan error, 1)}
	k, _ := kindOf(o.Platform) // fits has looked
	w.target = k.target(w)
	for _, step := range []struct {
		name string
		run  func(context.Context, string) error
	}{
		{"local cloud", w.startCloud}, {"git host", w.startGit}, {"control plane", w.startServer}, {"agent", w.startAgent},
	} {
		if err := step.run(ctx, dir); err != nil {
			w.close()
			return nil, fmt.Errorf("start the %s: %w", step.name, err)
		}
	}
	return w, nil
}

func (w *world) onClose(f func()) { w.closers = append(w.closers, f) }

// close ends everything, last started first.
func (w *world) close() {
	for i := len(w.closers) - 1; i >= 0; i-- {
		w.closers[i]()
	}
	w.closers = nil
}

func (w *world) startCloud(ctx context.Context, _ string) error {
	catalogue, err := process.DemoCatalogue()
	if err != nil {
		return err
	}
	if w.runtime, err = process.New(process.Options{Catalogue: catalogue}); err != nil {
		return err
	}
	w.onClose(w.runtime.Close)
	profile, err := localcloud.ProfileNamed(w.opt.Profile)
	if err != nil {
		return err
	}
	w.cloud, err = localcloud.New(localcloud.Options{
		Listen: "127.0.0.1:0", Profile: profile, Runtime: w.runtime, Seed: uint64(time.Now().UnixNano()),
		ListenerAddr: func(int) string { return "127.0.0.1:0" }, FunctionAddr: func() string { return "127.0.0.1:0" }, Log: w.opt.Logger.With("part", "cloud"),
	})
	if err != nil {
		return err
	}
	if err := w.cloud.Start(ctx); err != nil {
		return err
	}
	w.onClose(func() { _ = w.cloud.Close() })
	return w.target.prepare(ctx)
}

func (w *world) startGit(ctx context.Context, dir string) error {
	var err error
	if w.git, err = githttp.New(ctx, filepath.Join(dir, "git"), githttp.Options{Latency: gitDelay, OnPush: func(githttp.Push) { w.webhook() }}); err != nil {
		return err
	}
	if err := w.git.CreateRepo(ctx, "shop.git", "main"); err != nil {
		return err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	w.gitURL = "http://" + ln.Addr().String() + "/shop.git"
	w.gitHTTP = &http.Server{Handler: w.git, ReadHeaderTimeout: 10 * time.Second}
	done := make(chan struct{})
	go func() { defer close(done); _ = w.gitHTTP.Serve(ln) }()
	w.onClose(func() { _ = w.gitHTTP.Close(); <-done })
	return nil
}

func (w *world) startServer(ctx context.Context, dir string) error {
	var err error
	w.server, err = launch.StartServer(ctx, launch.ServerConfig{
		DataDir: filepath.Join(dir, "server"), Listen: w.opt.Listen, Web: w.opt.Web, Version: w.opt.Version, Logger: w.opt.Logger.With("part", "server"),
		Admin:   server.Admin{Username: "admin", PasswordHash: server.HashPassword(w.password)},
		Project: server.ProjectConfig{ID: project, Name: "Demo", AutoRegister: true, WebhookSecret: w.secret},
	})
	if err != nil {
		return err
	}
	w.onClose(func() { _ = w.server.Close() })
	login := penstockv1connect.NewProjectServiceClient(http.DefaultClient, w.server.URL)
	res, err := login.Login(ctx, connect.NewRequest(&penstockv1.LoginRequest{Username: "admin", Password: w.password}))
	if err != nil {
		return err
	}
	w.token = res.Msg.Token
	auth := connect.WithInterceptors(bearer(w.token))
	w.apps = penstockv1connect.NewApplicationServiceClient(http.DefaultClient, w.server.URL, auth)
	w.deploys = penstockv1connect.NewDeploymentServiceClient(http.DefaultClient, w.server.URL, auth)
	return nil
}

// bearer puts the demo's own login into calls.
func bearer(token string) connect.UnaryInterceptorFunc {
	return func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
			req.Header().Set("Authorization", "Bearer "+token)
			return next(ctx, req)
		}
	}
}

// startAgent writes an agent's configuration as a team keeps it, base64, and
// starts the agent with it.
func (w *world) startAgent(ctx context.Context, dir string) error {
	identity, key, err := w.server.MakeAgent(ctx, project, "demo-agent", "user:admin")
	if err != nil {
		return err
	}
	w.agentID = identity.AgentID()
	name, kind := w.target.provider()
	file := fmt.Sprintf(`apiVersion: pipecd.dev/v1beta1
kind: Piped
spec:
  projectID: %s
  pipedID: %s
  pipedKeyData: %s
  apiAddress: %s
  repositories:
    - repoId: shop
      remote: %s
      branch: main
  platformProviders:
    - name: %s
      type: %s
      config:
        region: us-east-1
        endpoint: %s
        settleTime: %s
`, project, w.agentID, base64.StdEncoding.EncodeToString([]byte(key)), w.server.URL, w.gitURL, name, kind, w.cloud.Endpoint(), w.opt.Settle)
	conf, err := piped.Read(ctx, piped.Source{Data: base64.StdEncoding.EncodeToString([]byte(file))}, piped.Options{})
	if err != nil {
		return err
	}
	a, err := launch.NewAgent(launch.AgentConfig{
		Config: conf, DataDir: filepath.Join(dir, "agent"), Version: w.opt.Version, Logger: w.opt.Logger.With("part", "agent"), Metrics: prometheus.NewRegistry(),
		Platforms: builtin.Platforms(builtin.Options{Logger: w.opt.Logger, AWS: builtin.AWS{Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return w.cloud.Credentials(), nil
		})}}),
	})
	if err != nil {
		return err
	}
	loop, stop := context.WithCancel(context.WithoutCancel(ctx))
	go func() { w.agentEnd <- a.Run(loop) }()
	w.onClose(func() {
		stop()
		if err := <-w.agentEnd; err != nil {
			w.opt.Logger.Warn("the agent ended", "error", err)
		}
	})
	return nil
}

// commit changes the demo's repository and tells the control plane, as a
// webhook of a git host does.
func (w *world) commit(ctx context.Context, message string, files map[string]string) (string, error) {
	sha, err := w.git.Commit(ctx, "shop.git", "main", message, files, git.Signature{Name: "Demo", Email: "demo@localhost", When: time.Now()})
	if err != nil {
		return "", err
	}
	w.webhook()
	return sha, nil
}

// webhook sends GitHub's push event with its signature.
func (w *world) webhook() {
	body := fmt.Appendf(nil, `{"ref":"refs/heads/main","repository":{"clone_url":%q}}`, w.gitURL)
	req, err := http.NewRequest(http.MethodPost, w.server.URL+"/webhooks/github/"+project, bytes.NewReader(body))
	if err != nil {
		return
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-GitHub-Event", "push")
	req.Header.Set("X-Hub-Signature-256", "sha256="+sign(body, w.secret))
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		w.opt.Logger.Warn("webhook", "error", err)
		return
	}
	_ = res.Body.Close()
}

// application waits until the application is registered.
func (w *world) application(ctx context.Context) (string, error) {
	for {
		res, err := w.apps.GetApplication(ctx, connect.NewRequest(&penstockv1.GetApplicationRequest{Application: "shop"}))
		if err == nil {
			return res.Msg.Application.Id, nil
		}
		if connect.CodeOf(err) != connect.CodeNotFound {
			return "", err
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return "", err
		}
	}
}

// pause waits a while, or until the context ends.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return errors.Join(context.Cause(ctx), ctx.Err())
	case <-t.C:
		return nil
	}
}
