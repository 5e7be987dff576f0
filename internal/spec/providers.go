package spec

import (
	"slices"
)

// AnalysisProvider is a source of metrics. File fields name files that the agent reads; data fields are decoded from base64.
type AnalysisProvider struct {
	Name, Type, Address        string
	UsernameFile, PasswordFile string
	APIKeyFile                 string
	APIKeyData                 Secret
	ApplicationKeyFile         string
	ApplicationKeyData         Secret
	ServiceAccountFile         string
}

// ChartRepository is a Helm chart repository: HTTP (Name, Address) or GIT (GitRemote).
type ChartRepository struct {
	Type, Name, Address, Username string
	Password                      Secret
	Insecure                      bool
	GitRemote, SSHKeyFile         string
}

// ChartRegistry is an OCI registry of Helm charts.
type ChartRegistry struct {
	Type, Address, Username string
	Password                Secret
}

// providers appends the entries of one list; cloudProviders is the older name of platformProviders.
func (r *pipedReader) providers(o *Object, key string) {
	platforms := make([]string, len(r.kinds))
	for i, k := range r.kinds {
		platforms[i] = k.Platform
	}
	for _, e := range o.Objects(key) {
		p := PlatformProvider{Pos: e.Self().Pos()}
		e.String("name", &p.Name)
		e.Required("type")
		e.Enum("type", &p.Type, "", platforms...)
		e.variant("type", p.Type, "config")
		e.StringMap("labels", &p.Labels)
		p.Config = e.configNode()
		r.addProvider(e, p)
	}
}

// configNode keeps an object undecoded; anything else is an error.
func (o *Object) configNode() Node {
	n := o.Node("config")
	c := o.d.Object(n)
	c.ignoreAll()
	return n
}

func (r *pipedReader) addProvider(e *Object, p PlatformProvider) {
	if _, again := r.out.Provider(p.Type, p.Name); again {
		e.Warn("name", "give every provider its own name", "a provider %s of type %s is already given; this one is not used", quote(p.Name), p.Type)
	}
	r.out.PlatformProviders = append(r.out.PlatformProviders, p)
}

// plugins reads the newer form: deploy targets become platform providers.
func (r *pipedReader) plugins(o *Object) {
	for _, e := range o.Objects("plugins") {
		var p Plugin
		e.String("name", &p.Name)
		e.variant("name", p.Name, "config", "deployTargets")
		e.String("url", &p.URL)
		e.Int("port", &p.Port)
		p.Config = e.configNode()
		i := slices.IndexFunc(r.kinds, func(k KindInfo) bool { return k.Plugin != "" && k.Plugin == p.Name })
		for _, t := range e.Objects("deployTargets") {
			target := PlatformProvider{Pos: t.Self().Pos()}
			t.String("name", &target.Name)
			t.StringMap("labels", &target.Labels)
			target.Config = t.configNode()
			if i < 0 {
				r.d.Warn(t.Self(), "", "the plugin %s is not known to this version; nothing can be deployed to this target", quote(p.Name))
				continue
			}
			target.Type = r.kinds[i].Platform
			r.addProvider(t, target)
		}
		if c := r.d.Object(p.Config); c.Exists() {
			r.pluginConfig(p.Name, c)
		}
		r.out.Plugins = append(r.out.Plugins, p)
	}
}

// pluginConfig reads what moved from the top level into the configuration of a plugin.
func (r *pipedReader) pluginConfig(name string, c *Object) {
	switch name {
	case "analysis":
		r.analysisProviders(c)
	case "kubernetes", "kubernetes_multicluster":
		r.charts(c)
	default:
		c.ignoreAll()
	}
}

func (r *pipedReader) analysisProviders(o *Object) {
	for _, e := range o.Objects("analysisProviders") {
		var p AnalysisProvider
		e.String("name", &p.Name)
		e.Required("type")
		e.Enum("type", &p.Type, "", "PROMETHEUS", "DATADOG", "STACKDRIVER")
		e.variant("type", p.Type, "config")
		c := e.Object("config")
		switch p.Type {
		case "PROMETHEUS":
			c.Required("address")
			c.String("address", &p.Address)
			c.String("usernameFile", &p.UsernameFile)
			c.String("passwordFile", &p.PasswordFile)
		case "DATADOG":
			c.StringOr("address", &p.Address, "datadoghq.com")
			c.String("apiKeyFile", &p.APIKeyFile)
			c.secretData("apiKeyData", &p.APIKeyData)
			c.exactlyOne("apiKeyFile", "apiKeyData")
			c.String("applicationKeyFile", &p.ApplicationKeyFile)
			c.secretData("applicationKeyData", &p.ApplicationKeyData)
			c.exactlyOne("applicationKeyFile", "applicationKeyData")
		case "STACKDRIVER":
			c.String("serviceAccountFile", &p.ServiceAccountFile)
		default:
			c.ignoreAll()
		}
		r.out.AnalysisProviders = append(r.out.AnalysisProviders, p)
	}
}

func (r *pipedReader) charts(o *Object) {
	for _, e := range o.Objects("chartRepositories") {
		var c ChartRepository
		e.Enum("type", &c.Type, "HTTP", "HTTP", "GIT")
		e.variant("type", c.Type, "name", "address", "gitRemote")
		e.String("name", &c.Name)
		e.String("address", &c.Address)
		e.String("username", &c.Username)
		e.secretText("password", &c.Password)
		e.Bool("insecure", &c.Insecure)
		e.String("gitRemote", &c.GitRemote)
		e.String("sshKeyFile", &c.SSHKeyFile)
		switch c.Type {
		case "HTTP":
			e.Required("name", "address")
		case "GIT":
			e.Required("gitRemote")
		}
		r.out.ChartRepositories = append(r.out.ChartRepositories, c)
	}
	for _, e := range o.Objects("chartRegistries") {
		var c ChartRegistry
		e.Enum("type", &c.Type, "OCI", "OCI")
		e.Required("address")
		e.String("address", &c.Address)
		e.String("username", &c.Username)
		e.secretText("password", &c.Password)
		r.out.ChartRegistries = append(r.out.ChartRegistries, c)
	}
}

// secretText reads a plain text that must not be shown, not even in an error.
func (o *Object) secretText(key string, dst *Secret) {
	o.note(key, TextType)
	n := o.Node(key)
	switch n.Kind() {
	case MissingNode, NullNode:
	case StringNode:
		*dst = Secret(n.p.text)
	default:
		o.d.Fail(n, "write the value in quotes", "must be a text, found %s", n.Kind())
	}
}
