package elb

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// health is the state of one target and the run of equal results that leads to
// the next one. It is a value: observe returns the next one and reads no clock.
type health struct {
	State       types.TargetHealthStateEnum
	Reason      types.TargetHealthReasonEnum
	Description string
	Since       time.Time // when State was entered
	passed      int       // consecutive successes
	failed      int       // consecutive failures
}

// checkResult is one answer of a health check.
type checkResult struct {
	status int
	err    error
}

// thresholds are the settings of the group that judge a result.
type thresholds struct {
	matcher            []codeRange
	healthy, unhealthy int
}

func enter(state types.TargetHealthStateEnum, reason types.TargetHealthReasonEnum, now time.Time) health {
	h := health{State: state, Reason: reason, Since: now}
	switch reason {
	case types.TargetHealthReasonEnumRegistrationInProgress:
		h.Description = "Target registration is in progress"
	case types.TargetHealthReasonEnumInitialHealthChecking:
		h.Description = "Initial health checks in progress"
	case types.TargetHealthReasonEnumNotInUse:
		h.Description = "Target group is not configured to receive traffic from the load balancer"
	case types.TargetHealthReasonEnumNotRegistered:
		h.Description = "Target is not registered to the target group"
	case types.TargetHealthReasonEnumDeregistrationInProgress:
		h.Description = "Target deregistration is in progress"
	}
	return h
}

// observe applies one result.
//
//   - initial → healthy after one success. Guide, "Health checks for your target
//     groups": a target must pass one health check after its registration to be
//     considered healthy; HealthyThresholdCount is the number required before
//     "considering an unhealthy target healthy".
//   - unhealthy → healthy after HealthyThresholdCount successes in a row.
//   - initial, healthy → unhealthy after UnhealthyThresholdCount failures in a row.
//
// Targets in other states are not checked and stay as they are.
func (h health) observe(r checkResult, th thresholds, now time.Time) health {
	switch h.State {
	case types.TargetHealthStateEnumInitial, types.TargetHealthStateEnumHealthy, types.TargetHealthStateEnumUnhealthy:
	default:
		return h
	}
	reason, description := judge(r, th.matcher)
	if reason == "" {
		h.passed, h.failed = h.passed+1, 0
		if h.State == types.TargetHealthStateEnumInitial || h.State == types.TargetHealthStateEnumUnhealthy && h.passed >= th.healthy {
			next := enter(types.TargetHealthStateEnumHealthy, "", now)
			next.passed = h.passed
			return next
		}
		return h
	}
	h.passed, h.failed = 0, h.failed+1
	if h.failed < th.unhealthy && h.State != types.TargetHealthStateEnumUnhealthy {
		return h
	}
	if h.State != types.TargetHealthStateEnumUnhealthy {
		h.State, h.Since = types.TargetHealthStateEnumUnhealthy, now
	}
	h.Reason, h.Description = reason, description
	return h
}

// judge names why a check failed, "" for a success.
func judge(r checkResult, matcher []codeRange) (types.TargetHealthReasonEnum, string) {
	switch {
	case errors.Is(r.err, context.DeadlineExceeded):
		return types.TargetHealthReasonEnumTimeout, "Request timed out"
	case r.err != nil:
		return types.TargetHealthReasonEnumFailedHealthChecks, "Health checks failed"
	}
	for _, m := range matcher {
		if r.status >= m.low && r.status <= m.high {
			return "", ""
		}
	}
	return types.TargetHealthReasonEnumResponseCodeMismatch, fmt.Sprintf("Health checks failed with these codes: [%d]", r.status)
}

// HTTPProber checks targets over HTTP, one connection per check as load
// balancers do, following no redirects.
type HTTPProber struct{ client *http.Client }

// NewHTTPProber makes a prober for real targets.
func NewHTTPProber() *HTTPProber {
	return &HTTPProber{client: &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true, Proxy: nil},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Probe sends one GET. The error is context.DeadlineExceeded (wrapped) when
// the time was up.
func (p *HTTPProber) Probe(ctx context.Context, url string) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, fmt.Errorf("health check: %w", err)
	}
	req.Header.Set("User-Agent", "ELB-HealthChecker/2.0")
	resp, err := p.client.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return 0, fmt.Errorf("health check: %w", err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode, nil
}
