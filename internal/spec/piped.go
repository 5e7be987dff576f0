package spec

import (
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/url"
	"strings"
	"time"
)

// Defaults of the agent's file.
const (
	// DefaultSyncInterval is how often each repository is asked for its head: one small request.
	DefaultSyncInterval = 10 * time.Second
	// DefaultAppConfigSyncInterval is how often repositories are searched for applications that are not registered.
	DefaultAppConfigSyncInterval = time.Minute
	// DefaultGitUsername is the commit author and the HTTPS user name.
	DefaultGitUsername = "piped"
	// DefaultGitEmail is the commit author's address.
	DefaultGitEmail = "piped@localhost"
	// DefaultGitHost is the host that an SSH key is used for.
	DefaultGitHost = "github.com"
)

// Secret is a value that is never printed: every way of formatting it hides it.
type Secret string

const hidden = "[hidden]"

// Reveal is the value itself.
func (s Secret) Reveal() string { return string(s) }

// String hides the value.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return hidden
}

// GoString hides the value.
func (s Secret) GoString() string { return s.String() }

// LogValue hides the value.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalJSON hides the value.
func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

// Piped is the decoded configuration of an agent, in either of its two forms: deploy targets and analysis providers of
// plugins are found in the same lists as the older platformProviders and analysisProviders.
type Piped struct {
	// File is the name given to [ReadPiped].
	File string

	ProjectID, PipedID string
	// PipedKeyFile names the file that holds the key as it is; PipedKeyData is the decoded key. Exactly one is set.
	PipedKeyFile string
	PipedKeyData Secret
	// Name is for display; the control plane's own name wins.
	Name string
	// APIAddress is the control plane, host:port or a URL. WebAddress is its page; empty means what the control plane says.
	APIAddress, WebAddress string
	// SyncInterval and AppConfigSyncInterval are more than 0.
	SyncInterval, AppConfigSyncInterval time.Duration
	Git                                 Git
	Repositories                        []Repository
	ChartRepositories                   []ChartRepository
	ChartRegistries                     []ChartRegistry
	// PlatformProviders are platformProviders, then cloudProviders, then the deploy targets of platform plugins.
	PlatformProviders []PlatformProvider
	AnalysisProviders []AnalysisProvider
	Notifications     Notifications
	SecretManagement  *SecretManagement
	EventWatcher      PipedEvents
	PlanPreview       PlanPreview
	// AppSelector limits which unregistered applications are offered: all labels must match.
	AppSelector map[string]string
	Plugins     []Plugin
}

// Provider finds the provider of an application: the first with this name and platform.
func (p *Piped) Provider(platform, name string) (PlatformProvider, bool) {
	for _, one := range p.PlatformProviders {
		if one.Name == name && one.Type == platform {
			return one, true
		}
	}
	return PlatformProvider{}, false
}

// Git is how repositories are reached.
type Git struct {
	Username, Email   string
	SSHConfigFilePath string
	// Host is the alias and HostName the real name of the host that the SSH key belongs to.
	Host, HostName string
	SSHKeyFile     string
	SSHKeyData     Secret
	Password       Secret

	// What follows is not known to the older system.

	// SSHKnownHostsFile is the one file that names the keys of ssh hosts, SSHKnownHosts its lines; at most one of
	// them is set. Without both, ssh's own files and the published keys of large hosts count.
	SSHKnownHostsFile, SSHKnownHosts string
	// SSHAcceptNew takes the key of an unknown host at first sight.
	SSHAcceptNew bool
	// GitHubApp makes the https credentials of GitHub; nil for none.
	GitHubApp *GitHubApp
}

// GitHubApp is an app that GitHub gives tokens for reading.
type GitHubApp struct {
	// AppID is the id or client id, InstallationID may be empty: it is looked up.
	AppID, InstallationID string
	PrivateKeyFile        string
	PrivateKeyData        Secret
	// APIURL is the REST API without a slash at its end.
	APIURL string
}

