package spec

import (
	"cmp"
	"path"
	"strings"
)

// APIVersion is the only apiVersion of configuration files.
const APIVersion = "pipecd.dev/v1beta1"

// Kind is the kind word of a configuration file.
type Kind string

// The kinds of file.
const (
	KubernetesApp    Kind = "KubernetesApp"
	TerraformApp     Kind = "TerraformApp"
	LambdaApp        Kind = "LambdaApp"
	CloudRunApp      Kind = "CloudRunApp"
	ECSApp           Kind = "ECSApp"
	PluginApp        Kind = "Application" // the platform is named by spec.plugins
	PipedFile        Kind = "Piped"
	ControlPlaneFile Kind = "ControlPlane"
	AnalysisTemplate Kind = "AnalysisTemplate"
	EventWatcherFile Kind = "EventWatcher"
)

// Kinds are all known kinds of file.
func Kinds() []Kind {
	return []Kind{KubernetesApp, TerraformApp, LambdaApp, CloudRunApp, ECSApp, PluginApp, PipedFile, ControlPlaneFile, AnalysisTemplate, EventWatcherFile}
}

// KindInfo is what the generic decoder has to know of a platform.
type KindInfo struct {
	// Kind is the word in the file.
	Kind Kind
	// Platform is the upper-case name of the platform, as providers and chains write it: ECS.
	Platform string
	// Plugin is the platform's key under spec.plugins of a file of kind Application.
	Plugin string
	// Stages are the names of the stages that a file may use.
	Stages []string
	// Fields are the keys of spec beside input and quickSync that the platform decodes.
	Fields []string
	// AutoRollback applies where the file says nothing.
	AutoRollback bool
}

// builtinKinds lists the platforms whose files are understood. Stage names are those a user may write.
func builtinKinds() []KindInfo {
	return []KindInfo{
		{
			Kind: KubernetesApp, Platform: "KUBERNETES", Plugin: "kubernetes", AutoRollback: true,
			Fields: []string{"service", "workloads", "trafficRouting", "variantLabel", "resourceRoutes"},
			Stages: []string{"K8S_SYNC", "K8S_PRIMARY_ROLLOUT", "K8S_CANARY_ROLLOUT", "K8S_CANARY_CLEAN", "K8S_BASELINE_ROLLOUT", "K8S_BASELINE_CLEAN", "K8S_TRAFFIC_ROUTING"},
		},
		{Kind: TerraformApp, Platform: "TERRAFORM", Plugin: "terraform", Stages: []string{"TERRAFORM_SYNC", "TERRAFORM_PLAN", "TERRAFORM_APPLY"}},
		{Kind: LambdaApp, Platform: "LAMBDA", Plugin: "lambda", AutoRollback: true, Stages: []string{"LAMBDA_SYNC", "LAMBDA_CANARY_ROLLOUT", "LAMBDA_PROMOTE"}},
		{Kind: CloudRunApp, Platform: "CLOUDRUN", Plugin: "cloudrun", AutoRollback: true, Stages: []string{"CLOUDRUN_SYNC", "CLOUDRUN_PROMOTE"}},
		{
			Kind: ECSApp, Platform: "ECS", Plugin: "ecs", AutoRollback: true,
			Stages: []string{"ECS_SYNC", "ECS_CANARY_ROLLOUT", "ECS_PRIMARY_ROLLOUT", "ECS_TRAFFIC_ROUTING", "ECS_CANARY_CLEAN"},
		},
	}
}

// DefaultApplicationFile is the file name of an application when nothing else is said.
const DefaultApplicationFile = "app.pipecd.yaml"

// ApplicationFile is the path of an application's file in its repository: in its folder, under its name or the default one.
func ApplicationFile(folder, name string) string {
	return path.Join(folder, cmp.Or(name, DefaultApplicationFile))
}

// IsApplicationFile says whether a file of this name (or path) is an application file: app.pipecd.yaml, any other name that
// ends in .pipecd.yaml, and the old .pipe.yaml.
func IsApplicationFile(name string) bool {
	base := path.Base(name)
	return base == ".pipe.yaml" || strings.HasSuffix(base, ".pipecd.yaml")
}
