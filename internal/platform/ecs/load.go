package ecs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"reflect"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/platform"
	"github.com/penstock-cd/penstock/internal/spec"
)

// Load implements platform.Platform.
func (p *Platform) Load(ctx context.Context, src platform.Source) (platform.Desired, error) {
	out := platform.Desired{Kind: Kind, AutoRollback: true}
	prov, err := providerOf(src.ProviderConfig)
	if err != nil {
		return out, err
	}
	d := spec.NewDecoder()
	in := decodeInput(d, src.Config)
	des := &desired{Access: in.Access, Primary: in.Primary, Canary: in.Canary, Recreate: in.Recreate, Settle: prov.Settle}
	l := loader{ctx: ctx, src: src, d: d}
	task := l.task(in.TaskFile)
	if in.ServiceFile == "" {
		des.Standalone, des.Cluster, des.Access = &in.Standalone, in.Cluster, "SERVICE_DISCOVERY"
		des.Primary, des.Canary = nil, nil
	} else {
		l.service(in.ServiceFile, des)
	}
	for _, st := range src.Config.Stages {
		if strings.HasPrefix(st.Name, "ECS_") {
			decodeStage(d, st.Name, st.With)
		}
	}
	l.nativePipeline(des)
	des.Task = task
	if task != nil {
		l.groups(des)
		l.connectPorts(des)
	}
	warnings, err := d.Finish()
	if err = spec.Join(err, l.err()); err != nil {
		return out, err
	}
	out.Warnings = warnings
	if out.Body, err = json.Marshal(des); err != nil {
		return out, fmt.Errorf("encode desired state: %w", err)
	}
	out.Digest = platform.Digest(desiredView(des))
	out.Versions = versionsOf(des.Task)
	return out, nil
}

// loader reads the files beside the application file.
type loader struct {
	ctx  context.Context
	src  platform.Source
	d    *spec.Decoder
	errs []error

	connectAt     spec.Node   // serviceConnectConfiguration of the service file
	testRuleNodes []spec.Node // the rules in it that lead test requests to the new version
}

func (l *loader) err() error { return spec.Join(l.errs...) }

// parse reads one file; a false says that nothing can be decoded, and why is noted.
func (l *loader) parse(option, name string) (spec.Node, bool) {
	at := l.src.Config.Input.Get(option)
	full := path.Join(l.src.App.Path, name)
	if strings.HasPrefix(full, "../") || path.IsAbs(name) {
		l.d.Fail(at, "name a file in the application's repository", "%s lies outside of the repository", name)
		return spec.Node{}, false
	}
	data, err := l.src.Files.ReadFile(l.ctx, full)
	if errors.Is(err, fs.ErrNotExist) || deploy.CodeOf(err) == deploy.CodeNotFound {
		l.d.Fail(at, "add the file, or correct "+option, "the file %s does not exist at commit %s", full, l.src.Commit.Short())
		return spec.Node{}, false
	}
	if err != nil {
		l.errs = append(l.errs, fmt.Errorf("read %s: %w", full, err))
		return spec.Node{}, false
	}
	n, _, err := spec.Parse(full, data)
	if err != nil {
		l.errs = append(l.errs, err)
		return n, false
	}
	if n.Kind() != spec.ObjectNode {
		l.d.Fail(n, "", "the file must hold one object, found %s", n.Kind())
		return n, false
	}
	return n, true
}

func (l *loader) task(name string) *taskDefinition {
	n, ok := l.parse("taskDefinitionFile", name)
	if !ok {
		return nil
	}
	t := &taskDefinition{}
	// What DescribeTaskDefinition shows besides is accepted silently, because people start from its output.
	fill(l.d, n, reflect.ValueOf(t).Elem(), "taskDefinitionArn", "revision", "status", "requiresAttributes", "compatibilities", "registeredAt", "registeredBy", "deregisteredAt")
	if aws.ToString(t.Family) == "" {
		l.d.Fail(n.Get("family"), "for example family: shop", "a task definition needs a family")
	}
	if k := n.Get("containerDefinitions").Kind(); len(t.ContainerDefinitions) == 0 && (k == spec.ListNode || k <= spec.NullNode) {
		l.d.Fail(n.Get("containerDefinitions"), "", "a task definition needs at least one container")
	}
	seen := map[string]bool{}
	for i, c := range t.ContainerDefinitions {
		at := n.Get("containerDefinitions").Items()[i]
		name := aws.ToString(c.Name)
		if name == "" {
			l.d.Fail(at.Get("name"), "", "a container needs a name")
		} else if seen[name] {
			l.d.Fail(at.Get("name"), "", "two containers are called %q", name)
		}
		seen[name] = true
		if aws.ToString(c.Image) == "" {
			l.d.Fail(at.Get("image"), "", "a container needs an image")
		}
	}
	return t
}