// DefaultGitHubAPI is the REST API of github.com.
const DefaultGitHubAPI = "https://api.github.com"

// Repository is one repository that the agent watches.
type Repository struct {
	RepoID, Remote, Branch string
	Pos                    Pos
}

// PlatformProvider is an account, cluster or region that applications are deployed to. Config is decoded by the platform; its
// keys beyond those of the older system (endpoint, settleTime) are documented there.
type PlatformProvider struct {
	Name, Type string
	Labels     map[string]string
	Config     Node
	Pos        Pos
}

// Plugin is one entry of plugins, the newer form of the file.
type Plugin struct {
	Name, URL string
	Port      int
	Config    Node
}

// SecretManagement is the key that encrypted secrets are read with. Data fields are decoded from base64.
type SecretManagement struct {
	Type                          string
	PrivateKeyFile, PublicKeyFile string
	PrivateKeyData                Secret
	PublicKeyData                 string
	KeyName                       string
	DecryptServiceAccountFile     string
	EncryptServiceAccountFile     string
}

// PipedEvents is the agent's eventWatcher.
type PipedEvents struct {
	CheckInterval time.Duration
	GitRepos      []EventRepo
}

// EventRepo sets commit message and file filters for event definitions of one repository.
type EventRepo struct {
	RepoID, CommitMessage string
	Includes, Excludes    Matcher
}

// PlanPreview bounds the work of plan previews.
type PlanPreview struct {
	WorkerNum, CommandQueueBufferSize          int
	CommandCheckInterval, CommandHandleTimeout time.Duration
}

// ReadPiped decodes the configuration of an agent. Unknown keys are warnings. Further platforms can be given. The error is an
// [Errors] with every problem; the value is nil then. Messages repeat no secret, but an excerpt of the file may show one.
func ReadPiped(file string, data []byte, extra ...KindInfo) (*Piped, Warnings, error) {
	root, warnings, err := Parse(file, data)
	if err != nil {
		return nil, nil, err
	}
	root = root.WithLenient()
	r := &pipedReader{d: NewDecoder(), out: &Piped{File: file}, kinds: append(builtinKinds(), extra...)}
	r.file(root)
	more, err := r.d.Finish()
	if err != nil {
		return nil, nil, err
	}
	warnings = append(warnings, more...)
	sortProblems(warnings)
	return r.out, warnings, nil
}

// file decodes the whole file.
func (r *pipedReader) file(root Node) {
	if o := r.d.envelope(root); o != nil {
		if kind := root.Get("kind"); Kind(kind.Text()) != PipedFile {
			r.d.Fail(kind, "an agent's configuration has kind: Piped", "%s is not the configuration of an agent", quote(kind.Text()))
			o.ignoreAll()
		} else {
			r.spec(o.Object("spec"))
		}
	}
}

// pipedReader decodes one agent file.
type pipedReader struct {
	d     *Decoder
	out   *Piped
	kinds []KindInfo
}

func (r *pipedReader) spec(o *Object) {
	p := r.out
	o.Required("projectID", "pipedID", "apiAddress")
	o.String("projectID", &p.ProjectID)
	o.String("pipedID", &p.PipedID)
	o.String("pipedKeyFile", &p.PipedKeyFile)
	o.secretData("pipedKeyData", &p.PipedKeyData)
	o.exactlyOne("pipedKeyFile", "pipedKeyData")
	o.String("name", &p.Name)
	o.String("apiAddress", &p.APIAddress)
	o.String("webAddress", &p.WebAddress)
	o.positive("syncInterval", &p.SyncInterval, DefaultSyncInterval)
	o.positive("appConfigSyncInterval", &p.AppConfigSyncInterval, DefaultAppConfigSyncInterval)
	r.git(o.Object("git"))
	r.repositories(o)
	r.charts(o)
	r.providers(o, "platformProviders")
	r.providers(o, "cloudProviders")
	r.analysisProviders(o)
	r.plugins(o)
	r.notifications(o.Object("notifications"))
	r.secretManagement(o.Object("secretManagement"))
	r.events(o.Object("eventWatcher"))
	r.planPreview(o.Object("planPreview"))
	o.StringMap("appSelector", &p.AppSelector)
	r.sayInactive(o)
}

