package world

import (
	"context"
	"fmt"
	"net/http"
	"path"
	"regexp"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/platform"
	"github.com/penstock-cd/penstock/internal/platform/ecs"
	"github.com/penstock-cd/penstock/internal/spec"
)

func (o AWSOptions) settle() time.Duration {
	if o.Settle == 0 {
		return 30 * time.Second
	}
	return o.Settle
}

// Files are the files of an application on ECS with a pipeline (what stands
// below spec, two spaces deep) and an image, of four tasks.
func (a *AWS) Files(name, image, body string) map[string]string {
	group := func(arn string) string {
		return "{targetGroupArn: '" + arn + "', containerName: web, containerPort: 80}"
	}
	return map[string]string{
		AppFile(name): "apiVersion: pipecd.dev/v1beta1\nkind: ECSApp\nspec:\n  name: " + name + "\n  input:\n    serviceDefinitionFile: servicedef.yaml\n    taskDefinitionFile: taskdef.yaml\n" +
			"    targetGroups:\n      primary: " + group(a.Primary) + "\n      canary: " + group(a.Canary) + "\n" + body,
		path.Join(name, "servicedef.yaml"): "cluster: demo\nserviceName: " + name + "\ndesiredCount: 4\ndeploymentController: {type: EXTERNAL}\nlaunchType: FARGATE\n" +
			"networkConfiguration:\n  awsvpcConfiguration: {subnets: [subnet-1], assignPublicIp: ENABLED}\n",
		path.Join(name, "taskdef.yaml"): "family: " + name + "\nnetworkMode: awsvpc\ncpu: '256'\nmemory: '512'\nrequiresCompatibilities: [FARGATE]\n" +
			"containerDefinitions:\n- name: web\n  image: " + image + "\n  essential: true\n  portMappings: [{containerPort: 80}]\n",
	}
}

// ArticleCanary is the pipeline of the main job, below spec.
const ArticleCanary = `  pipeline:
    stages:
    - name: ECS_CANARY_ROLLOUT
      with: {scale: 30}
    - name: ECS_TRAFFIC_ROUTING
      with: {canary: 20}
    - name: WAIT
      with: {duration: 60s}
    - name: ECS_PRIMARY_ROLLOUT
    - name: ECS_TRAFFIC_ROUTING
      with: {primary: 100}
    - name: ECS_CANARY_CLEAN
`

// CommitECS commits a version of an application on ECS.
func (w *World) CommitECS(name, image, body string) string {
	w.T.Helper()
	return w.commitECS(name, image, w.AWS.Files(name, image, body))
}

func (w *World) commitECS(name, image string, files map[string]string) string {
	w.T.Helper()
	return w.Commit("main", name+" "+image, files)
}

var imageLine = regexp.MustCompile(`image: (\S+)`)

// declared is the image of an application on ECS that a commit declares.
func (w *World) declared(app, commit string) string {
	b, err := commitFiles{w, commit}.ReadFile(context.Background(), path.Join(app, "taskdef.yaml"))
	if m := imageLine.FindSubmatch(b); err == nil && m != nil {
		return string(m[1])
	}
	w.Problemf("the image that %.7s declares for %s cannot be read: %v", commit, app, err)
	return ""
}

// Live makes a service with one primary task set of four tasks as somebody
// without Penstock would: no tags, no record.
func (a *AWS) Live(ctx context.Context, name, image string) error {
	def, err := a.ECS.RegisterTaskDefinition(ctx, &awsecs.RegisterTaskDefinitionInput{
		Family: &name, NetworkMode: ecstypes.NetworkModeAwsvpc, Cpu: aws.String("256"), Memory: aws.String("512"), RequiresCompatibilities: []ecstypes.Compatibility{ecstypes.CompatibilityFargate},
		ContainerDefinitions: []ecstypes.ContainerDefinition{{
			Name: aws.String("web"), Image: &image, Essential: aws.Bool(true), PortMappings: []ecstypes.PortMapping{{ContainerPort: aws.Int32(80)}},
		}},
	})
	if err != nil {
		return err
	}
	cluster := aws.String("demo")
	_, err = a.ECS.CreateService(ctx, &awsecs.CreateServiceInput{
		Cluster: cluster, ServiceName: &name, DesiredCount: aws.Int32(4), DeploymentController: &ecstypes.DeploymentController{Type: ecstypes.DeploymentControllerTypeExternal},
	})
	if err != nil {
		return err
	}
	set, err := a.ECS.CreateTaskSet(ctx, &awsecs.CreateTaskSetInput{
		Cluster: cluster, Service: &name, TaskDefinition: def.TaskDefinition.TaskDefinitionArn, LaunchType: ecstypes.LaunchTypeFargate,
		Scale:                &ecstypes.Scale{Unit: ecstypes.ScaleUnitPercent, Value: 100},
		LoadBalancers:        []ecstypes.LoadBalancer{{TargetGroupArn: &a.Primary, ContainerName: aws.String("web"), ContainerPort: aws.Int32(80)}},
		NetworkConfiguration: &ecstypes.NetworkConfiguration{AwsvpcConfiguration: &ecstypes.AwsVpcConfiguration{Subnets: []string{"subnet-1"}, AssignPublicIp: ecstypes.AssignPublicIpEnabled}},
	})
	if err != nil {
		return err
	}
	_, err = a.ECS.UpdateServicePrimaryTaskSet(ctx, &awsecs.UpdateServicePrimaryTaskSetInput{Cluster: cluster, Service: &name, PrimaryTaskSet: set.TaskSet.TaskSetArn})
	return err
}

// commitFiles are the files of one commit.
type commitFiles struct {
	w      *World
	commit string
}

// ReadFile implements platform.Files. What was pushed away is read all the same.
func (f commitFiles) ReadFile(_ context.Context, name string) ([]byte, error) {
	b, ok := f.w.Repos["main"].File(f.commit, name)
	if !ok {
		return nil, deploy.Errorf(deploy.CodeNotFound, "commit %.7s has no file %s", f.commit, name)
	}
	return b, nil
}

// observeECS reads what is live with a platform of its own, past all faults
// between agents and cloud.
func (w *World) observeECS(ctx context.Context, d Deployed) (platform.Live, error) {
	return w.observeWith(ctx, ecs.New(ecs.Options{HTTPClient: &http.Client{Transport: w.AWS.Cloud.Transport()}, Endpoint: w.AWS.Cloud.Endpoint(), Credentials: w.AWS.Credentials()}), d)
}

// observeWith reads what is live with a platform.
func (w *World) observeWith(ctx context.Context, p platform.Platform, d Deployed) (platform.Live, error) {
	config, _, err := spec.Parse("provider", fmt.Appendf(nil, "region: us-east-1\nsettleTime: %s\n", w.opt.AWSOptions.settle()))
	if err != nil {
		return platform.Live{}, err
	}
	files := commitFiles{w, d.Trigger.Commit.Hash}
	text, err := files.ReadFile(ctx, AppFile(d.App.Path))
	if err != nil {
		return platform.Live{}, err
	}
	app, _, err := spec.ReadApplication(AppFile(d.App.Path), text)
	if err != nil {
		return platform.Live{}, err
	}
	want, err := p.Load(ctx, platform.Source{App: d.App, Config: app, Commit: d.Trigger.Commit, Files: files, ProviderConfig: config})
	if err != nil {
		return platform.Live{}, err
	}
	return p.Observe(ctx, platform.Target{App: d.App, Desired: want, ProviderConfig: config})
}
