package agent

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/penstock-cd/penstock/internal/agent/seal"
	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/git"
	"github.com/penstock-cd/penstock/internal/platform"
	"github.com/penstock-cd/penstock/internal/spec"
)

// Defaults of the agent's periods.
const (
	DefaultGuardEvery = 5 * time.Second
	DefaultPollEvery  = 10 * time.Second
	DefaultLiveEvery  = 30 * time.Second
	// DefaultDrain is how long a stopping process may take to finish the step at hand.
	DefaultDrain = 30 * time.Second
	// workEvery is how often work is fetched when nobody wakes the process.
	workEvery = 30 * time.Second
	// callLimit bounds one call to the control plane or one look of the guard.
	callLimit = 5 * time.Second
	// transferLimit bounds calls that carry much: blobs, lists of files.
	transferLimit = 30 * time.Second
	// resendLiveEvery is how often an unchanged live state is reported again.
	resendLiveEvery = 5 * time.Minute
	// resendBusyEvery is the same while a deployment of the application runs.
	resendBusyEvery = 15 * time.Second
	// resendDriftEvery is the same while a drift waits for its deployment.
	resendDriftEvery = time.Minute
	// liveAtOnce is how many applications are observed at the same time.
	liveAtOnce = 4
	// askAtOnce is how many questions are answered at the same time.
	askAtOnce = 2
)

// Repo is one repository as the agent reads it. A git mirror on disk with its
// remote, and a repository in memory, are both one.
type Repo interface {
	// Head asks the host where the branch is: one small request.
	Head(ctx context.Context) (string, error)
	// Fetch takes over the branch and returns its head.
	Fetch(ctx context.Context) (string, error)
	Commit(ctx context.Context, sha string) (git.Commit, error)
	// ChangedPaths lists what differs; an empty old means every file of new.
	ChangedPaths(ctx context.Context, old, new string) ([]string, error)
	ReadFile(ctx context.Context, commit, path string) ([]byte, error)
	FindFiles(ctx context.Context, commit string, match func(name string) bool) ([]string, error)
	IsAncestor(ctx context.Context, old, new string) (bool, error)
	Close()
}

// Options are what an agent needs. Config, Key, Link and OpenRepo are required.
type Options struct {
	Config *spec.Piped
	// Key is the agent's key; pinned states are sealed with it.
	Key  spec.Secret
	Link Link
	// Platforms are what this agent can deploy to, each kind once.
	Platforms []platform.Platform
	// Kinds are kinds of files beyond the built-in ones.
	Kinds []spec.KindInfo
	// OpenRepo opens a repository. It may take long (the first clone) and is
	// tried again when it fails.
	OpenRepo func(ctx context.Context, r spec.Repository) (Repo, error)
	Logger   *slog.Logger          // nil: nobody
	Metrics  prometheus.Registerer // nil: a registry of its own

	ProcessID string // new for each process; "" makes one
	// NewID makes the id of a report on a deployment, never one twice; nil makes UUIDs.
	NewID   func(deployment string) string
	Host    string // "" asks the system
	Version string
	// Secrets are values that are masked in stage logs, beside the key and the
	// passwords of the configuration.
	Secrets []string

	// GuardEvery is the time between two looks of the guard; 0 means
	// DefaultGuardEvery, more than 10 s is cut to 10 s (architecture, rule 11).
	GuardEvery time.Duration
	// PollEvery is the time between two polls of a repository. 0 takes the
	// file's syncInterval, but never less than DefaultPollEvery: what older
	// files ask for can only make it longer. A value given here is used as it is.
	PollEvery time.Duration
	// LiveEvery is the time between two observations of an application that
	// rests; 0 means DefaultLiveEvery.
	LiveEvery time.Duration
	// Drain bounds the end of the process; 0 means DefaultDrain.
	Drain time.Duration
}

