package localcloud

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/penstock-cd/penstock/internal/localcloud/demosvc"
	"github.com/penstock-cd/penstock/internal/localcloud/runtime/process"
)

// TestMain lets the test binary be the demo service too: the runtime starts it with the argument "task".
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "task" {
		os.Exit(demosvc.Main(context.Background(), os.Getenv))
	}
	os.Exit(m.Run())
}

// awscli runs the AWS command line, a client that shares nothing with the Go SDK.
type awscli struct {
	t       *testing.T
	command []string
	env     []string
}

// json runs one command and decodes its answer.
func (a awscli) json(args ...string) map[string]any {
	a.t.Helper()
	out, err := a.run(args...)
	if err != nil {
		a.t.Fatalf("aws %s: %v", strings.Join(args, " "), err)
	}
	var v map[string]any
	if len(bytes.TrimSpace(out)) > 0 {
		if err := json.Unmarshal(out, &v); err != nil {
			a.t.Fatalf("aws %s: %v in %s", strings.Join(args, " "), err, out)
		}
	}
	return v
}

func (a awscli) run(args ...string) ([]byte, error) {
	cmd := exec.CommandContext(a.t.Context(), a.command[0], append(append([]string{}, a.command[1:]...), args...)...)
	cmd.Env = append(os.Environ(), a.env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, strings.TrimSpace(stderr.String()))
	}
	return out, err
}

// at digs into decoded JSON: keys of objects and, as numbers, positions in lists.
func at(v any, path ...any) any {
	for _, p := range path {
		switch key := p.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[key]
		case int:
			l, _ := v.([]any)
			if key >= len(l) {
				return nil
			}
			v = l[key]
		}
	}
	return v
}

func text(v any, path ...any) string { s, _ := at(v, path...).(string); return s }

// The whole walk with the AWS command line, real processes and a real router. It needs PENSTOCK_AWSCLI to name the command, for example "aws", and is meant
// for the slow ring of tests: the command takes about a second per call.
func TestWalkThroughByTheCommandLine(t *testing.T) {
	command := strings.Fields(os.Getenv("PENSTOCK_AWSCLI"))
	if len(command) == 0 {
		t.Skip("PENSTOCK_AWSCLI does not name an aws command")
	}
	rt, err := process.New(process.Options{})
	must(t, err)
	defer rt.Close()
	cloud, err := New(Options{Listen: "127.0.0.1:0", Runtime: rt, ListenerAddr: func(int) string { return "127.0.0.1:0" }})
	must(t, err)
	must(t, cloud.Start(t.Context()))
	defer func() { must(t, cloud.Close()) }()
	cred := cloud.Credentials()
	cli := awscli{t: t, command: append(command, "--endpoint-url", cloud.Endpoint(), "--output", "json"), env: []string{
		"AWS_ACCESS_KEY_ID=" + cred.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + cred.SecretAccessKey, "AWS_DEFAULT_REGION=us-east-1", "AWS_PAGER=",
		"AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null",
	}}
	if id := cli.json("sts", "get-caller-identity"); text(id, "Account") != "123456789012" {
		t.Errorf("caller: %v", id)
	}
	walkStores(t, cli)
	walkECS(t, cli, cloud)
}

func walkStores(t *testing.T, cli awscli) {
	t.Helper()
	cli.json("ssm", "put-parameter", "--name", "/a/b", "--type", "SecureString", "--value", "v <&> ü")
	if p := cli.json("ssm", "get-parameter", "--name", "/a/b", "--with-decryption"); text(p, "Parameter", "Value") != "v <&> ü" {
		t.Errorf("parameter: %v", p)
	}
	cli.json("secretsmanager", "create-secret", "--name", "s", "--secret-string", "hush")
	if s := cli.json("secretsmanager", "get-secret-value", "--secret-id", "s"); text(s, "SecretString") != "hush" {
		t.Errorf("secret: %v", s)
	}
	if _, err := cli.run("secretsmanager", "get-secret-value", "--secret-id", "none"); err == nil || !strings.Contains(err.Error(), "(ResourceNotFoundException)") || !strings.Contains(err.Error(), "can't find") {
		t.Errorf("unknown secret: %v", err)
	}
}

