package lambda

import (
	"errors"
	"strings"
	"time"

	"github.com/aws/smithy-go"

	"github.com/penstock-cd/penstock/internal/platform"
	"github.com/penstock-cd/penstock/internal/platform/awsaccess"
)

// Words that the cloud's refusals are told apart by; see apiError.
const (
	codeExists  = "exists"
	codeChanged = "changed" // since it was read
)

// apiError is a refusal of AWS that a step can reason with.
type apiError struct {
	code string
	err  error
}

func (e *apiError) Error() string { return e.err.Error() }
func (e *apiError) Unwrap() error { return e.err }

// busyWait is how soon a function that is being changed is asked again.
const busyWait = 2 * time.Second

// classify says what an error of Lambda means for the step.
func classify(op string, err error) error {
	out := awsaccess.Classify(op, err)
	var api smithy.APIError
	if out == nil || !errors.As(out, &api) {
		return out
	}
	switch api.ErrorCode() {
	case "ResourceConflictException":
		if strings.Contains(strings.ToLower(api.ErrorMessage()), "already exist") {
			return platform.Retryable(&apiError{codeExists, out}, time.Second)
		}
		return platform.Retryable(out, busyWait) // an update is in progress, or it is Pending
	case "PreconditionFailedException":
		return platform.Retryable(&apiError{codeChanged, out}, time.Second)
	case "EC2ThrottledException", "EFSMountTimeoutException":
		return platform.Retryable(out, busyWait)
	}
	return out
}

// missing reports whether AWS said that something is not there.
func missing(err error) bool { return awsaccess.Code(err) == "ResourceNotFoundException" }
