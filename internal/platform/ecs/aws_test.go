package ecs

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/penstock-cd/penstock/internal/platform"
)

// wire answers API calls from a script: one function per operation, by its name.
type wire struct {
	t     *testing.T
	calls []string
	ops   map[string]func(body string, form url.Values) (int, string)
}

func (w *wire) Do(r *http.Request) (*http.Response, error) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	op := r.Header.Get("X-Amz-Target")
	op = op[strings.LastIndex(op, ".")+1:]
	form, _ := url.ParseQuery(string(b))
	if a := form.Get("Action"); a != "" {
		op = a
	}
	w.calls = append(w.calls, op)
	f, ok := w.ops[op]
	if !ok {
		w.t.Errorf("unexpected call %s %s", op, b)
		return nil, io.EOF
	}
	code, body := f(string(b), form)
	h := http.Header{"Content-Type": {"application/x-amz-json-1.1"}}
	if form.Get("Action") != "" {
		h.Set("Content-Type", "text/xml")
	}
	return &http.Response{StatusCode: code, Header: h, Body: io.NopCloser(bytes.NewBufferString(body)), Request: r}, nil
}

func wired(t *testing.T, ops map[string]func(string, url.Values) (int, string)) (*awsCloud, *wire) {
	t.Helper()
	w := &wire{t: t, ops: ops}
	a, err := connectAWS(context.Background(), provider{Region: "eu-west-1"}, Options{HTTPClient: w, Endpoint: "http://127.0.0.1:1", Credentials: credentials.NewStaticCredentialsProvider("k", "s", "")})
	if err != nil {
		t.Fatal(err)
	}
	return a, w
}

func answer(code int, body string) func(string, url.Values) (int, string) {
	return func(string, url.Values) (int, string) { return code, body }
}

func TestErrorsSayWhatToDo(t *testing.T) {
	for name, c := range map[string]struct {
		code  int
		body  string
		retry bool
		after time.Duration
		words string
	}{
		"throttled": {400, `{"__type":"ThrottlingException","message":"Rate exceeded"}`, true, throttleWait, "Rate exceeded"},
		"denied":    {400, `{"__type":"AccessDeniedException","message":"User x is not authorized to perform: ecs:RegisterTaskDefinition"}`, false, 0, "allow this action in the policy"},
		"expired":   {400, `{"__type":"ExpiredTokenException","message":"The security token included in the request is expired"}`, true, expiredWait, "renew them"},
		"unknown":   {400, `{"__type":"UnrecognizedClientException","message":"The security token is invalid"}`, false, 0, "check profile, credentialsFile or roleARN"},
		"server":    {500, `{"__type":"ServerException","message":"internal"}`, true, 0, "ServerException"},
		"parameter": {400, `{"__type":"ClientException","message":"Invalid cpu"}`, false, 0, "Invalid cpu"},
	} {
		t.Run(name, func(t *testing.T) {
			a, w := wired(t, map[string]func(string, url.Values) (int, string){"RegisterTaskDefinition": answer(c.code, c.body)})
			_, err := a.Register(context.Background(), &taskDefinition{Family: aws.String("shop"), ContainerDefinitions: []ecstypes.ContainerDefinition{{Name: aws.String("web")}}}, nil)
			can, after := platform.CanRetry(err)
			if err == nil || can != c.retry || after != c.after || !strings.Contains(err.Error(), c.words) || !strings.HasPrefix(err.Error(), "ecs:RegisterTaskDefinition: ") {
				t.Errorf("%v (retry %v after %s)", err, can, after)
			}
			if len(w.calls) > 2 {
				t.Errorf("%d attempts: the agent's loop retries", len(w.calls))
			}
		})
	}
}

func TestIncompleteInputIsNotRetried(t *testing.T) {
	a, _ := wired(t, nil)
	_, err := a.Register(context.Background(), &taskDefinition{Family: aws.String("shop")}, nil)
	if can, _ := platform.CanRetry(err); err == nil || can || !strings.Contains(err.Error(), "ContainerDefinitions") {
		t.Errorf("%v", err)
	}
}

