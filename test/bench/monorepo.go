package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/penstock-cd/penstock/internal/agent"
	"github.com/penstock-cd/penstock/internal/agent/gitrepo"
	"github.com/penstock-cd/penstock/internal/client"
	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/git"
	"github.com/penstock-cd/penstock/internal/git/githttp"
	"github.com/penstock-cd/penstock/internal/platform"
	"github.com/penstock-cd/penstock/internal/platform/builtin"
	"github.com/penstock-cd/penstock/internal/spec"
)

// The monorepo of the promises: so many applications with so much history.
const (
	monoApps    = 2000
	monoCommits = 10000
	monoRepo    = "mono.git"
)

// gitHostFlag makes this program a git host for the directory behind it: the host's
// cost is then no part of the agent's.
const gitHostFlag = "-git-host="

// serveGit serves a directory until standard input ends, and commits what is asked
// for there: a line "PATH CONTENT" is answered by the commit.
func serveGit(ctx context.Context, dir string) error {
	s, err := githttp.New(ctx, dir, githttp.Options{})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	web := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = web.Serve(l) }()
	defer web.Close() //nolint:errcheck // the process ends
	fmt.Println("http://" + l.Addr().String())
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		name, content, _ := strings.Cut(lines.Text(), " ")
		sha, err := s.Commit(ctx, monoRepo, "main", "Change "+name, map[string]string{name: content}, git.Signature{Name: "Bench", Email: "bench@localhost"})
		if err != nil {
			return err
		}
		fmt.Println(sha)
	}
	return lines.Err()
}

// monoFolder is the folder of an application.
func monoFolder(i int) string { return fmt.Sprintf("team%02d/app%04d", i%40, i) }

// writeMonorepo writes the repository through git fast-import.
func writeMonorepo(ctx context.Context, dir string) error {
	repo := filepath.Join(dir, monoRepo)
	if out, err := exec.CommandContext(ctx, "git", "init", "-q", "--bare", "-b", "main", repo).CombinedOutput(); err != nil {
		return fmt.Errorf("git init: %w: %s", err, out)
	}
	cmd := exec.CommandContext(ctx, "git", "-C", repo, "fast-import", "--quiet")
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	w := bufio.NewWriterSize(in, 1<<20)
	commit := func(n int) {
		fmt.Fprintf(w, "commit refs/heads/main\ncommitter Bench <bench@localhost> %d +0000\ndata 6\nchange\n", 1700000000+n*60)
	}
	file := func(name, content string) {
		fmt.Fprintf(w, "M 100644 inline %s\ndata %d\n%s\n", name, len(content), content)
	}
	commit(0)
	for i := range monoApps {
		f := monoFolder(i)
		file(f+"/app.pipecd.yaml", fmt.Sprintf("apiVersion: pipecd.dev/v1beta1\nkind: ECSApp\nspec:\n  name: app%04d\n  labels: {team: team%02d}\n  input: {serviceDefinitionFile: servicedef.yaml, taskDefinitionFile: taskdef.yaml}\n", i, i%40))
		file(f+"/servicedef.yaml", fmt.Sprintf("serviceName: app%04d\ndesiredCount: 2\n", i))
		file(f+"/taskdef.yaml", fmt.Sprintf("family: app%04d\ncontainerDefinitions: [{name: web, image: \"web:v0\"}]\n", i))
		file(f+"/README.md", fmt.Sprintf("Application %d\n", i))
		file(f+"/values.env", fmt.Sprintf("N=%d\n", i))
	}
	for n := 1; n < monoCommits; n++ {
		commit(n)
		file(monoFolder(n*7919%monoApps)+"/values.env", fmt.Sprintf("N=%d\n", n))
	}
	if err := errors.Join(w.Flush(), in.Close()); err != nil {
		return err
	}
	return cmd.Wait()
}

// monoLink is the control plane as far as polling needs one; it keeps the reports.
type monoLink struct {
	apps  []deploy.Application
	wake  chan struct{}
	heads chan client.HeadReport
	files atomic.Int64

	mu   sync.Mutex
	head string
}

var _ agent.Link = (*monoLink)(nil)

func (l *monoLink) Hello(context.Context, client.Hello) (client.Session, error) {
	return client.Session{ID: "s", Lease: time.Hour, RenewEvery: 10 * time.Minute, Incarnation: "i", ProjectID: "p", AgentID: "a", ServerTime: time.Now()}, nil
}

func (l *monoLink) Renew(context.Context, string, int64) (client.Renewal, error) {
	return client.Renewal{Lease: time.Hour, Left: time.Hour, Incarnation: "i"}, nil
}
func (l *monoLink) Leave(context.Context, string) error { return nil }

