package awsaccess

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/smithy-go"

	"github.com/penstock-cd/penstock/internal/platform"
)

// ThrottleWait is how long a throttled call is put off: the token buckets of AWS refill several times a second, and the
// agent's loop backs off further by itself.
const ThrottleWait = 2 * time.Second

// ExpiredWait is how long a call waits for new credentials.
const ExpiredWait = 10 * time.Second

// Classify says what an error of AWS means for the step: throttling and faults of the service are tried again, missing
// rights are said with what to do, a refused parameter is final.
func Classify(op string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%s: %w", op, err)
	}
	var api smithy.APIError
	var params smithy.InvalidParamsError
	switch {
	case errors.As(err, &params):
		return platform.Final(fmt.Errorf("%s: %w", op, err))
	case strings.Contains(err.Error(), "get identity:") && !errors.As(err, &api):
		return platform.Retryable(fmt.Errorf("%s: there are no usable AWS credentials; check profile, credentialsFile or roleARN of the platform provider: %w", op, err), 0)
	case !errors.As(err, &api):
		return platform.Retryable(fmt.Errorf("%s: AWS cannot be reached: %w", op, err), 0)
	}
	code := api.ErrorCode()
	var plain error = &worded{fmt.Sprintf("%s: %s: %s", op, code, api.ErrorMessage()), err}
	switch code {
	case "Throttling", "ThrottlingException", "ThrottledException", "RequestLimitExceeded", "TooManyRequestsException", "RequestThrottled", "RequestThrottledException", "SlowDown", "PriorRequestNotComplete", "BandwidthLimitExceeded":
		return platform.Retryable(plain, ThrottleWait)
	case "AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "UnauthorizedException":
		return platform.Final(fmt.Errorf("%w: allow this action in the policy of the role that the agent uses", plain))
	case "ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired":
		// They are renewed sooner or later; a way back that gave up here would leave traffic where it is.
		return platform.Retryable(fmt.Errorf("%w: the agent's credentials have expired; renew them, the step is tried again until its deadline", plain), ExpiredWait)
	case "UnrecognizedClientException", "InvalidClientTokenId", "SignatureDoesNotMatch", "InvalidSignatureException", "MissingAuthenticationToken", "IncompleteSignature":
		return platform.Final(fmt.Errorf("%w: AWS does not know the agent's credentials; check profile, credentialsFile or roleARN of the platform provider", plain))
	case "ServerException", "InternalFailure", "InternalServerError", "ServiceException", "ServiceUnavailable", "ServiceUnavailableException", "UpdateInProgressException", "ConflictException":
		return platform.Retryable(plain, 0)
	}
	if api.ErrorFault() == smithy.FaultServer {
		return platform.Retryable(plain, 0)
	}
	return platform.Final(plain)
}

// worded is an error of AWS in one short line; the SDK's own wraps it in request ids and attempts.
type worded struct {
	text string
	err  error
}

func (w *worded) Error() string { return w.text }
func (w *worded) Unwrap() error { return w.err }

// Code is the raw error code of AWS, "" for other errors.
func Code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}