func TestKnownRefusals(t *testing.T) {
	for msg, code := range map[string]string{
		"5 deployments exist on the service. Unable to create new TaskSet since this exceeds the maximum limit.": codeTooManySets,
		"The target group with targetGroupArn x does not have an associated load balancer.":                      codeNotAttached,
	} {
		body, _ := json.Marshal(map[string]string{"__type": "InvalidParameterException", "message": msg})
		a, _ := wired(t, map[string]func(string, url.Values) (int, string){"CreateTaskSet": answer(400, string(body))})
		_, err := a.CreateTaskSet(context.Background(), newTaskSet{Cluster: "c", Service: "s", Revision: "r", Token: "t"})
		if can, _ := platform.CanRetry(err); !isCode(err, code) || can {
			t.Errorf("%s: %v", code, err)
		}
	}
}

func TestServiceIsReadWithItsSets(t *testing.T) {
	a, w := wired(t, map[string]func(string, url.Values) (int, string){
		"DescribeServices": answer(200, `{"services":[{"serviceArn":"arn:s","serviceName":"shop","status":"ACTIVE","desiredCount":3,"deploymentController":{"type":"EXTERNAL"},"tags":[{"key":"team","value":"x"}],"taskSets":[{"taskSetArn":"arn:t"}]}]}`),
		"DescribeTaskSets": func(body string, _ url.Values) (int, string) {
			if !strings.Contains(body, `"include":["TAGS"]`) {
				t.Errorf("tags are not asked for: %s", body)
			}
			return 200, `{"taskSets":[{"id":"ecs-svc/1","taskSetArn":"arn:t","status":"PRIMARY","taskDefinition":"arn:d","computedDesiredCount":3,"runningCount":2,"pendingCount":1,"scale":{"unit":"PERCENT","value":100},"stabilityStatus":"STABILIZING","tags":[{"key":"penstock-role","value":"primary"}],"loadBalancers":[{"targetGroupArn":"arn:g","containerName":"web","containerPort":80}]}]}`
		},
	})
	s, err := a.Service(context.Background(), "c", "shop")
	if err != nil {
		t.Fatal(err)
	}
	p := s.primary()
	if s.Count != 3 || s.Controller != external || s.Tags["team"] != "x" || p == nil || p.Running != 2 || p.Scale != 100 || p.Steady || p.Tags[tagRole] != rolePrimary || setGroups(p.Shape)[0] != "arn:g" {
		t.Errorf("%+v", s)
	}
	if !slices.Equal(w.calls, []string{"DescribeServices", "DescribeTaskSets"}) {
		t.Error(w.calls)
	}
	a, _ = wired(t, map[string]func(string, url.Values) (int, string){"DescribeServices": answer(200, `{"services":[],"failures":[{"arn":"x","reason":"MISSING"}]}`)})
	if s, err := a.Service(context.Background(), "c", "shop"); s != nil || err != nil {
		t.Errorf("a missing service: %v %v", s, err)
	}
	a, _ = wired(t, map[string]func(string, url.Values) (int, string){"DescribeServices": answer(200, `{"services":[{"serviceName":"shop","status":"INACTIVE"}]}`)})
	if s, err := a.Service(context.Background(), "c", "shop"); s != nil || err != nil {
		t.Errorf("an inactive service: %v %v", s, err)
	}
}

// An answer about a part of what was asked is no answer.
func TestPartialAnswers(t *testing.T) {
	for name, body := range map[string]string{
		"nothing about one":   `{"tasks":[{"taskArn":"a","lastStatus":"RUNNING"}]}`,
		"one that failed":     `{"tasks":[{"taskArn":"a","lastStatus":"RUNNING"}],"failures":[{"arn":"b","reason":"THROTTLED"}]}`,
		"nothing about any":   `{}`,
		"only failed, no why": `{"failures":[{"arn":"a"},{"arn":"b"}]}`,
	} {
		a, _ := wired(t, map[string]func(string, url.Values) (int, string){
			"ListTasks":        answer(200, `{"taskArns":["a","b"]}`),
			"DescribeTasks":    answer(200, body),
			"DescribeServices": answer(200, `{"services":[],"failures":[]}`),
		})
		_, err := a.Tasks(context.Background(), "c", "ecs-svc/1", true)
		if can, _ := platform.CanRetry(err); err == nil || !can {
			t.Errorf("%s: %v", name, err)
		}
		_, err = a.Service(context.Background(), "c", "shop")
		if can, _ := platform.CanRetry(err); err == nil || !can {
			t.Errorf("services: %v", err)
		}
	}
}

