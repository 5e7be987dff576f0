//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// awscli runs Debian's AWS command line: a client with its own wire code, signatures and idea of every answer's shape.
type awscli struct {
	t       *testing.T
	program string
	cloud   *cloud
	env     []string // of the process, beside the credential
}

// awsProgram prefers the distribution's program to a version manager's shim of the same name.
func awsProgram(t *testing.T) string {
	t.Helper()
	if _, err := os.Stat("/usr/bin/aws"); err == nil {
		return "/usr/bin/aws"
	}
	path, err := exec.LookPath("aws")
	if err == nil {
		err = exec.Command(path, "--version").Run()
	}
	if err == nil {
		return path
	}
	if os.Getenv("CI") != "" {
		t.Fatal("the AWS command line is not installed: apt-get install awscli")
	}
	t.Skip("the AWS command line is not installed: apt-get install awscli")
	return ""
}

func (a awscli) run(args ...string) ([]byte, error) {
	a.t.Helper()
	cmd := exec.CommandContext(a.t.Context(), a.program, append(args, "--endpoint-url", a.cloud.Endpoint, "--output", "json")...)
	cmd.Env = append(append(os.Environ(), a.cloud.env()...), a.env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, strings.TrimSpace(stderr.String()))
	}
	return out, err
}

// json runs one command that must succeed and decodes its answer.
func (a awscli) json(args ...string) node {
	a.t.Helper()
	out, err := a.run(args...)
	if err != nil {
		a.t.Fatalf("aws %s: %v", strings.Join(args, " "), err)
	}
	var v any
	if len(bytes.TrimSpace(out)) > 0 {
		if err := json.Unmarshal(out, &v); err != nil {
			a.t.Fatalf("aws %s: %v in %s", strings.Join(args, " "), err, out)
		}
	}
	return node{v}
}

// refused runs one command that must fail with AWS's own error name. The command line prints
// "An error occurred (Name) when calling the Operation operation: message" and ends with 254.
func (a awscli) refused(code, operation string, args ...string) {
	a.t.Helper()
	_, err := a.run(args...)
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("An error occurred (%s) when calling the %s operation", code, operation)) {
		a.t.Errorf("aws %s: want error %s of %s, got: %v", strings.Join(args, " "), code, operation, err)
	}
}

// node is decoded JSON that can be dug into.
type node struct{ v any }

// at follows keys of objects and positions in lists; what is not there is an empty node.
func (n node) at(path ...any) node {
	v := n.v
	for _, p := range path {
		switch key := p.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[key]
		case int:
			l, _ := v.([]any)
			if key >= len(l) {
				return node{}
			}
			v = l[key]
		}
	}
	return node{v}
}

func (n node) text(path ...any) string { s, _ := n.at(path...).v.(string); return s }
func (n node) list(path ...any) []any  { l, _ := n.at(path...).v.([]any); return l }
func (n node) num(path ...any) float64 { f, _ := n.at(path...).v.(float64); return f }

func (n node) String() string { b, _ := json.Marshal(n.v); return string(b) }

// strings gives a list of strings.
func (n node) strings(path ...any) []string {
	var out []string
	for _, v := range n.list(path...) {
		s, _ := v.(string)
		out = append(out, s)
	}
	return out
}

// The walk through the local cloud by the AWS command line, with task processes behind the real router.
func TestAWSCommandLineWalk(t *testing.T) {
	t.Parallel()
	program := awsProgram(t)
	cli := awscli{t: t, program: program, cloud: startCloud(t, "ideal")}
	began := time.Now()
	cliIdentity(t, cli)
	cliStores(t, cli)
	w := &cliWalk{awscli: cli}
	w.prepare()
	w.firstVersion()
	w.secondVersion()
	w.refusals()
	w.shift()
	w.clean()
	t.Logf("the walk took %s", time.Since(began).Round(time.Second))
}

func cliIdentity(t *testing.T, cli awscli) {
	t.Helper()
	if id := cli.json("sts", "get-caller-identity"); id.text("Account") != "123456789012" || id.text("Arn") == "" || id.text("UserId") == "" {
		t.Errorf("caller: %s", id)
	}
	wrong := cli
	wrong.env = []string{"AWS_SECRET_ACCESS_KEY=not-the-key"}
	wrong.refused("SignatureDoesNotMatch", "GetCallerIdentity", "sts", "get-caller-identity")
	wrong.refused("InvalidSignatureException", "ListClusters", "ecs", "list-clusters")
}