func (l *monoLink) AnswerQuestion(context.Context, string, client.QuestionAnswer) error { return nil }

func (l *monoLink) Wait(ctx context.Context, _ string, f func(client.Wakeup)) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-l.wake:
			f(client.Wakeup{Repos: []string{"mono"}})
		}
	}
}

func (l *monoLink) GetWork(context.Context, string) (client.Work, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return client.Work{Repositories: []client.RepositoryWork{{RepoID: "mono", Branch: "main", Head: l.head, Applications: l.apps}}}, nil
}

func (l *monoLink) ReportHead(_ context.Context, _ string, h client.HeadReport) (client.HeadAnswer, error) {
	l.mu.Lock()
	l.head = h.New
	l.mu.Unlock()
	l.heads <- h
	return client.HeadAnswer{Head: h.New}, nil
}

func (l *monoLink) ReportFiles(_ context.Context, _ string, f client.FilesReport) (bool, error) {
	l.files.Store(int64(len(f.Files)))
	return false, nil
}

// What only deployments need is never asked for here.
var errNoDeployments = errors.New("nothing is deployed here")

func (l *monoLink) Report(context.Context, string, client.Report) (d deploy.Deployment, err error) {
	return d, errNoDeployments
}

func (l *monoLink) PutJournal(context.Context, string, string, int64, []deploy.JournalEntry) error {
	return errNoDeployments
}

func (l *monoLink) AppendLog(context.Context, string, client.LogChunk) (bool, error) {
	return false, errNoDeployments
}

func (l *monoLink) PutBlob(context.Context, string, []byte) (string, error) {
	return "", errNoDeployments
}

func (l *monoLink) GetBlob(context.Context, string, string) ([]byte, error) {
	return nil, errNoDeployments
}

func (l *monoLink) ReportLive(context.Context, string, string, client.Observation) error {
	return errNoDeployments
}

// gitHost is the other process.
type gitHost struct {
	cmd *exec.Cmd
	in  *bufio.Writer
	out *bufio.Scanner
	url string
	end func() error
}

func startGitHost(ctx context.Context, dir string) (*gitHost, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, gitHostFlag+dir)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	h := &gitHost{cmd: cmd, in: bufio.NewWriter(in), out: bufio.NewScanner(out), end: in.Close}
	h.url, err = h.answer()
	return h, err
}

func (h *gitHost) answer() (string, error) {
	if !h.out.Scan() {
		return "", errors.Join(errors.New("the git host ended"), h.out.Err())
	}
	return h.out.Text(), nil
}

// commit changes one file at the host.
func (h *gitHost) commit(name, content string) (sha string, err error) {
	fmt.Fprintln(h.in, name, content)
	if err := h.in.Flush(); err != nil {
		return "", err
	}
	return h.answer()
}

func (h *gitHost) close() error {
	return errors.Join(h.end(), h.cmd.Wait())
}

