package spec

import (
	"fmt"
	"slices"
	"strings"
)

// Describer is a platform whose part of the files can be described. Its methods decode as they do for a deployment; what they
// ask for is noted.
type Describer interface {
	// DescribeApplication decodes input, quickSync and the options of the platform's stages.
	DescribeApplication(d *Decoder, app *Application)
	// DescribeProvider decodes the config of a platform provider.
	DescribeProvider(d *Decoder, config Node)
	// FieldTexts says what fields are for, by where they stand: input.accessType, quickSync.recreate, provider.region,
	// ECS_SYNC for a stage and ECS_SYNC.recreate for its option.
	FieldTexts() map[string]string
}

// DescribedKinds are the kinds of file that [Describe] knows.
func DescribedKinds() []Kind {
	return []Kind{ECSApp, LambdaApp, TerraformApp, CloudRunApp, KubernetesApp, PluginApp, PipedFile, AnalysisTemplate, EventWatcherFile}
}

// Describe gives the shape of a file of a kind: what the decoders ask for when they read one. Platforms are given by their
// kind; of one that is not given, only that its part is an object is known. An unknown kind is an error.
func Describe(kind Kind, platforms map[Kind]Describer) (*Shape, error) {
	if !slices.Contains(DescribedKinds(), kind) {
		return nil, Errors{{Message: fmt.Sprintf("there is no schema of kind %s", quote(string(kind))), Hint: suggestKind(kind)}}
	}
	rec := &recorder{root: &Shape{Type: ObjectType, Required: true}}
	for _, seed := range describeSeeds(kind) {
		root, _, err := Parse("seed", []byte(seed))
		if err != nil {
			return nil, err
		}
		rec.begin(root)
		switch {
		case kind == PipedFile:
			describePiped(rec, root, platforms)
		case isShared(kind):
			(&Shared{}).read(rec.decoder(), root)
		default:
			describeApplication(rec, root, platforms)
		}
	}
	rec.root.Field("kind").Words = []string{string(kind)}
	rec.root.Field("apiVersion").Words = []string{APIVersion}
	rec.root.Field("apiVersion").Required = true
	if kind == PipedFile || isShared(kind) {
		rec.root.Field("spec").Required = true
	}
	texts := fieldTexts()
	rec.root.Walk(func(s *Shape) {
		if s.Text == "" {
			_, s.Text = textOf(texts, s.Path)
		}
	})
	return rec.root, nil
}

func isShared(kind Kind) bool { return kind == AnalysisTemplate || kind == EventWatcherFile }

func suggestKind(kind Kind) string {
	var words []string
	for _, k := range DescribedKinds() {
		words = append(words, string(k))
	}
	if hint := suggest(string(kind), words); hint != "" {
		return hint
	}
	return "kinds are " + strings.Join(words, ", ")
}

func describeApplication(rec *recorder, root Node, platforms map[Kind]Describer) {
	r := &appReader{d: rec.decoder(), app: &Application{File: "seed"}, kinds: builtinKinds()}
	if !r.envelope(root) {
		return
	}
	r.spec()
	p := platforms[r.info.Kind]
	if p == nil {
		return
	}
	p.DescribeApplication(rec.decoder(), r.app)
	texts := p.FieldTexts()
	tell(rec.nodes[r.app.Input.p], "input", texts)
	tell(rec.nodes[r.app.QuickSync.p], "quickSync", texts)
	for _, s := range r.app.Stages {
		tell(rec.nodes[s.With.p], s.Name, texts)
	}
}

// tell gives the texts of a platform to the fields below a place.
func tell(s *Shape, place string, texts map[string]string) {
	if s == nil {
		return
	}
	s.Walk(func(f *Shape) { f.Text = texts[place+strings.TrimPrefix(f.Path, s.Path)] })
}

func describePiped(rec *recorder, root Node, platforms map[Kind]Describer) {
	r := &pipedReader{d: rec.decoder(), out: &Piped{}, kinds: builtinKinds()}
	r.file(root.WithLenient())
	for _, p := range r.out.PlatformProviders {
		for _, k := range r.kinds {
			if d := platforms[k.Kind]; d != nil && k.Platform == p.Type {
				d.DescribeProvider(rec.decoder(), p.Config)
				tell(rec.nodes[p.Config.p], "provider", d.FieldTexts())
			}
		}
	}
}

// describeSeeds are files that open every part of a kind whose keys depend on a value; all other parts are opened by being asked for.
func describeSeeds(kind Kind) []string {
	switch kind {
	case PipedFile:
		return pipedSeeds()
	case AnalysisTemplate:
		return []string{fmt.Sprintf("apiVersion: %s\nkind: %s\nspec: {metrics: {a: {}}, logs: {a: {}}, https: {a: {}}}\n", APIVersion, kind)}
	case EventWatcherFile:
		return []string{fmt.Sprintf("apiVersion: %s\nkind: %s\nspec: {}\n", APIVersion, kind)}
	}
	var out []string
	for _, k := range builtinKinds() {
		if k.Kind != kind && kind != PluginApp {
			continue
		}
		var b strings.Builder
		fmt.Fprintf(&b, "apiVersion: %s\nkind: %s\nspec:\n", APIVersion, kind)
		if kind == PluginApp {
			fmt.Fprintf(&b, "  plugins: {%s: {input: {}, quickSync: {}}}\n", k.Plugin)
		} else {
			b.WriteString("  input: {}\n  quickSync: {}\n")
		}
		b.WriteString("  pipeline:\n    stages:\n")
		for _, s := range append([]string{StageWait, StageApproval, StageAnalysis, StageScriptRun, StageCustomSync}, k.Stages...) {
			fmt.Fprintf(&b, "      - {name: %s, with: {}}\n", s)
		}
		out = append(out, b.String())
	}
	return out
}

func pipedSeeds() []string {
	var out []string
	for _, secrets := range []string{"KEY_PAIR", "GCP_KMS"} {
		var b strings.Builder
		fmt.Fprintf(&b, "apiVersion: %s\nkind: %s\nspec:\n  secretManagement: {type: %s, config: {}}\n", APIVersion, PipedFile, secrets)
		var providers, plugins strings.Builder
		for _, k := range builtinKinds() {
			fmt.Fprintf(&providers, "    - {type: %s, config: {}}\n", k.Platform)
			config := ""
			if k.Kind == KubernetesApp {
				config = "chartRepositories: [{type: HTTP}, {type: GIT}]"
			}
			fmt.Fprintf(&plugins, "    - {name: %s, config: {%s}, deployTargets: [{name: %s, config: {}}]}\n", k.Plugin, config, k.Plugin)
		}
		fmt.Fprintf(&b, "  platformProviders:\n%s  cloudProviders:\n%s", providers.String(), strings.ReplaceAll(providers.String(), "{type", "{name: older, type"))
		fmt.Fprintf(&b, "  plugins:\n%s    - {name: kubernetes_multicluster, config: {chartRepositories: [{type: HTTP}, {type: GIT}]}}\n    - {name: analysis, config: {analysisProviders: [%s]}}\n", plugins.String(), analysisSeed())
		fmt.Fprintf(&b, "  analysisProviders: [%s]\n  chartRepositories: [{type: HTTP}, {type: GIT}]\n", analysisSeed())
		out = append(out, b.String())
	}
	return out
}

func analysisSeed() string {
	return "{type: PROMETHEUS, config: {}}, {type: DATADOG, config: {}}, {type: STACKDRIVER, config: {}}"
}
