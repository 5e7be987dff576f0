package demosvc

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net/http"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
)

// envRuntime is where the Lambda runtime interface is (Lambda developer guide,
// "Using the Lambda runtime API").
const envRuntime = "AWS_LAMBDA_RUNTIME_API"

// function runs the service as a function, with AWS's own library. It answers
// events of a function URL, and behaves as the service does: slow, failing, or
// never starting. It returns when it could not start; otherwise the process
// ends with its environment.
func function(ctx context.Context, cfg Config) int {
	if cfg.Behaviour.NeverHealthy {
		cfg.Logger.Error("told not to start")
		return 1
	}
	hostname, err := os.Hostname()
	if err != nil {
		cfg.Logger.Error("cannot start", "error", err)
		return 1
	}
	s := &server{cfg: cfg, hostname: hostname, behaviour: cfg.Behaviour, since: time.Now()}
	lambda.StartWithOptions(s.event, lambda.WithContext(ctx))
	return 0
}

// event answers one request.
func (s *server) event(ctx context.Context, _ events.LambdaFunctionURLRequest) (events.LambdaFunctionURLResponse, error) {
	out := events.LambdaFunctionURLResponse{StatusCode: http.StatusOK, Headers: map[string]string{"Content-Type": "application/json", "X-Demo-Version": s.cfg.Version}}
	b, healthy := s.current()
	if b.Latency > 0 {
		timer := time.NewTimer(b.Latency)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return out, ctx.Err()
		}
	}
	if !healthy || b.ErrorRate > 0 && rand.Float64() < b.ErrorRate {
		return out, errors.New("told to fail")
	}
	body, err := json.Marshal(Answer{s.cfg.Version, s.cfg.TaskID, s.hostname})
	out.Body = string(body)
	return out, err
}