func TestAllPagesOfTasksAndRules(t *testing.T) {
	described := 0
	a, _ := wired(t, map[string]func(string, url.Values) (int, string){
		"ListTasks": func(body string, _ url.Values) (int, string) {
			n, next := 100, `,"nextToken":"p2"`
			if strings.Contains(body, "p2") {
				n, next = 30, ""
			}
			return 200, `{"taskArns":["t"` + strings.Repeat(`,"t"`, n-1) + `]` + next + `}`
		},
		"DescribeTasks": func(body string, _ url.Values) (int, string) {
			var in struct{ Tasks []string }
			if json.Unmarshal([]byte(body), &in) != nil || len(in.Tasks) > describeLimit {
				t.Errorf("a batch of %d", len(in.Tasks))
			}
			described += len(in.Tasks)
			return 200, `{"tasks":[{"taskArn":"arn:x","lastStatus":"STOPPED","startedBy":"ecs-svc/1","stopCode":"EssentialContainerExited","stoppedReason":"Essential container in task exited","containers":[{"name":"side","exitCode":0},{"name":"web","exitCode":137,"reason":"OutOfMemoryError"}],"attachments":[{"details":[{"name":"privateIPv4Address","value":"10.0.0.1"}]}]}],"failures":[` + strings.TrimPrefix(strings.Repeat(`,{"arn":"t","reason":"MISSING"}`, len(in.Tasks)-1), ",") + `]}`
		},
		"DescribeListeners": func(_ string, f url.Values) (int, string) {
			if f.Get("Marker") == "" {
				return 200, listeners("l1", "HTTP", "m")
			}
			return 200, listeners("l2", "TCP", "")
		},
		"DescribeRules": func(_ string, f url.Values) (int, string) {
			if f.Get("Marker") == "" {
				return 200, rules("r1", "false", "m") + ""
			}
			return 200, rules("r2", "true", "")
		},
	})
	ts, err := a.Tasks(context.Background(), "c", "ecs-svc/1", true)
	if err != nil || described != 130 || len(ts) != 2 {
		t.Fatalf("%d tasks of %d, %v", len(ts), described, err)
	}
	if k := ts[0]; *k.ExitCode != 137 || k.Container != "web" || k.ContainerReason != "OutOfMemoryError" || k.Addresses[0] != "10.0.0.1" || !failed(k) {
		t.Errorf("%+v", k)
	}
	rs, err := a.RoutesOf(context.Background(), []string{"lb"})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range rs {
		names = append(names, r.ARN)
	}
	if !slices.Equal(names, []string{"l1", "r1", "l2"}) || share(rs[1].Actions, "g1") != 80 {
		t.Errorf("routes %v", rs)
	}
}

func listeners(arn, protocol, next string) string {
	return `<DescribeListenersResponse xmlns="http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/"><DescribeListenersResult><Listeners><member><ListenerArn>` + arn + `</ListenerArn><Protocol>` + protocol +
		`</Protocol><DefaultActions><member><Type>forward</Type><TargetGroupArn>g1</TargetGroupArn></member></DefaultActions></member></Listeners><NextMarker>` + next + `</NextMarker></DescribeListenersResult></DescribeListenersResponse>`
}

