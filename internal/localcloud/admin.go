package localcloud

import (
	"bytes"
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"

	"github.com/penstock-cd/penstock/internal/localcloud/awswire"
	"github.com/penstock-cd/penstock/internal/localcloud/ecs"
	"github.com/penstock-cd/penstock/internal/localcloud/lambda"
	"github.com/penstock-cd/penstock/internal/localcloud/router"
)

// State is what GET /_admin/state answers.
type State struct {
	At        time.Time       `json:"at"`
	Profile   string          `json:"profile"`
	ECS       ecs.Dump        `json:"ecs"`
	Lambda    *lambda.Dump    `json:"lambda,omitempty"`
	Listeners []ListenerState `json:"listeners"`
}

// ListenerState is one listener as its router nodes see it.
type ListenerState struct {
	ARN string `json:"arn"`
	// Address is the real socket, "" without one.
	Address string               `json:"address,omitempty"`
	Weights []router.NodeWeights `json:"weights"`
}

// AdminHandler answers, below /_admin/ and with the run's secret key as bearer token:
//
//	GET    state                 services, task sets, tasks, targets, effective weights, functions
//	GET    calls                 calls per operation, and every write with its time
//	GET    faults                faults in effect
//	POST   faults                a Fault as JSON; answers it with its id
//	DELETE faults                removes all faults
//	POST   tasks/{id}/exit       kills the task's processes
//	POST   tasks/{id}/unhealthy  makes the task fail its health checks; tasks/{id}/healthy ends that
func (c *Cloud) AdminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /_admin/state", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, c.State()) })
	mux.HandleFunc("GET /_admin/calls", func(w http.ResponseWriter, _ *http.Request) {
		counts, writes := c.Calls()
		writeJSON(w, map[string]any{"counts": counts, "writes": writes})
	})
	mux.HandleFunc("GET /_admin/faults", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, c.Faults()) })
	mux.HandleFunc("POST /_admin/faults", c.postFault)
	mux.HandleFunc("DELETE /_admin/faults", func(w http.ResponseWriter, _ *http.Request) { c.ClearFaults(); writeJSON(w, c.Faults()) })
	mux.HandleFunc("POST /_admin/tasks/{id}/{what}", c.postTask)
	return c.guarded(mux)
}

// guarded refuses foreign hosts, browsers, and callers without the token.
func (c *Cloud) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := awswire.Guard(r); err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok || subtle.ConstantTimeCompare([]byte(token), []byte(c.AdminToken())) != 1 {
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, "send the run's secret access key as bearer token", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	_ = enc.Encode(v) // a client that went away has nobody to tell
}

func (c *Cloud) postFault(w http.ResponseWriter, r *http.Request) {
	var f Fault
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, awswire.MaxBody))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&f); err != nil {
		http.Error(w, "fault: "+err.Error(), http.StatusBadRequest)
		return
	}
	id, err := c.Inject(f)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	f.ID = id
	writeJSON(w, f)
}

func (c *Cloud) postTask(w http.ResponseWriter, r *http.Request) {
	id, err := r.PathValue("id"), error(nil)
	switch what := r.PathValue("what"); what {
	case "exit":
		if !c.ecs.Kill(id) {
			err = errNoTask(id)
		}
	case "unhealthy", "healthy":
		err = c.SetTaskHealth(r.Context(), id, what == "healthy")
	default:
		err = fmt.Errorf("%q is not one of exit, unhealthy, healthy", what)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	writeJSON(w, map[string]string{"task": id, "done": r.PathValue("what")})
}

func errNoTask(id string) error { return fmt.Errorf("task %q is not running", id) }

// SetTaskHealth makes a task fail or pass its health checks: through the runtime where that can do it, else by asking the built-in demo service in the task.
func (c *Cloud) SetTaskHealth(ctx context.Context, taskID string, healthy bool) error {
	task, ok := c.runningTask(taskID)
	if !ok {
		return errNoTask(taskID)
	}
	if rt, ok := c.opts.Runtime.(interface{ SetHealthy(string, bool) }); ok {
		rt.SetHealthy(taskID, healthy)
		return nil
	}
	if len(task.Ports) == 0 {
		return fmt.Errorf("task %s has no port", taskID)
	}
	addr := net.JoinHostPort(task.IP, strconv.Itoa(int(task.Ports[0])))
	body := bytes.NewReader(fmt.Appendf(nil, `{"healthy":%t}`, healthy))
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+"/admin/behave", body)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("ask task %s: %w", taskID, err)
	}
	if resp.StatusCode >= 300 {
		err = fmt.Errorf("ask task %s: %s", taskID, resp.Status)
	}
	return errors.Join(err, resp.Body.Close())
}

func (c *Cloud) runningTask(id string) (ecs.DumpTask, bool) {
	for _, cl := range c.ecs.Dump().Clusters {
		for _, t := range cl.Tasks {
			if t.ID == id && t.LastStatus == "RUNNING" {
				return t, true
			}
		}
	}
	return ecs.DumpTask{}, false
}

// State returns the present state of the whole cloud, not delayed by any lag.
func (c *Cloud) State() State {
	out := State{At: c.opts.Clock.Now().UTC(), Profile: c.opts.Profile.Name, ECS: c.ecs.Dump(), Listeners: []ListenerState{}}
	if c.lambda != nil {
		d := c.lambda.Dump()
		out.Lambda = &d
	}
	for _, arn := range c.listeners() {
		out.Listeners = append(out.Listeners, ListenerState{ARN: arn, Address: c.router.Addr(arn), Weights: c.router.Effective(arn)})
	}
	return out
}

// listeners lists the ARNs of all listeners through the control plane's own operations.
func (c *Cloud) listeners() []string {
	var arns []string
	ctx := context.Background()
	lbs := elbv2.NewDescribeLoadBalancersPaginator(describer{c}, &elbv2.DescribeLoadBalancersInput{})
	for lbs.HasMorePages() {
		page, err := lbs.NextPage(ctx)
		if err != nil {
			return arns
		}
		for _, lb := range page.LoadBalancers {
			pages := elbv2.NewDescribeListenersPaginator(describer{c}, &elbv2.DescribeListenersInput{LoadBalancerArn: lb.LoadBalancerArn})
			for pages.HasMorePages() {
				listeners, err := pages.NextPage(ctx)
				if err != nil {
					break
				}
				for _, l := range listeners.Listeners {
					arns = append(arns, aws.ToString(l.ListenerArn))
				}
			}
		}
	}
	return arns
}

// describer lets the SDK's paginators walk the control plane without the wire.
type describer struct{ c *Cloud }

// DescribeLoadBalancers implements the SDK's paginator client.
func (d describer) DescribeLoadBalancers(ctx context.Context, in *elbv2.DescribeLoadBalancersInput, _ ...func(*elbv2.Options)) (*elbv2.DescribeLoadBalancersOutput, error) {
	return d.c.elb.DescribeLoadBalancers(ctx, in)
}

// DescribeListeners implements the SDK's paginator client.
func (d describer) DescribeListeners(ctx context.Context, in *elbv2.DescribeListenersInput, _ ...func(*elbv2.Options)) (*elbv2.DescribeListenersOutput, error) {
	return d.c.elb.DescribeListeners(ctx, in)
}