// sayInactive names what is understood and has no effect yet.
func (r *pipedReader) sayInactive(o *Object) {
	for _, one := range [][2]string{
		{"chartRepositories", "no chart is fetched"},
		{"chartRegistries", "no chart is fetched"},
		{"analysisProviders", "no metric is asked for"},
		{"notifications", "nobody is notified"},
		{"secretManagement", "encrypted secrets of applications are not decrypted"},
		{"eventWatcher", "no file is changed when an event arrives"},
		{"planPreview", "plan previews are not answered"},
	} {
		if o.Has(one[0]) {
			o.Warn(one[0], "", "not active in this version; %s", one[1])
		}
	}
}

func (r *pipedReader) git(o *Object) {
	g := &r.out.Git
	o.StringOr("username", &g.Username, DefaultGitUsername)
	o.StringOr("email", &g.Email, DefaultGitEmail)
	o.String("sshConfigFilePath", &g.SSHConfigFilePath)
	o.StringOr("host", &g.Host, DefaultGitHost)
	o.StringOr("hostName", &g.HostName, g.Host)
	o.String("sshKeyFile", &g.SSHKeyFile)
	o.secretData("sshKeyData", &g.SSHKeyData)
	o.secretData("password", &g.Password)
	o.atMostOne("sshKeyFile", "sshKeyData", "password")
	o.String("sshKnownHostsFile", &g.SSHKnownHostsFile)
	o.String("sshKnownHosts", &g.SSHKnownHosts)
	o.atMostOne("sshKnownHostsFile", "sshKnownHosts")
	var checking string
	o.Enum("sshHostKeyChecking", &checking, "strict", "strict", "accept-new")
	g.SSHAcceptNew = checking == "accept-new"
	if app := o.Object("githubApp"); app.Exists() {
		o.atMostOne("password", "githubApp")
		g.GitHubApp = app.githubApp()
	}
}

func (o *Object) githubApp() *GitHubApp {
	var a GitHubApp
	o.Required("appID")
	o.String("appID", &a.AppID)
	o.String("installationID", &a.InstallationID)
	o.String("privateKeyFile", &a.PrivateKeyFile)
	o.secretData("privateKeyData", &a.PrivateKeyData)
	o.exactlyOne("privateKeyFile", "privateKeyData")
	o.StringOr("apiURL", &a.APIURL, DefaultGitHubAPI)
	a.APIURL = strings.TrimRight(a.APIURL, "/")
	if u, err := url.Parse(a.APIURL); err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Scheme != "https" && u.Scheme != "http" {
		o.Fail("apiURL", "of GitHub Enterprise Server it is https://HOST/api/v3", "apiURL is not the address of an API")
	}
	return &a
}

func (r *pipedReader) repositories(o *Object) {
	seen := map[string]int{}
	for _, e := range o.Objects("repositories") {
		repo := Repository{Pos: e.Self().Pos()}
		e.Required("repoId", "remote", "branch")
		e.String("repoId", &repo.RepoID)
		e.String("remote", &repo.Remote)
		e.String("branch", &repo.Branch)
		if line, again := seen[repo.RepoID]; again && repo.RepoID != "" {
			e.Warn("repoId", "give every repository its own id", "the id %s is already used on line %d; the first repository is meant by it", quote(repo.RepoID), line)
		} else {
			seen[repo.RepoID] = repo.Pos.Line
		}
		r.out.Repositories = append(r.out.Repositories, repo)
	}
}

