package elb

import (
	"encoding/json"
	"fmt"

	"github.com/penstock-cd/penstock/internal/localcloud/awswire"
)

// Service lists every operation for the wire.
func (e *ELB) Service() awswire.Service {
	return awswire.Query("elasticloadbalancing", "2015-12-01", "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/",
		awswire.Op(e.AddTags),
		awswire.Op(e.CreateListener),
		awswire.Op(e.CreateLoadBalancer),
		awswire.Op(e.CreateRule),
		awswire.Op(e.CreateTargetGroup),
		awswire.Op(e.DeleteListener),
		awswire.Op(e.DeleteLoadBalancer),
		awswire.Op(e.DeleteRule),
		awswire.Op(e.DeleteTargetGroup),
		awswire.Op(e.DeregisterTargets),
		awswire.Op(e.DescribeListenerAttributes),
		awswire.Op(e.DescribeListeners),
		awswire.Op(e.DescribeLoadBalancerAttributes),
		awswire.Op(e.DescribeLoadBalancers),
		awswire.Op(e.DescribeRules),
		awswire.Op(e.DescribeTags),
		awswire.Op(e.DescribeTargetGroupAttributes),
		awswire.Op(e.DescribeTargetGroups),
		awswire.Op(e.DescribeTargetHealth),
		awswire.Op(e.ModifyListener),
		awswire.Op(e.ModifyListenerAttributes),
		awswire.Op(e.ModifyLoadBalancerAttributes),
		awswire.Op(e.ModifyRule),
		awswire.Op(e.ModifyTargetGroup),
		awswire.Op(e.ModifyTargetGroupAttributes),
		awswire.Op(e.RegisterTargets),
		awswire.Op(e.RemoveTags),
		awswire.Op(e.SetRulePriorities),
	)
}

// Save returns the control-plane state as JSON: everything but the targets,
// which register again when their tasks are started again.
func (e *ELB) Save() ([]byte, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	b, err := json.Marshal(e.state)
	if err != nil {
		return nil, fmt.Errorf("save load balancers: %w", err)
	}
	return b, nil
}

// Load replaces the state by one that Save returned and tells the watchers of
// every listener. Call it before anything is registered.
func (e *ELB) Load(saved []byte) error {
	var s state
	if err := json.Unmarshal(saved, &s); err != nil {
		return fmt.Errorf("load load balancers: %w", err)
	}
	for _, ln := range s.Listeners {
		if len(ln.Rules) == 0 {
			return fmt.Errorf("load load balancers: listener %s has no default rule", ln.arn())
		}
	}
	return e.change(func() error {
		e.state = s
		for _, ln := range s.Listeners {
			e.touch(ln.arn())
		}
		return nil
	})
}
