package awsaccess

import "strings"

// Tags that what was made carries: PipeCD's keys, so that teams that moved
// recognise their objects and the other way round, and our own.
const (
	TagManagedBy   = "pipecd-dev-managed-by"
	TagPiped       = "pipecd-dev-piped"
	TagApplication = "pipecd-dev-application"
	TagCommit      = "pipecd-dev-commit-hash"
	TagDeployment  = "penstock-deployment"
	// ManagedBy is the value of TagManagedBy.
	ManagedBy = "piped"
)

// Managed reports whether a tag is none of the user's: Penstock, PipeCD and AWS set it themselves.
func Managed(key string) bool {
	return strings.HasPrefix(key, "pipecd-dev-") || strings.HasPrefix(key, "penstock-") || strings.HasPrefix(key, "aws:")
}
