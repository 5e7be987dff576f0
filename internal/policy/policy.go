// Package policy decides who may do what. It is a table that a reader can hold
// in the head: three roles, each a set of verb and resource; everything else
// is denied, and a denial names the right that is missing.
package policy

import (
	"sort"

	"github.com/penstock-cd/penstock/internal/deploy"
)

// Role is a set of rights.
type Role string

// The roles. An agent identity has RoleAgent and speaks to AgentService only.
const (
	RoleViewer   Role = "viewer"   // reads
	RoleOperator Role = "operator" // reads, deploys, decides
	RoleAdmin    Role = "admin"    // everything in the project
	RoleAgent    Role = "agent"
)

// Right is a verb on a resource, written resource:verb.
type Right string

// The rights of the API.
const (
	ApplicationRead   Right = "application:read"
	ApplicationWrite  Right = "application:write" // add, enable, disable, delete
	ApplicationSync   Right = "application:sync"
	DeploymentRead    Right = "deployment:read"
	DeploymentCancel  Right = "deployment:cancel"
	DeploymentApprove Right = "deployment:approve" // approve and reject
	DeploymentSkip    Right = "deployment:skip"
	DeploymentRetry   Right = "deployment:retry"
	AgentRead         Right = "agent:read"
	AgentWrite        Right = "agent:write"
	ProjectRead       Right = "project:read"
	ProjectWrite      Right = "project:write"
	KeyRead           Right = "key:read" // what keys there are, never a key
	KeyWrite          Right = "key:write"
	PreferenceWrite   Right = "preference:write" // one's own favourites and saved views
	AgentLink         Right = "agent:link"       // AgentService
)

var (
	reads   = []Right{ApplicationRead, DeploymentRead, AgentRead, ProjectRead, PreferenceWrite}
	edits   = []Right{ApplicationSync, DeploymentCancel, DeploymentApprove, DeploymentSkip, DeploymentRetry}
	governs = []Right{ApplicationWrite, AgentWrite, ProjectWrite, KeyRead, KeyWrite}
)

// Rights lists the rights of a role, sorted. An unknown role has none.
func Rights(r Role) []Right {
	var out []Right
	switch r {
	case RoleViewer:
		out = append(out, reads...)
	case RoleOperator:
		out = append(append(out, reads...), edits...)
	case RoleAdmin:
		out = append(append(append(out, reads...), edits...), governs...)
	case RoleAgent:
		out = append(out, AgentLink)
	}
	sort.Slice(out, func(i, j int) bool { return out[i] < out[j] })
	return out
}

// Check allows or denies. A denial is a *deploy.Error with CodeDenied that
// names the missing right.
func Check(r Role, need Right) error {
	for _, have := range Rights(r) {
		if have == need {
			return nil
		}
	}
	return &deploy.Error{
		Code: deploy.CodeDenied, Reason: string(need),
		Message: "the role " + string(r) + " lacks the right " + string(need) + "; ask an admin of the project",
	}
}