// prepare fills in defaults.
func (o *Options) prepare() error {
	if o.Config == nil || o.Link == nil || o.OpenRepo == nil {
		return errors.New("agent: a configuration, a link and a way to open repositories are needed")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Metrics == nil {
		o.Metrics = prometheus.NewRegistry()
	}
	if o.NewID == nil {
		o.NewID = func(string) string { return uuid.Must(uuid.NewV7()).String() }
	}
	if o.ProcessID == "" {
		o.ProcessID = uuid.Must(uuid.NewV7()).String()
	}
	if o.Host == "" {
		o.Host, _ = os.Hostname() //nolint:errcheck // a name for display; none is fine
	}
	o.GuardEvery = min(orDefault(o.GuardEvery, DefaultGuardEvery), 10*time.Second)
	o.PollEvery = orDefault(o.PollEvery, max(DefaultPollEvery, o.Config.SyncInterval))
	o.LiveEvery = orDefault(o.LiveEvery, DefaultLiveEvery)
	o.Drain = orDefault(o.Drain, DefaultDrain)
	for _, s := range []spec.Secret{o.Key, o.Config.PipedKeyData, o.Config.Git.Password} {
		o.Secrets = append(o.Secrets, s.Reveal())
	}
	return nil
}

func orDefault(d, def time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return def
}

// New prepares an agent; nothing is sent before Run.
func New(opt Options) (*Agent, error) {
	if err := opt.prepare(); err != nil {
		return nil, err
	}
	key, err := seal.New(opt.Key.Reveal())
	if err != nil {
		return nil, err
	}
	a := &Agent{
		opt: opt, log: opt.Logger, link: opt.Link, key: key, gate: newGate(), masks: masker(opt.Secrets),
		platforms: map[deploy.Kind]platform.Platform{}, repos: map[string]*repository{},
		workers: map[string]*worker{}, pollers: map[string]*poller{}, live: map[string]*liveReporter{},
		workKick: make(chan struct{}, 1), sessionKick: make(chan struct{}, 1), streamKick: make(chan struct{}, 1), stopping: make(chan struct{}),
		liveSlots: make(chan struct{}, liveAtOnce), askSlots: make(chan struct{}, askAtOnce), asked: map[string]bool{},
	}
	a.met = newMetrics(opt.Metrics, a.gate.leaseAge)
	for _, p := range opt.Platforms {
		if a.platforms[p.Kind()] != nil {
			return nil, errors.New("agent: platform " + string(p.Kind()) + " is given twice")
		}
		a.platforms[p.Kind()] = p
	}
	for _, r := range opt.Config.Repositories {
		if a.repos[r.RepoID] == nil {
			a.repos[r.RepoID] = &repository{spec: r, open: opt.OpenRepo, token: make(chan struct{}, 1)}
		}
	}
	return a, nil
}

// platformOf names the platform that a kind word stands for, as provider types
// in the agent's file are written: ECSApp is ECS.
func platformOf(k deploy.Kind) string {
	return strings.ToUpper(strings.TrimSuffix(string(k), "App"))
}

// kindOf is the kind under which applications of a platform are recorded, in
// whichever form their file is written.
func (a *Agent) kindOf(app *spec.Application) deploy.Kind {
	for k := range a.platforms {
		if platformOf(k) == app.Platform {
			return k
		}
	}
	return deploy.Kind(app.Kind)
}

// provider finds the platform provider of an application. Without a name the
// only one of the platform is meant.
func (a *Agent) provider(kind deploy.Kind, name string) (spec.PlatformProvider, error) {
	want := platformOf(kind)
	if p, ok := a.opt.Config.Provider(want, name); ok {
		return p, nil
	}
	var all []spec.PlatformProvider
	for _, p := range a.opt.Config.PlatformProviders {
		if p.Type == want {
			all = append(all, p)
		}
	}
	if name == "" && len(all) == 1 {
		return all[0], nil
	}
	return spec.PlatformProvider{}, deploy.Errorf(deploy.CodeNotFound, "%s has no platformProvider %q of type %s: add it there, or give the application another provider", a.opt.Config.File, name, want)
}

// platform finds the platform that carries an application.
func (a *Agent) platform(kind deploy.Kind) (platform.Platform, error) {
	if p := a.platforms[kind]; p != nil {
		return p, nil
	}
	return nil, deploy.Errorf(deploy.CodeUnsupported, "this agent cannot deploy %s", kind)
}