func cliStores(t *testing.T, cli awscli) {
	t.Helper()
	const value = "line one\nv <&> ü \"quoted\""
	cli.json("ssm", "put-parameter", "--name", "/penstock/agent", "--type", "SecureString", "--value", value)
	p := cli.json("ssm", "get-parameter", "--name", "/penstock/agent", "--with-decryption")
	if p.text("Parameter", "Value") != value || p.num("Parameter", "Version") != 1 || p.text("Parameter", "Type") != "SecureString" {
		t.Errorf("parameter: %s", p)
	}
	cli.refused("ParameterAlreadyExists", "PutParameter", "ssm", "put-parameter", "--name", "/penstock/agent", "--type", "String", "--value", "x")
	made := cli.json("secretsmanager", "create-secret", "--name", "agent", "--secret-string", "hush")
	if s := cli.json("secretsmanager", "get-secret-value", "--secret-id", made.text("ARN")); s.text("SecretString") != "hush" || s.text("Name") != "agent" {
		t.Errorf("secret: %s", s)
	}
	cli.refused("ResourceNotFoundException", "GetSecretValue", "secretsmanager", "get-secret-value", "--secret-id", "none")
}

// cliWalk is one service on its way from v1 to v2.
type cliWalk struct {
	awscli
	listener, addr string
	groups         [2]string // primary, canary
	loose          string    // a group that no listener uses
	defs, sets     [2]string
}

const (
	cliCluster = "walk"
	cliService = "web"
)

func (w *cliWalk) weights(primary, canary int) string {
	return fmt.Sprintf(`[{"Type":"forward","ForwardConfig":{"TargetGroups":[{"TargetGroupArn":%q,"Weight":%d},{"TargetGroupArn":%q,"Weight":%d}]}}]`,
		w.groups[0], primary, w.groups[1], canary)
}

// prepare makes what a team's Terraform makes: cluster, balancer, groups, listener, a rule, and the service.
func (w *cliWalk) prepare() {
	w.t.Helper()
	if c := w.json("ecs", "create-cluster", "--cluster-name", cliCluster); c.text("cluster", "status") != "ACTIVE" {
		w.t.Errorf("cluster: %s", c)
	}
	lb := w.json("elbv2", "create-load-balancer", "--name", "walk", "--subnets", "subnet-0a1b2c3d", "subnet-0b1b2c3d").text("LoadBalancers", 0, "LoadBalancerArn")
	group := func(name string) string {
		return w.json("elbv2", "create-target-group", "--name", name, "--protocol", "HTTP", "--port", "8080", "--vpc-id", "vpc-0a1b2c3d", "--target-type", "ip",
			"--health-check-path", "/healthz", "--health-check-interval-seconds", "5", "--health-check-timeout-seconds", "2",
			"--healthy-threshold-count", "2").text("TargetGroups", 0, "TargetGroupArn")
	}
	w.groups, w.loose = [2]string{group("walk-primary"), group("walk-canary")}, group("walk-loose")
	for _, g := range w.groups {
		if g == "" {
			w.t.Fatal("a target group has no ARN")
		}
	}
	for _, g := range w.groups {
		w.json("elbv2", "modify-target-group-attributes", "--target-group-arn", g, "--attributes", "Key=deregistration_delay.timeout_seconds,Value=1")
	}
	w.listener = w.json("elbv2", "create-listener", "--load-balancer-arn", lb, "--protocol", "HTTP", "--port", "80",
		"--default-actions", w.weights(100, 0)).text("Listeners", 0, "ListenerArn")
	rule := w.json("elbv2", "create-rule", "--listener-arn", w.listener, "--priority", "10", "--conditions", "Field=path-pattern,Values=/canary/*",
		"--actions", "Type=forward,TargetGroupArn="+w.groups[1])
	if rule.text("Rules", 0, "Priority") != "10" || rule.text("Rules", 0, "Conditions", 0, "Values", 0) != "/canary/*" {
		w.t.Errorf("rule: %s", rule)
	}
	w.addr = w.cloud.listenerAddr(w.listener)
	s := w.json("ecs", "create-service", "--cluster", cliCluster, "--service-name", cliService, "--desired-count", "2", "--deployment-controller", "type=EXTERNAL")
	if s.text("service", "status") != "ACTIVE" || s.text("service", "deploymentController", "type") != "EXTERNAL" {
		w.t.Errorf("service: %s", s)
	}
}

