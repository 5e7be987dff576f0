package memory

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/penstock-cd/penstock/internal/localcloud/lambda"
)

// The runtime also runs functions. Their code is scripted as images are: by the name of the image, or by the bytes of the zip
// as a text.

func scripted(code lambda.Code) string {
	if code.Image != "" {
		return code.Image
	}
	return string(code.Zip)
}

// Check refuses code that the script does not know.
func (r *Runtime) Check(code lambda.Code) error {
	if _, ok := r.script(scripted(code)); !ok {
		return fmt.Errorf("source image %s does not exist. Provide a valid source image", scripted(code))
	}
	return nil
}

// Prepare takes the scripted StartDelay, and fails where the script says so.
func (r *Runtime) Prepare(code lambda.Code) (time.Duration, error) {
	b, _ := r.script(scripted(code))
	if !b.FailToStart {
		return b.StartDelay, nil
	}
	reason := b.FailReason
	if reason == "" {
		reason = "the code was told to fail"
	}
	return b.StartDelay, fmt.Errorf("%s", reason)
}

// Invoke answers with version and code; code that is never healthy answers with an error of the function.
func (r *Runtime) Invoke(_ context.Context, in lambda.Invocation) (lambda.Result, error) {
	b, _ := r.script(scripted(in.Code))
	if b.HealthyAfter < 0 {
		return lambda.Result{Payload: []byte(`{"errorMessage":"told to fail","errorType":"Error"}`), Error: "Unhandled"}, nil
	}
	payload, err := json.Marshal(map[string]string{"version": in.Version, "code": scripted(in.Code)})
	return lambda.Result{Payload: payload}, err
}

// Retire does nothing: there are no instances.
func (r *Runtime) Retire(string) {}