func rules(arn, isDefault, next string) string {
	return `<DescribeRulesResponse xmlns="http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/"><DescribeRulesResult><Rules><member><RuleArn>` + arn + `</RuleArn><Priority>1</Priority><IsDefault>` + isDefault +
		`</IsDefault><Actions><member><Type>forward</Type><ForwardConfig><TargetGroups><member><TargetGroupArn>g1</TargetGroupArn><Weight>80</Weight></member><member><TargetGroupArn>g2</TargetGroupArn><Weight>20</Weight></member></TargetGroups></ForwardConfig></member></Actions></member></Rules><NextMarker>` + next + `</NextMarker></DescribeRulesResult></DescribeRulesResponse>`
}

func TestWrittenActionsKeepLoginAndGroups(t *testing.T) {
	var got url.Values
	a, _ := wired(t, map[string]func(string, url.Values) (int, string){"ModifyRule": func(_ string, f url.Values) (int, string) {
		got = f
		return 200, `<ModifyRuleResponse xmlns="http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/"><ModifyRuleResult/></ModifyRuleResponse>`
	}})
	acts := []elbtypes.Action{
		{Type: elbtypes.ActionTypeEnumAuthenticateOidc, Order: aws.Int32(1), AuthenticateOidcConfig: &elbtypes.AuthenticateOidcActionConfig{ClientId: aws.String("id"), Issuer: aws.String("i"), AuthorizationEndpoint: aws.String("a"), TokenEndpoint: aws.String("t"), UserInfoEndpoint: aws.String("u")}},
		{Type: elbtypes.ActionTypeEnumForward, Order: aws.Int32(2), TargetGroupArn: aws.String("g1")},
	}
	if err := a.SetActions(context.Background(), route{ARN: "r1"}, splitActions(acts, "g1", "g2", 80, 20, false)); err != nil {
		t.Fatal(err)
	}
	for k, v := range map[string]string{
		"Actions.member.1.AuthenticateOidcConfig.UseExistingClientSecret":     "true",
		"Actions.member.2.ForwardConfig.TargetGroups.member.1.Weight":         "80",
		"Actions.member.2.ForwardConfig.TargetGroups.member.2.TargetGroupArn": "g2",
		"Actions.member.2.Order":          "2",
		"Actions.member.2.TargetGroupArn": "",
	} {
		if got.Get(k) != v {
			t.Errorf("%s = %q, want %q", k, got.Get(k), v)
		}
	}
}

func TestMissingRuleIsLeftOut(t *testing.T) {
	a, _ := wired(t, map[string]func(string, url.Values) (int, string){"DescribeRules": func(_ string, f url.Values) (int, string) {
		if f.Get("RuleArns.member.2") != "" || f.Get("RuleArns.member.1") == "gone" {
			return 400, `<ErrorResponse xmlns="http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/"><Error><Type>Sender</Type><Code>RuleNotFound</Code><Message>no</Message></Error></ErrorResponse>`
		}
		return 200, rules("r1", "false", "")
	}})
	rs, err := a.Reread(context.Background(), []route{{ARN: "r1", Listener: "l"}, {ARN: "gone", Listener: "l"}})
	if err != nil || len(rs) != 1 || rs[0].ARN != "r1" || rs[0].Listener != "l" {
		t.Errorf("%v %v", rs, err)
	}
}

func TestCallsHaveADeadline(t *testing.T) {
	slow := doFunc(func(r *http.Request) (*http.Response, error) {
		if _, ok := r.Context().Deadline(); !ok {
			t.Error("a call without a deadline")
		}
		<-r.Context().Done()
		return nil, r.Context().Err()
	})
	a, err := connectAWS(context.Background(), provider{Region: "eu-west-1"}, Options{HTTPClient: slow, CallLimit: 20 * time.Millisecond, Credentials: credentials.NewStaticCredentialsProvider("k", "s", "")})
	if err != nil {
		t.Fatal(err)
	}
	err = a.SetPrimary(context.Background(), "c", "s", "t")
	if can, _ := platform.CanRetry(err); err == nil || !can {
		t.Errorf("%v", err)
	}
}

type doFunc func(*http.Request) (*http.Response, error)

func (f doFunc) Do(r *http.Request) (*http.Response, error) { return f(r) }