// release registers a version and makes its task set.
func (w *cliWalk) release(i int, version string, scale int) {
	w.t.Helper()
	def := w.json("ecs", "register-task-definition", "--family", cliService, "--network-mode", "awsvpc", "--requires-compatibilities", "FARGATE", "--cpu", "256", "--memory", "512",
		"--container-definitions", fmt.Sprintf(`[{"name":"web","image":"demo:%s","essential":true,"portMappings":[{"containerPort":8080}]}]`, version))
	w.defs[i] = def.text("taskDefinition", "taskDefinitionArn")
	if def.num("taskDefinition", "revision") != float64(i+1) || def.text("taskDefinition", "status") != "ACTIVE" {
		w.t.Errorf("task definition: %s", def)
	}
	set := w.json(append([]string{"ecs", "create-task-set", "--scale", fmt.Sprintf("value=%d,unit=PERCENT", scale)}, w.setArgs(w.defs[i], w.groups[i])...)...)
	w.sets[i] = set.text("taskSet", "id")
	if set.text("taskSet", "status") != "ACTIVE" || set.text("taskSet", "stabilityStatus") != "STABILIZING" {
		w.t.Errorf("new task set: %s", set)
	}
	w.steady(w.sets[i])
}

func (w *cliWalk) setArgs(def, group string) []string {
	return []string{
		"--cluster", cliCluster, "--service", cliService, "--task-definition", def, "--launch-type", "FARGATE",
		"--load-balancers", fmt.Sprintf("targetGroupArn=%s,containerName=web,containerPort=8080", group),
		"--network-configuration", "awsvpcConfiguration={subnets=[subnet-0a1b2c3d]}",
	}
}

// steady asks until the task set is steady and gives it.
func (w *cliWalk) steady(id string) node {
	w.t.Helper()
	return await(w.t, time.Minute, "steady state of "+id, func() (node, error) {
		out := w.json("ecs", "describe-task-sets", "--cluster", cliCluster, "--service", cliService, "--task-sets", id)
		if out.text("taskSets", 0, "stabilityStatus") != "STEADY_STATE" {
			time.Sleep(time.Second) // each question costs a second of a core
			return out, fmt.Errorf("task set: %s", out)
		}
		return out.at("taskSets", 0), nil
	})
}

func (w *cliWalk) firstVersion() {
	w.t.Helper()
	w.release(0, "v1", 100)
	health := w.json("elbv2", "describe-target-health", "--target-group-arn", w.groups[0])
	for i := range 2 {
		if health.text("TargetHealthDescriptions", i, "TargetHealth", "State") != "healthy" {
			w.t.Errorf("target health: %s", health)
		}
	}
	w.json("ecs", "update-service-primary-task-set", "--cluster", cliCluster, "--service", cliService, "--primary-task-set", w.sets[0])
	onlyVersion(w.t, w.addr, "v1", 5*time.Second)
}

// secondVersion starts v2 at half the capacity beside v1 and looks at its tasks.
func (w *cliWalk) secondVersion() {
	w.t.Helper()
	w.release(1, "v2", 50)
	onlyVersion(w.t, w.addr, "v1", 5*time.Second) // a canary without weight gets nothing
	// Three tasks, two to a page: the command line follows nextToken by itself.
	arns := w.json("ecs", "list-tasks", "--cluster", cliCluster, "--service-name", cliService, "--page-size", "2").strings("taskArns")
	if len(arns) != 3 {
		w.t.Fatalf("want three tasks over two pages, got %v", arns)
	}
	tasks := w.json(append([]string{"ecs", "describe-tasks", "--cluster", cliCluster, "--tasks"}, arns...)...)
	started := map[string]int{}
	for i := range tasks.list("tasks") {
		task := tasks.at("tasks", i)
		if task.text("lastStatus") != "RUNNING" || task.text("group") != "service:"+cliService || task.text("containers", 0, "name") != "web" {
			w.t.Errorf("task: %s", task)
		}
		started[task.text("startedBy")]++
	}
	if started[w.sets[0]] != 2 || started[w.sets[1]] != 1 {
		w.t.Errorf("tasks by task set: %v, want two of %s and one of %s", started, w.sets[0], w.sets[1])
	}
}

// refusals are mistakes that a deployment tool can make; AWS names each.
func (w *cliWalk) refusals() {
	w.t.Helper()
	at := []string{"--cluster", cliCluster, "--service", cliService}
	w.refused("TaskSetNotFoundException", "UpdateTaskSet", append([]string{"ecs", "update-task-set", "--task-set", "ecs-svc/0000000000000000000", "--scale", "value=10,unit=PERCENT"}, at...)...)
	w.refused("ServiceNotFoundException", "DescribeTaskSets", "ecs", "describe-task-sets", "--cluster", cliCluster, "--service", "none")
	w.refused("ClusterNotFoundException", "ListTasks", "ecs", "list-tasks", "--cluster", "none")
	w.refused("ValidationError", "ModifyListener", "elbv2", "modify-listener", "--listener-arn", w.listener, "--default-actions", w.weights(1000, 0))
	w.refused("InvalidParameterException", "CreateTaskSet", append([]string{"ecs", "create-task-set", "--scale", "value=0,unit=PERCENT"}, w.setArgs(w.defs[0], w.loose)...)...)

	for range 3 { // with the two that exist there are five
		w.json(append([]string{"ecs", "create-task-set", "--scale", "value=0,unit=PERCENT"}, w.setArgs(w.defs[0], w.groups[1])...)...)
	}
	w.refused("InvalidParameterException", "CreateTaskSet", append([]string{"ecs", "create-task-set", "--scale", "value=0,unit=PERCENT"}, w.setArgs(w.defs[0], w.groups[1])...)...)
}

