package scenario

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/git"
	"github.com/penstock-cd/penstock/internal/localcloud/runtime/memory"
	"github.com/penstock-cd/penstock/internal/platform"
	"github.com/penstock-cd/penstock/internal/platform/fake"
	"github.com/penstock-cd/penstock/test/world"
)

// commit writes application files.
func (s *script) commit(verb string, args []string) error {
	if verb == "file" {
		content := s.sections[args[1]]
		if args[1] != "-" && content == "" {
			return fmt.Errorf("no section %s", args[1])
		}
		s.w.Commit("main", "file "+args[0], map[string]string{args[0]: content})
		return nil
	}
	name := args[0]
	_, set := split(args[1:])
	take := func(key, def string) string {
		v, ok := set[key]
		delete(set, key)
		if !ok {
			return def
		}
		return v
	}
	repo, dir := take("repo", "main"), take("dir", name)
	message := strings.ReplaceAll(take("message", strings.Join(args, "_")), "_", " ")
	body := take("body", "")
	if body != "" {
		if s.sections[body] == "" {
			return fmt.Errorf("no section %s", body)
		}
		body = s.sections[body]
	}
	files := map[string]string{}
	switch verb {
	case "ecs":
		files = s.ecsFiles(name, dir, body, set)
	case "lambda":
		if body == "" {
			body = world.LambdaCanary
		}
		files = world.LambdaFiles(name, set["image"], body, s.sections[set["function"]])
	default:
		if body == "" {
			body = world.FakeCanary
		}
		files[world.AppFile(dir)] = world.FakeApp(name, set, body)
	}
	s.w.Commit(repo, message, files)
	return nil
}

const ecsCanary = `  pipeline:
    stages:
    - name: ECS_CANARY_ROLLOUT
      with: {scale: 30}
    - name: ECS_TRAFFIC_ROUTING
      with: {canary: 20}
    - name: WAIT
      with: {duration: 150s}
    - name: ECS_PRIMARY_ROLLOUT
    - name: ECS_TRAFFIC_ROUTING
      with: {primary: 100}
    - name: ECS_CANARY_CLEAN
`

func (s *script) ecsFiles(name, dir, body string, set map[string]string) map[string]string {
	if body == "" {
		body = ecsCanary
	}
	desired, image, canary := set["desired"], set["image"], s.w.AWS.Canary
	launch := "launchType: FARGATE"
	if set["launch"] != "" {
		launch = strings.TrimSpace(s.sections[set["launch"]])
	}
	if desired == "" {
		desired = "4"
	}
	primary := s.w.AWS.Primary
	if set["group"] == "loose" {
		primary = s.w.AWS.Loose
	}
	group := func(arn string) string {
		return "{targetGroupArn: '" + arn + "', containerName: web, containerPort: 80}"
	}
	exposed := "    targetGroups:\n      primary: " + group(primary) + "\n      canary: " + group(canary) + "\n"
	if set["access"] == "discovery" {
		exposed = "    accessType: SERVICE_DISCOVERY\n"
	}
	port := "{containerPort: 80}"
	if set["port"] != "" {
		port = "{containerPort: 80, name: " + set["port"] + ", appProtocol: http}"
	}
	controller, balancer := "{type: EXTERNAL}", ""
	if strategy := set["native"]; strategy != "" {
		controller, balancer = s.native(strategy, set["config"])
	}
	if set["access"] == "discovery" {
		balancer = ""
	}
	return map[string]string{
		world.AppFile(dir): "apiVersion: pipecd.dev/v1beta1\nkind: ECSApp\nspec:\n  name: " + name + "\n  input:\n    serviceDefinitionFile: servicedef.yaml\n    taskDefinitionFile: taskdef.yaml\n" +
			exposed + body,
		dir + "/servicedef.yaml": "cluster: demo\nserviceName: " + name + "\ndesiredCount: " + desired + "\ndeploymentController: " + controller + "\n" + launch + "\n" +
			"networkConfiguration:\n  awsvpcConfiguration: {subnets: [subnet-1], assignPublicIp: ENABLED}\n" + balancer + s.sections[set["service"]],
		dir + "/taskdef.yaml": "family: " + name + "\nnetworkMode: awsvpc\ncpu: '256'\nmemory: '512'\nrequiresCompatibilities: [FARGATE]\nexecutionRoleArn: arn:aws:iam::123456789012:role/exec\n" +
			"containerDefinitions:\n- name: web\n  image: " + image + "\n  essential: true\n  portMappings: [" + port + "]\n" + s.sections[set["task"]],
	}
}

// native is what the service file of the controller ECS says besides: the strategy, with a section of the deployment configuration behind
// it, and the rule that Amazon ECS shifts.
func (s *script) native(strategy, section string) (controller, balancer string) {
	if section != "" {
		strategy += ", " + strings.TrimSpace(s.sections[section])
	}
	return "{type: ECS}\ndeploymentConfiguration: {strategy: " + strategy + "}",
		"loadBalancers:\n- advancedConfiguration:\n    productionListenerRule: " + s.w.AWS.Rule + "\n    roleArn: arn:aws:iam::123456789012:role/ecs-load-balancers\n"
}