func (r *pipedReader) secretManagement(o *Object) {
	if !o.Exists() {
		return
	}
	s := &SecretManagement{}
	o.Required("type")
	o.Enum("type", &s.Type, "", "KEY_PAIR", "GCP_KMS")
	o.variant("type", s.Type, "config")
	c := o.Object("config")
	switch s.Type {
	case "KEY_PAIR":
		c.String("privateKeyFile", &s.PrivateKeyFile)
		c.secretData("privateKeyData", &s.PrivateKeyData)
		c.exactlyOne("privateKeyFile", "privateKeyData")
		var public Secret
		c.String("publicKeyFile", &s.PublicKeyFile)
		c.secretData("publicKeyData", &public)
		s.PublicKeyData = public.Reveal()
		c.exactlyOne("publicKeyFile", "publicKeyData")
	case "GCP_KMS":
		c.Required("keyName", "decryptServiceAccountFile", "encryptServiceAccountFile")
		c.String("keyName", &s.KeyName)
		c.String("decryptServiceAccountFile", &s.DecryptServiceAccountFile)
		c.String("encryptServiceAccountFile", &s.EncryptServiceAccountFile)
	default:
		c.ignoreAll()
	}
	r.out.SecretManagement = s
}

func (r *pipedReader) events(o *Object) {
	e := &r.out.EventWatcher
	o.positive("checkInterval", &e.CheckInterval, time.Minute)
	seen := map[string]bool{}
	for _, g := range o.Objects("gitRepos") {
		var repo EventRepo
		g.Required("repoId")
		g.String("repoId", &repo.RepoID)
		g.String("commitMessage", &repo.CommitMessage)
		g.Patterns("includes", &repo.Includes)
		g.Patterns("excludes", &repo.Excludes)
		if seen[repo.RepoID] && repo.RepoID != "" {
			g.Fail("repoId", "", "the repository %s is listed twice", quote(repo.RepoID))
		}
		seen[repo.RepoID] = true
		e.GitRepos = append(e.GitRepos, repo)
	}
}

func (r *pipedReader) planPreview(o *Object) {
	p := &r.out.PlanPreview
	o.IntOr("workerNum", &p.WorkerNum, 3)
	o.IntOr("commandQueueBufferSize", &p.CommandQueueBufferSize, 10)
	for key, v := range map[string]int{"workerNum": p.WorkerNum, "commandQueueBufferSize": p.CommandQueueBufferSize} {
		if v < 0 {
			o.Fail(key, "", "must not be negative")
		}
	}
	o.positive("commandCheckInterval", &p.CommandCheckInterval, 5*time.Second)
	o.positive("commandHandleTimeout", &p.CommandHandleTimeout, 5*time.Minute)
}

// positive reads a duration that must not be negative, with a default.
func (o *Object) positive(key string, dst *time.Duration, def time.Duration) {
	o.DurationOr(key, dst, def)
	if *dst < 0 {
		o.Fail(key, "", "must not be negative")
	}
}

// secretData reads base64 text and keeps what it stands for. Messages never repeat the text.
func (o *Object) secretData(key string, dst *Secret) {
	text := ""
	o.note(key, TextType)
	n := o.Node(key)
	if n.Kind() != StringNode && n.Exists() {
		o.d.Fail(n, "write the base64 text in quotes", "must be a text, found %s", n.Kind())
		return
	}
	o.String(key, &text)
	data, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		o.d.Fail(n, "encode the value with base64 -w0, or use the field for a file", "is not base64")
		return
	}
	*dst = Secret(data)
}

// exactlyOne reports when none or several of the keys are given.
func (o *Object) exactlyOne(keys ...string) {
	if o.shape != nil {
		o.shape.oneOf(keys)
	}
	if o.atMostOne(keys...) == 0 && !o.broken {
		o.d.Fail(o.Self(), "", "one of %s is required", strings.Join(keys, ", "))
	}
}

// atMostOne reports every key after the first that is given, and counts those given.
func (o *Object) atMostOne(keys ...string) int {
	first, count := "", 0
	for _, key := range keys {
		n := o.Node(key)
		if !n.Exists() || n.Kind() == StringNode && n.p.text == "" {
			continue
		}
		if count++; count == 1 {
			first = key
			continue
		}
		o.d.Fail(n, "keep one of the two", "cannot be given together with %s", first)
	}
	return count
}