// shift moves the traffic from v1 to v2 as a deployment does.
func (w *cliWalk) shift() {
	w.t.Helper()
	w.json("elbv2", "modify-listener", "--listener-arn", w.listener, "--default-actions", w.weights(50, 50))
	got := answers(w.t, w.addr, 400)
	if got["v1"]+got["v2"] != 400 || got["v2"] < 140 || got["v2"] > 260 {
		w.t.Errorf("answers at 50/50: %v", got)
	}
	w.json("ecs", "update-task-set", "--cluster", cliCluster, "--service", cliService, "--task-set", w.sets[1], "--scale", "value=100,unit=PERCENT")
	if set := w.steady(w.sets[1]); set.num("computedDesiredCount") != 2 || set.num("runningCount") != 2 {
		w.t.Errorf("v2 at full scale: %s", set)
	}
	w.json("elbv2", "modify-listener", "--listener-arn", w.listener, "--default-actions", w.weights(0, 100))
	w.json("ecs", "update-service-primary-task-set", "--cluster", cliCluster, "--service", cliService, "--primary-task-set", w.sets[1])
	onlyVersion(w.t, w.addr, "v2", 5*time.Second)
}

// clean removes v1, sees that its revision cannot be started again, and removes the service.
func (w *cliWalk) clean() {
	w.t.Helper()
	w.json("ecs", "delete-task-set", "--cluster", cliCluster, "--service", cliService, "--task-set", w.sets[0], "--force")
	w.json("ecs", "deregister-task-definition", "--task-definition", w.defs[0])
	w.refused("ClientException", "CreateTaskSet", append([]string{"ecs", "create-task-set"}, w.setArgs(w.defs[0], w.groups[0])...)...)
	onlyVersion(w.t, w.addr, "v2", 5*time.Second)
	s := w.json("ecs", "describe-services", "--cluster", cliCluster, "--services", cliService, "none")
	primary := ""
	for i := range s.list("services", 0, "taskSets") {
		if set := s.at("services", 0, "taskSets", i); set.text("status") == "PRIMARY" {
			primary = set.text("id")
		}
	}
	if primary != w.sets[1] || s.text("failures", 0, "reason") != "MISSING" {
		w.t.Errorf("service: %s", s)
	}
	w.json("ecs", "delete-service", "--cluster", cliCluster, "--service", cliService, "--force")
	await(w.t, 30*time.Second, "all tasks to end", func() (bool, error) {
		var state struct {
			ECS struct {
				Clusters []struct {
					Tasks []struct{ LastStatus string } `json:"tasks"`
				} `json:"clusters"`
			} `json:"ecs"`
		}
		w.cloud.admin(http.MethodGet, "state", nil, &state)
		for _, c := range state.ECS.Clusters {
			for _, task := range c.Tasks {
				if task.LastStatus != "STOPPED" {
					return false, fmt.Errorf("a task is %s", task.LastStatus)
				}
			}
		}
		return true, nil
	})
}

// The admin endpoint can do anything to the cloud, so only the holder of the run's key may use it.
func TestLocalCloudRefusesStrangers(t *testing.T) {
	c := startCloud(t, "ideal")
	for name, change := range map[string]func(*http.Request){
		"no credential":   func(*http.Request) {},
		"a browser":       func(r *http.Request) { r.Header.Set("Origin", "https://example.com") },
		"a foreign host":  func(r *http.Request) { r.Host = "example.com" },
		"the wrong token": func(r *http.Request) { r.Header.Set("Authorization", "Bearer nothing") },
	} {
		req, err := http.NewRequest(http.MethodGet, c.Endpoint+"/_admin/state", nil)
		must(t, err)
		change(req)
		res, err := http.DefaultClient.Do(req)
		must(t, err)
		must(t, res.Body.Close())
		if res.StatusCode != http.StatusUnauthorized && res.StatusCode != http.StatusForbidden {
			t.Errorf("%s: the admin endpoint answered %s", name, res.Status)
		}
	}
}