// measureMonorepo runs an agent, its real poller and mirror, for 2,000 applications of one repository.
func measureMonorepo(ctx context.Context, s settings, dir string) (figures []figure, err error) {
	if err := writeMonorepo(ctx, dir); err != nil {
		return nil, err
	}
	h, err := startGitHost(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	link := &monoLink{wake: make(chan struct{}), heads: make(chan client.HeadReport, 1)}
	for i := range monoApps {
		ref := deploy.Ref{ID: fmt.Sprintf("id%04d", i), Name: fmt.Sprintf("app%04d", i), Kind: "ECSApp", RepoID: "mono", Branch: "main", Path: monoFolder(i)}
		link.apps = append(link.apps, deploy.Application{Ref: ref, Head: deploy.Commit{Hash: strings.Repeat("0", 40)}})
	}
	reg := prometheus.NewRegistry()
	stop, err := startMonoAgent(ctx, link, reg, h.url+"/"+monoRepo, filepath.Join(dir, "agent"))
	if err != nil {
		return nil, err
	}
	defer stop()
	if first, err := link.seen(ctx); err != nil || len(first.Candidates) != monoApps {
		return nil, fmt.Errorf("the first head: %d candidates, %w", len(first.Candidates), errors.Join(err, errors.New("want one for each application")))
	}
	affected, err := link.measureCommits(ctx, h, s.runs)
	if err != nil {
		return nil, err
	}
	poll, err := link.measurePolls(ctx, reg)
	if err != nil {
		return nil, err
	}
	rss, err := residentTree(os.Getpid(), h.cmd.Process.Pid)
	if err != nil {
		return nil, err
	}
	return []figure{
		{Name: "poll_cpu_ms", Value: poll, Unit: "ms", target: 3},
		median("commit_to_affected_ms_p50", "ms", 400, affected),
		{Name: "affected_rss_mb", Value: rss, Unit: "MB", target: 150},
	}, nil
}

func startMonoAgent(ctx context.Context, link *monoLink, reg *prometheus.Registry, remote, dir string) (stop func(), err error) {
	ctx, cancel := context.WithCancel(ctx)
	config := &spec.Piped{File: "piped.yaml", Repositories: []spec.Repository{{RepoID: "mono", Remote: remote, Branch: "main"}}}
	opener := &gitrepo.Opener{Dir: dir}
	var platforms []platform.Platform
	platforms = append(platforms, builtin.Platforms(builtin.Options{})...)
	a, err := agent.New(agent.Options{
		Config: config, Key: "key", Link: link, Platforms: platforms, OpenRepo: opener.Open, Metrics: reg, PollEvery: time.Hour,
	})
	if err != nil {
		cancel()
		return nil, err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = a.Run(ctx)
	}()
	return func() { cancel(); <-done }, nil
}

// seen waits for the next report of a head.
func (l *monoLink) seen(ctx context.Context) (client.HeadReport, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	select {
	case h := <-l.heads:
		return h, nil
	case <-ctx.Done():
		return client.HeadReport{}, errors.New("no head was reported within a minute")
	}
}

// look wakes the agent.
func (l *monoLink) look(ctx context.Context) error {
	select {
	case l.wake <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// measureCommits changes one application at a time: from the wake-up to the report that names it, in ms.
func (l *monoLink) measureCommits(ctx context.Context, h *gitHost, n int) (out []float64, err error) {
	for i := range n {
		sha, err := h.commit(monoFolder(i*37%monoApps)+"/values.env", "N="+strconv.Itoa(-i))
		if err != nil {
			return nil, err
		}
		from := time.Now()
		if err := l.look(ctx); err != nil {
			return nil, err
		}
		r, err := l.seen(ctx)
		if err != nil {
			return nil, err
		}
		if r.New != sha || i > 0 && (len(r.Candidates) != 1 || r.Candidates[0].ApplicationID != fmt.Sprintf("id%04d", i*37%monoApps)) {
			return nil, fmt.Errorf("commit %d: reported %s with %d candidates, want %s with one", i, r.New, len(r.Candidates), sha)
		}
		out = append(out, 1000*time.Since(from).Seconds())
	}
	return out, nil
}

// monoPolls is how many polls with nothing new are measured.
const monoPolls = 200

// measurePolls is this process's CPU time for one poll that finds nothing new, in ms.
func (l *monoLink) measurePolls(ctx context.Context, reg prometheus.Gatherer) (float64, error) {
	from, err := polls(reg)
	if err != nil {
		return 0, err
	}
	before, err := selfCPU()
	if err != nil {
		return 0, err
	}
	for done := 0.0; done < monoPolls; {
		if err := l.look(ctx); err != nil {
			return 0, err
		}
		if err := wait(ctx, 10*time.Millisecond); err != nil { // a wake-up during a poll begins no second one
			return 0, err
		}
		now, err := polls(reg)
		if err != nil {
			return 0, err
		}
		done = now - from
	}
	after, err := selfCPU()
	if err != nil {
		return 0, err
	}
	now, err := polls(reg)
	if err != nil {
		return 0, err
	}
	if len(l.heads) > 0 {
		return 0, errors.New("a head was reported although nothing moved")
	}
	return 1000 * (after - before).Seconds() / (now - from), nil
}

// polls is how many polls found nothing new until now.
func polls(reg prometheus.Gatherer) (n float64, err error) {
	all, err := reg.Gather()
	for _, f := range all {
		if f.GetName() != "penstock_agent_git_polls_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetValue() == "same" {
					n += m.GetCounter().GetValue()
				}
			}
		}
	}
	return n, err
}

// selfCPU is what this process and its children that have ended cost.
func selfCPU() (sum time.Duration, err error) {
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if err := syscall.Getrusage(who, &u); err != nil {
			return 0, err
		}
		sum += time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	return sum, nil
}

// residentTree is the resident memory of a process and those below it, in MB; without names one to leave out.
func residentTree(pid int, without ...int) (mb float64, err error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(b))
	if len(fields) < 2 {
		return 0, errors.New("/proc/PID/statm is too short")
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return 0, err
	}
	mb = float64(pages*int64(os.Getpagesize())) / 1e6
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		return 0, err
	}
	for _, name := range lists {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // the thread has ended
		}
		for _, f := range strings.Fields(string(b)) {
			child, err := strconv.Atoi(f)
			if err != nil || slices.Contains(without, child) {
				continue
			}
			if more, err := residentTree(child, without...); err == nil {
				mb += more
			}
		}
	}
	return mb, nil
}