func (l *loader) service(name string, des *desired) {
	n, ok := l.parse("serviceDefinitionFile", name)
	if !ok {
		return
	}
	var s ecstypes.Service
	fill(l.d, n, reflect.ValueOf(&s).Elem(), laterFields()...)
	des.Name, des.Cluster, des.Count = aws.ToString(s.ServiceName), aws.ToString(s.ClusterArn), int(s.DesiredCount)
	if des.Cluster == "" {
		des.Cluster = n.Get("cluster").Text()
	}
	if s.RoleArn == nil {
		s.RoleArn = opt(n.Get("role").Text())
	}
	des.Service, des.Tags = fieldsOf(s), userTags(tagMap(s.Tags))
	des.Shape = setShape{Network: s.NetworkConfiguration, LaunchType: s.LaunchType, Capacity: s.CapacityProviderStrategy, PlatformVersion: aws.ToString(s.PlatformVersion), Registries: s.ServiceRegistries}
	l.checkService(n, s, des)
}

func (l *loader) checkService(n spec.Node, s ecstypes.Service, des *desired) {
	if des.Name == "" {
		l.d.Fail(n.Get("serviceName"), "for example serviceName: shop", "a service definition needs a serviceName")
	}
	if des.Count < 0 {
		l.d.Fail(n.Get("desiredCount"), "", "must not be negative")
	}
	if c := s.DeploymentController; c != nil && c.Type == controllerECS {
		l.native(n, s, des)
	} else if c != nil && c.Type != external {
		l.d.Fail(n.Get("deploymentController").Get("type"), "write deploymentController: {type: EXTERNAL} or {type: ECS}", "the deployment controller must be EXTERNAL or ECS, found %q", c.Type)
	}
	if s.SchedulingStrategy != "" && s.SchedulingStrategy != ecstypes.SchedulingStrategyReplica {
		l.d.Fail(n.Get("schedulingStrategy"), "use REPLICA", "services with the %s controller cannot be %s", des.controller(), s.SchedulingStrategy)
	}
	if len(s.LaunchType) > 0 && len(s.CapacityProviderStrategy) > 0 {
		l.d.Fail(n.Get("launchType"), "leave one of the two out", "launchType and capacityProviderStrategy exclude each other")
	}
	l.withoutEffect(n, des)
}

// groups checks that the target groups name a container and a port of the task definition, and completes them.
func (l *loader) groups(des *desired) {
	for key, g := range map[string]*targetGroup{"primary": des.Primary, "canary": des.Canary} {
		if g == nil || des.Access != accessELB || len(des.Task.ContainerDefinitions) == 0 {
			continue
		}
		at := l.src.Config.Input.Get("targetGroups").Get(key)
		given := g.Container
		g.Container, g.Port = g.container(des.Task)
		if given != "" && !hasContainer(des.Task, given) {
			l.d.Fail(at.Get("containerName"), "", "the task definition has no container called %q", given)
		}
		if g.Port == 0 {
			l.d.Fail(at.Get("containerPort"), "for example containerPort: 80", "is required: container %q maps no port", g.Container)
		}
	}
}

func hasContainer(t *taskDefinition, name string) bool {
	for _, c := range t.ContainerDefinitions {
		if aws.ToString(c.Name) == name {
			return true
		}
	}
	return false
}

// versionsOf lists the images of a task definition, the first container first.
func versionsOf(t *taskDefinition) []deploy.Version {
	if t == nil {
		return nil
	}
	var vs []deploy.Version
	for _, c := range t.ContainerDefinitions {
		image := aws.ToString(c.Image)
		name, version := platform.SplitImage(image)
		vs = append(vs, deploy.Version{Kind: "CONTAINER_IMAGE", Name: name, Version: version, URL: image})
	}
	return vs
}