func walkECS(t *testing.T, cli awscli, cloud *Cloud) {
	t.Helper()
	cli.json("ecs", "create-cluster", "--cluster-name", "demo")
	lb := cli.json("elbv2", "create-load-balancer", "--name", "web", "--subnets", "subnet-1", "subnet-2")
	var groups []string
	for _, name := range []string{"blue", "green"} {
		g := cli.json("elbv2", "create-target-group", "--name", name, "--protocol", "HTTP", "--port", "80", "--vpc-id", "vpc-1", "--target-type", "ip", "--health-check-path", "/healthz", "--health-check-interval-seconds", "5", "--health-check-timeout-seconds", "2")
		arn := text(g, "TargetGroups", 0, "TargetGroupArn")
		cli.json("elbv2", "modify-target-group-attributes", "--target-group-arn", arn, "--attributes", "Key=deregistration_delay.timeout_seconds,Value=1")
		groups = append(groups, arn)
	}
	weights := func(blue, green int) string {
		return fmt.Sprintf(`[{"Type":"forward","ForwardConfig":{"TargetGroups":[{"TargetGroupArn":%q,"Weight":%d},{"TargetGroupArn":%q,"Weight":%d}]}}]`, groups[0], blue, groups[1], green)
	}
	listener := text(cli.json("elbv2", "create-listener", "--load-balancer-arn", text(lb, "LoadBalancers", 0, "LoadBalancerArn"), "--protocol", "HTTP", "--port", "80",
		"--default-actions", weights(100, 0)), "Listeners", 0, "ListenerArn")
	cli.json("ecs", "create-service", "--cluster", "demo", "--service-name", "web", "--desired-count", "1", "--deployment-controller", "type=EXTERNAL")
	sets := make([]string, 2)
	for i, version := range []string{"v1", "v2"} {
		def := cli.json("ecs", "register-task-definition", "--family", "web", "--network-mode", "awsvpc", "--container-definitions",
			fmt.Sprintf(`[{"name":"web","image":"demo:%s","portMappings":[{"containerPort":8080}]}]`, version))
		set := cli.json("ecs", "create-task-set", "--cluster", "demo", "--service", "web", "--task-definition", text(def, "taskDefinition", "taskDefinitionArn"),
			"--load-balancers", fmt.Sprintf("targetGroupArn=%s,containerName=web,containerPort=8080", groups[i]),
			"--network-configuration", "awsvpcConfiguration={subnets=[subnet-1]}", "--scale", "value=100,unit=PERCENT")
		sets[i] = text(set, "taskSet", "id")
		awaitSteady(t, cli, sets[i])
	}
	answers(t, cloud.Router().Addr(listener), "v1")
	cli.json("ecs", "update-service-primary-task-set", "--cluster", "demo", "--service", "web", "--primary-task-set", sets[1])
	cli.json("elbv2", "modify-listener", "--listener-arn", listener, "--default-actions", weights(0, 100))
	answers(t, cloud.Router().Addr(listener), "v2")
	cli.json("ecs", "delete-task-set", "--cluster", "demo", "--service", "web", "--task-set", sets[0], "--force")
	answers(t, cloud.Router().Addr(listener), "v2")
	if health := cli.json("elbv2", "describe-target-health", "--target-group-arn", groups[1]); text(health, "TargetHealthDescriptions", 0, "TargetHealth", "State") != "healthy" {
		t.Errorf("health: %v", health)
	}
	s := cli.json("ecs", "describe-services", "--cluster", "demo", "--services", "web")
	if _, hasZero := at(s, "services", 0, "pendingCount").(float64); !hasZero || text(s, "services", 0, "taskSets", 0, "status") == "" || at(s, "services", 0, "createdAt") == nil {
		t.Errorf("service: %v", s)
	}
	tasks := cli.json("ecs", "list-tasks", "--cluster", "demo", "--service-name", "web")
	if list, _ := at(tasks, "taskArns").([]any); len(list) != 1 {
		t.Errorf("tasks: %v", tasks)
	}
	if _, err := cli.run("ecs", "describe-task-sets", "--cluster", "demo", "--service", "none"); err == nil || !strings.Contains(err.Error(), "(ServiceNotFoundException)") {
		t.Errorf("unknown service: %v", err)
	}
	if _, err := cli.run("elbv2", "describe-rules", "--listener-arn", listener+"x"); err == nil || !strings.Contains(err.Error(), "(ListenerNotFound)") {
		t.Errorf("unknown listener: %v", err)
	}
	cli.json("ecs", "delete-service", "--cluster", "demo", "--service", "web", "--force")
}

func awaitSteady(t *testing.T, cli awscli, set string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		out := cli.json("ecs", "describe-task-sets", "--cluster", "demo", "--service", "web", "--task-sets", set)
		if text(out, "taskSets", 0, "stabilityStatus") == "STEADY_STATE" {
			return
		}
	}
	t.Fatalf("task set %s is not steady after a minute", set)
}

// answers sends requests through the router; all must come from the version.
func answers(t *testing.T, addr, version string) {
	t.Helper()
	for range 20 {
		resp, err := http.Get("http://" + addr + "/")
		must(t, err)
		body, err := io.ReadAll(resp.Body)
		must(t, err)
		must(t, resp.Body.Close())
		if resp.StatusCode != 200 || !strings.Contains(string(body), fmt.Sprintf("%q", version)) {
			t.Fatalf("answer %d %s, want %s", resp.StatusCode, body, version)
		}
	}
}
