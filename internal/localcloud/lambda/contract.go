package lambda

import (
	"context"
	"time"
)

// Runtime runs code. Implemented by runtime/function and runtime/memory.
type Runtime interface {
	// Check says why code is refused at once: no such image, a file that is no zip.
	Check(code Code) error
	// Prepare says how long code takes to be set up, beside what every update takes, and whether that goes wrong.
	Prepare(code Code) (time.Duration, error)
	// Invoke runs one event in an instance that is free, or in a new one, and waits for its end. Errors of the function are
	// part of the result; an error means that nothing could be run.
	Invoke(ctx context.Context, in Invocation) (Result, error)
	// Retire ends the instances of a key. Unknown keys are ignored.
	Retire(key string)
}

// Code is what a function runs: an image, or the bytes of a zip.
type Code struct {
	Image string
	Zip   []byte
	// Runtime and Handler are those of the configuration, for zips.
	Runtime, Handler string
}

// Invocation is all a runtime needs to run one event.
type Invocation struct {
	// Key is equal for what may share instances: one version, or $LATEST between two updates.
	Key       string
	RequestID string
	// ARN is what was invoked, Function and Version what answers.
	ARN, Function, Version string
	Code                   Code
	Env                    map[string]string
	Memory                 int // MB
	Timeout                time.Duration
	Event                  []byte
}

// Result is what became of an event.
type Result struct {
	Payload []byte
	// Error is "" or "Unhandled", as in the header X-Amz-Function-Error.
	Error string
	// Log is the end of what the instance wrote.
	Log []byte
}
