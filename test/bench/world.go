package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"connectrpc.com/connect"

	"github.com/penstock-cd/penstock/internal/client"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
	"github.com/penstock-cd/penstock/internal/git/githttp"
	"github.com/penstock-cd/penstock/internal/localcloud"
	"github.com/penstock-cd/penstock/internal/localcloud/demosvc"
	"github.com/penstock-cd/penstock/internal/localcloud/runtime/process"
	"github.com/penstock-cd/penstock/test/kit"
)

const (
	project = "default"
	repo    = "shop.git"
	secret  = "a webhook secret of the bench"
	// gitLatency is added to every request of the git host, as the promise says.
	gitLatency = 30 * time.Millisecond
)

// world is the system under measurement.
type world struct {
	program, dir string
	calls        recorder // API and git requests of the agent
	cloud        *localcloud.Cloud
	git          *githttp.Server
	remote       string
	stage        kit.Cluster
	route        kit.Route
	server       string // its URL; the same at every start
	admin        string // address of the agent's own health page
	agent        kit.Agent
	env          []string
	api          *client.Client
	running      []*exec.Cmd // server, agent
	closers      []func()
}

func newWorld(ctx context.Context, s settings, dir string) (*world, error) {
	program, err := filepath.Abs(s.program)
	if err == nil {
		_, err = os.Stat(program)
	}
	if err != nil {
		return nil, fmt.Errorf("the built program: %w; run `make build`", err)
	}
	w := &world{program: program, dir: dir}
	for _, step := range []func(context.Context) error{w.startCloud, w.startGit, w.prepare} {
		if err := step(ctx); err != nil {
			w.close()
			return nil, err
		}
	}
	return w, nil
}

// close ends everything, last started first.
func (w *world) close() {
	w.stop()
	for i := len(w.closers) - 1; i >= 0; i-- {
		w.closers[i]()
	}
	w.closers = nil
}

// serve answers on a loopback port until close; requests are recorded.
func (w *world) serve(h http.Handler) (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	srv := &http.Server{Handler: w.calls.wrap(h), ReadHeaderTimeout: 10 * time.Second}
	var serving sync.WaitGroup
	serving.Go(func() { _ = srv.Serve(ln) })
	w.closers = append(w.closers, func() { _ = srv.Close(); serving.Wait() })
	return "http://" + ln.Addr().String(), nil
}

func (w *world) startCloud(ctx context.Context) error {
	rt, err := process.New(process.Options{Catalogue: process.CatalogueFunc(func(image string) (process.Program, bool) {
		version, ok := strings.CutPrefix(image, "demo:")
		return process.Program{Argv: []string{w.program, "task"}, Env: map[string]string{demosvc.EnvVersion: version}}, ok
	})})
	if err != nil {
		return err
	}
	w.closers = append(w.closers, rt.Close)
	w.cloud, err = localcloud.New(localcloud.Options{Profile: localcloud.AWSLike(), Seed: 1, Runtime: rt, ListenerAddr: func(int) string { return "127.0.0.1:0" }})
	if err != nil {
		return err
	}
	w.closers = append(w.closers, func() { _ = w.cloud.Close() })
	if err := w.cloud.Start(ctx); err != nil {
		return err
	}
	if w.agent.Endpoint, err = w.serve(w.cloud.Handler()); err != nil {
		return err
	}
	cred := w.cloud.Credentials()
	w.env = []string{"AWS_ACCESS_KEY_ID=" + cred.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + cred.SecretAccessKey, "AWS_EC2_METADATA_DISABLED=true"}
	if w.stage, err = kit.NewCluster(ctx, w.cloud.AWSConfig(), "bench"); err != nil {
		return err
	}
	w.route, err = w.stage.NewRoute(ctx, "shop", 80)
	return err
}

func (w *world) startGit(ctx context.Context) error {
	var err error
	if w.git, err = githttp.New(ctx, filepath.Join(w.dir, "git"), githttp.Options{Latency: gitLatency}); err != nil {
		return err
	}
	if err := w.git.CreateRepo(ctx, repo, "main"); err != nil {
		return err
	}
	base, err := w.serve(w.git)
	w.remote = base + "/" + repo
	return err
}

// prepare lets the server make its data and its login, and registers the agent: what comes later are restarts.
func (w *world) prepare(ctx context.Context) error {
	var err error
	var listen string
	if listen, err = freeAddress(); err != nil {
		return err
	}
	if w.admin, err = freeAddress(); err != nil {
		return err
	}
	w.server = "http://" + listen
	if err := w.start(nil, "server"); err != nil {
		return err
	}
	if err := answers(ctx, w.server+"/readyz"); err != nil {
		return err
	}
	password, err := w.password()
	if err != nil {
		return err
	}
	login, err := client.New(client.Config{Server: w.server}).Projects.Login(ctx, connect.NewRequest(&penstockv1.LoginRequest{Username: "admin", Password: password}))
	if err != nil {
		return err
	}
	w.api = client.New(client.Config{Server: w.server, Token: login.Msg.Token})
	hook := secret
	if _, err := w.api.Projects.UpdateProject(ctx, connect.NewRequest(&penstockv1.UpdateProjectRequest{RequestId: "hook", WebhookSecret: &hook})); err != nil {
		return err
	}
	made, err := w.api.Projects.RegisterAgent(ctx, connect.NewRequest(&penstockv1.RegisterAgentRequest{RequestId: "agent", Name: "bench"}))
	if err != nil {
		return err
	}
	w.agent.Project, w.agent.ID, w.agent.Key, w.agent.Server, w.agent.Settle = project, made.Msg.Agent.Id, made.Msg.Key, w.server, "1s"
	w.agent.Repositories = map[string]string{"shop": w.remote}
	w.stop()
	return nil
}

// password reads the one that the server printed at its first start.
func (w *world) password() (string, error) {
	for range 200 {
		b, err := os.ReadFile(filepath.Join(w.dir, "server.out"))
		if err != nil {
			return "", err
		}
		if m := regexp.MustCompile(`password (\S+)`).FindSubmatch(b); m != nil {
			return string(m[1]), nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return "", errors.New("the server printed no password at its first start")
}

// freeAddress is a loopback address that nobody listens on now.
func freeAddress() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return ln.Addr().String(), ln.Close()
}

// start runs the program as "server" or "agent"; what it writes goes to files.
func (w *world) start(env []string, name string) error {
	args := []string{name, "--data-dir", filepath.Join(w.dir, name)}
	if name == "server" {
		args = append(args, "--listen", strings.TrimPrefix(w.server, "http://"), "--auto-register")
	} else {
		args = append(args, "--config-data", w.agent.ConfigData(), "--admin-listen", w.admin)
	}
	cmd := exec.Command(w.program, args...)
	cmd.Env = append(os.Environ(), env...)
	out, err := os.OpenFile(filepath.Join(w.dir, name+".out"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		return err
	}
	w.running = append(w.running, cmd)
	return nil
}

// stop ends the processes, the agent first.
func (w *world) stop() {
	for i := len(w.running) - 1; i >= 0; i-- {
		_ = w.running[i].Process.Signal(syscall.SIGTERM)
		_ = w.running[i].Wait()
	}
	w.running = nil
}

// answers polls a page, every other millisecond, until it answers 200.
func answers(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 20*time.Second, fmt.Errorf("%s did not answer 200 within 20 s", url))
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		if res, err := http.DefaultClient.Do(req); err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		time.Sleep(2 * time.Millisecond)
	}
}
