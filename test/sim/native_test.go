package sim

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/test/world"
)

// nativePipelines are the pipelines that each strategy can go.
var nativePipelines = map[string][]string{
	"CANARY, canaryConfiguration: {canaryBakeTimeInMinutes: 0}": {noPipeline, world.ArticleCanary, world.ArticleCanary, ecsPipelines[4]},
	"BLUE_GREEN": {noPipeline, ecsBlueGreen},
	nativeSteps:  {noPipeline, ecsLinear, ecsLinear},
	"ROLLING":    {noPipeline, ecsRolling},
}

// nativeWrites are the writes that faults of calls meet in worlds of the controller ECS.
var nativeWrites = []string{"ecs.UpdateService", "ecs.ContinueServiceDeployment", "ecs.StopServiceDeployment", "ecs.RegisterTaskDefinition", "ecs.CreateService"}

// nativeSeeds is how many worlds of each strategy a thorough run looks at.
const nativeSeeds = 8

// TestNativeWorlds runs worlds drawn from seeds whose services have the deployment controller ECS.
func TestNativeWorlds(t *testing.T) {
	seeds := 1
	if thorough() {
		seeds = nativeSeeds
	}
	for i, strategy := range slices.Sorted(maps.Keys(nativePipelines)) {
		for n := range seeds {
			seed := uint64(len(nativePipelines)*n + i + 1)
			if only := replayed(); only > 0 && only != seed {
				continue
			}
			t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
				t.Parallel()
				inWorld(t, func(t *testing.T) { simulateECS(t, seed, plan{native: strategy}) })
				seedsRun.Add(1)
			})
		}
		if !thorough() {
			break
		}
	}
}

// TestNativeMeddling: what somebody else does at Amazon ECS while Penstock holds a
// service deployment is found at once, and answered without doing harm.
func TestNativeMeddling(t *testing.T) {
	onlySeeds(t)
	for name, c := range map[string]struct {
		do    func(ctx context.Context, a *world.AWS) error
		ended string
		code  string
	}{
		"turned back in the console": {turnBackByHand, "ROLLED_BACK", "ECS_DEPLOYMENT_TURNED_BACK"},
		"another deployment":         {deployByHand, "NEEDS_ATTENTION", "ECS_DEPLOYMENT_FOREIGN"},
		"weights by hand": {func(_ context.Context, a *world.AWS) error {
			return a.SetWeights(50, 50)
		}, "NEEDS_ATTENTION", "ECS_FOREIGN_WEIGHTS"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(t *testing.T) {
				w := world.New(t, world.Options{Agents: 2, Latency: 5 * time.Millisecond, AWS: true, AWSOptions: crashCloud})
				defer w.Close()
				course{first: noPipeline, body: longECSWait, native: "CANARY"}.begin(w)
				w.CommitNative("web", "v2", "CANARY", longECSWait)
				waitsAt(t, w, 20)
				if err := c.do(context.Background(), w.AWS); err != nil {
					t.Fatal(err)
				}
				at := time.Now()
				settle(w, 2, "")
				d, _ := w.Deployment("web", 2)
				if found := foundAt(d); found.IsZero() || found.Sub(at) > turnsBack+lookEvery || d.Display() != c.ended {
					report(t, w, "ended as "+d.Display()+", noticed after "+found.Sub(at).String())
				}
				if text := d.Reason.String() + d.Failed.String(); !strings.Contains(text, c.code) {
					report(t, w, "the reason is "+text)
				}
				w.Tick(30 * time.Second)
				w.CheckUsers()
				if p := w.Problems(); len(p) > 0 {
					report(t, w, strings.Join(p, "\n"))
				}
			})
		})
	}
}

// foundAt is when the pipeline was stopped.
func foundAt(d deploy.Deployment) time.Time {
	if !d.RollbackAt.IsZero() {
		return d.RollbackAt
	}
	return d.FinishedAt
}

// waitsAt lets time pass until the deployment waits with a share of the new version.
func waitsAt(t *testing.T, w *world.World, percent float64) {
	t.Helper()
	for from := time.Now(); time.Since(from) < 10*time.Minute; w.Tick(time.Second) {
		d, _ := w.Deployment("web", 2)
		if i := d.Current(); i >= 0 && d.Stages[i].Type == "WAIT" {
			r, err := newest(context.Background(), w.AWS)
			if err != nil || aws.ToFloat64(r.TargetServiceRevision.RequestedProductionTrafficWeight) != percent {
				t.Fatalf("the new version waits with %v, %v", r.TargetServiceRevision, err)
			}
			return
		}
	}
	t.Fatal("the deployment never waits")
}

func newest(ctx context.Context, a *world.AWS) (ecstypes.ServiceDeployment, error) {
	list, err := a.ECS.ListServiceDeployments(ctx, &awsecs.ListServiceDeploymentsInput{Cluster: aws.String("demo"), Service: aws.String("web")})
	if err != nil {
		return ecstypes.ServiceDeployment{}, err
	}
	out, err := a.ECS.DescribeServiceDeployments(ctx, &awsecs.DescribeServiceDeploymentsInput{ServiceDeploymentArns: []string{*list.ServiceDeployments[0].ServiceDeploymentArn}})
	if err != nil {
		return ecstypes.ServiceDeployment{}, err
	}
	return out.ServiceDeployments[0], nil
}

func turnBackByHand(ctx context.Context, a *world.AWS) error {
	r, err := newest(ctx, a)
	if err != nil {
		return err
	}
	_, err = a.ECS.StopServiceDeployment(ctx, &awsecs.StopServiceDeploymentInput{ServiceDeploymentArn: r.ServiceDeploymentArn, StopType: ecstypes.StopServiceDeploymentStopTypeRollback})
	return err
}

func deployByHand(ctx context.Context, a *world.AWS) error {
	_, err := a.ECS.UpdateService(ctx, &awsecs.UpdateServiceInput{Cluster: aws.String("demo"), Service: aws.String("web"), ForceNewDeployment: true})
	return err
}
