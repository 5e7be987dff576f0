package policy_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/policy"
)

// every lists the rights of the API.
var every = []policy.Right{
	policy.ApplicationRead, policy.ApplicationWrite, policy.ApplicationSync, policy.DeploymentRead, policy.DeploymentCancel, policy.DeploymentApprove,
	policy.DeploymentSkip, policy.DeploymentRetry, policy.AgentRead, policy.AgentWrite, policy.ProjectRead, policy.ProjectWrite, policy.KeyWrite, policy.AgentLink,
}

func TestTheTable(t *testing.T) {
	table := map[policy.Role]string{
		policy.RoleViewer:   "agent:read application:read deployment:read preference:write project:read",
		policy.RoleOperator: "agent:read application:read application:sync deployment:approve deployment:cancel deployment:read deployment:retry deployment:skip preference:write project:read",
		policy.RoleAdmin: "agent:read agent:write application:read application:sync application:write deployment:approve deployment:cancel deployment:read " +
			"deployment:retry deployment:skip key:read key:write preference:write project:read project:write",
		policy.RoleAgent: "agent:link",
		"":               "",
		"root":           "",
	}
	for role, want := range table {
		var got []string
		for _, r := range policy.Rights(role) {
			got = append(got, string(r))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q: %v, want %s", role, got, want)
		}
		for _, r := range every {
			err := policy.Check(role, r)
			if allowed := slices.Contains(policy.Rights(role), r); allowed != (err == nil) {
				t.Errorf("%q %s: %v, but listed is %v", role, r, err, allowed)
			}
			var e *deploy.Error
			if err != nil && (!errors.As(err, &e) || e.Code != deploy.CodeDenied || e.Reason != string(r) || !strings.Contains(e.Message, string(r))) {
				t.Errorf("%q %s: the denial %v does not name the right", role, r, err)
			}
		}
	}
}

func TestAListOfRightsIsTheCallersOwn(t *testing.T) {
	policy.Rights(policy.RoleViewer)[0] = policy.KeyWrite
	if policy.Check(policy.RoleViewer, policy.KeyWrite) == nil || policy.Check(policy.RoleAdmin, policy.AgentRead) != nil {
		t.Error("changing a list changed the table")
	}
}