// person carries out what somebody does.
func (s *script) person(verb string, args []string) error {
	plain, set := split(args)
	by := set["by"]
	if by == "" {
		by = "bob"
	}
	switch verb {
	case "sync":
		strategy := map[string]deploy.Strategy{"quick": deploy.StrategyQuick, "pipeline": deploy.StrategyPipeline}[append(plain, "")[1]]
		return s.w.Sync(by, plain[0], string(strategy))
	case "enable", "disable":
		return s.w.Enable(by, plain[0], verb == "enable")
	}
	_, d, err := s.deployment(plain[0])
	if err != nil {
		return err
	}
	switch verb {
	case "cancel":
		choice := map[string]deploy.RollbackChoice{"force": deploy.RollbackForce, "never": deploy.RollbackNever}[append(plain, "")[1]]
		return s.w.Cancel(by, d.ID, string(choice))
	case "retry":
		return s.w.Retry(by, d.ID)
	case "rollback":
		return s.w.RollBackTo(by, d.ID, strings.ReplaceAll(strings.Join(plain[1:], " "), "_", " "))
	}
	if len(plain) > 2 {
		by = plain[2]
	}
	stage, err := stageOf(d, plain[1])
	if err != nil {
		return err
	}
	if seen := set["seen"]; seen != "" {
		if seen == "plan" {
			seen = d.Plan.ChangesBlob
		}
		return s.w.ApproveSeen(by, d.ID, stage.ID, seen)
	}
	return s.w.Decide(verb, by, d.ID, stage.ID)
}

// refusal is an error as scripts compare it.
func refusal(err error) string {
	return string(deploy.CodeOf(err)) + " " + deploy.RefusalOf(err) + " " + err.Error()
}

// machinery carries out what happens to machines.
func (s *script) machinery(verb string, args []string) error {
	switch verb {
	case "kill", "stop", "start", "cut", "mend":
		return s.process(verb, args)
	case "server":
		switch args[0] {
		case "stop":
			s.w.StopServer(0)
		case "start":
			s.w.StartServer()
		default:
			down := time.Second
			if len(args) > 1 {
				var err error
				if down, err = time.ParseDuration(args[1]); err != nil {
					return err
				}
			}
			s.w.StopServer(down)
			s.w.Tick(down + 100*time.Millisecond)
		}
		return nil
	case "cloud":
		return s.cloud(args)
	case "repo":
		return s.repo(args)
	case "aws":
		return s.aws(args)
	}
	return fmt.Errorf("unknown command %s", verb)
}

func (s *script) process(verb string, args []string) error {
	if verb == "start" {
		s.w.StartAgent(args[0])
		s.w.Tick(100 * time.Millisecond)
		return nil
	}
	p := s.w.Process(args[0])
	if p == nil {
		return fmt.Errorf("there is no process %s", args[0])
	}
	switch verb {
	case "kill":
		p.Kill()
	case "stop":
		p.Stop()
	case "cut":
		p.Link.Cut(len(args) > 1 && args[1] == "silent")
	case "mend":
		p.Link.Mend()
	}
	return nil
}

func (s *script) cloud(args []string) error {
	switch args[0] {
	case "fail":
		s.w.Cloud.Fail(errors.New(strings.Join(args[1:], " ")))
	case "throttle":
		s.w.Cloud.Fail(platform.Retryable(errors.New("ThrottlingException: rate exceeded"), 2*time.Second))
	case "mend":
		s.w.Cloud.Fail(nil)
	case "size", "stuck":
		n := number(args[2], 0)
		edit := func() { s.w.Cloud.Edit(args[1], func(x *fake.Service) { x.Size = n }) }
		if args[0] == "stuck" {
			s.w.InterceptCloud(nil, func(fake.Write) { edit() })
		}
		edit()
	case "weights":
		var p, c int
		if _, err := fmt.Sscanf(args[2], "%d/%d", &p, &c); err != nil {
			return err
		}
		s.w.Cloud.Edit(args[1], func(x *fake.Service) { x.Weights = map[string]int{fake.Primary: p, fake.Canary: c} })
	default:
		return fmt.Errorf("unknown: cloud %s", args[0])
	}
	return nil
}

func (s *script) repo(args []string) error {
	id := "main"
	if len(args) > 2 {
		id = args[2]
	} else if args[0] == "mend" && len(args) > 1 {
		id = args[1]
	}
	r := s.w.Repos[id]
	if args[0] == "mend" {
		r.Fail(nil)
		return nil
	}
	kind := map[string]error{"unreachable": git.ErrUnreachable, "auth": git.ErrAuth, "missing": git.ErrBranchMissing}[args[1]]
	if kind == nil {
		return fmt.Errorf("unknown kind of failure %s", args[1])
	}
	r.Fail(kind)
	return nil
}

func (s *script) aws(args []string) error {
	a := s.w.AWS
	switch args[0] {
	case "behave":
		_, set := split(args[2:])
		b := memory.Behaviour{}
		for key, to := range map[string]*time.Duration{"ready": &b.HealthyAfter, "start": &b.StartDelay, "sick": &b.UnhealthyAfter, "exit": &b.ExitAfter} {
			if set[key] == "" {
				continue
			}
			var err error
			if *to, err = time.ParseDuration(set[key]); err != nil {
				return err
			}
		}
		b.FailToStart = set["fail"] != ""
		b.ExitCode = number(set["code"], 0)
		a.Behave(args[1], b)
		return nil
	case "weights":
		var p, c int32
		if _, err := fmt.Sscanf(args[1], "%d/%d", &p, &c); err != nil {
			return err
		}
		return a.SetWeights(p, c)
	case "function":
		return a.LiveFunction(context.Background(), args[1], args[2])
	case "alias":
		return a.SetAlias(args[1], args[2])
	case "tag":
		_, set := split(args[2:])
		return a.Tag(args[1], set)
	}
	return fmt.Errorf("unknown: aws %s", args[0])
}
