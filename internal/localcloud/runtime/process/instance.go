package process

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strconv"
	"time"

	"github.com/penstock-cd/penstock/internal/localcloud/lambda"
)

// instance is one process that runs a function. It speaks the Lambda runtime interface with a socket of its own: the process
// asks for the next event and posts what became of it (guide, "Using the Lambda runtime API").
type instance struct {
	cmd    *exec.Cmd
	api    *http.Server
	output *ring
	events chan *event   // to the process
	gone   chan struct{} // closed when the process has ended
	exit   error         // how, once gone is closed

	current chan *event // holds the event that the process works on, if any
}

// event is one invocation on its way through a process.
type event struct {
	in       lambda.Invocation
	deadline time.Time
	done     chan lambda.Result // of one
}

// maxAnswer is the most that a function may answer (Lambda developer guide, "Lambda quotas").
const maxAnswer = 6 << 20

func (r *Runtime) startInstance(p *pool, program Program, in lambda.Invocation) (*instance, error) {
	ln, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("runtime interface: %w", err)
	}
	x := &instance{output: newRing(r.opts.LogBytes), events: make(chan *event), gone: make(chan struct{}), current: make(chan *event, 1)}
	x.api = &http.Server{Handler: x.handler(), ReadHeaderTimeout: time.Minute}
	x.cmd = exec.Command(program.Argv[0], program.Argv[1:]...)
	x.cmd.Dir, x.cmd.Env, x.cmd.WaitDelay = program.Dir, environ(program, in, ln.Addr().String()), time.Second
	x.cmd.Stdout, x.cmd.Stderr = x.output, x.output
	isolate(x.cmd)
	f := fork{x.cmd, make(chan error, 1)}
	r.forks <- f
	if err := <-f.done; err != nil {
		_ = ln.Close()
		return nil, fmt.Errorf("start function %s: %w", in.Function, err)
	}
	r.tasks.Go(func() { _ = x.api.Serve(ln) })
	r.tasks.Go(func() {
		x.exit = x.cmd.Wait()
		close(x.gone)
		_ = x.api.Close()
		p.mu.Lock()
		delete(p.all, x)
		p.mu.Unlock()
	})
	return x, nil
}

// end kills the process and what it started, and waits for its end.
func (x *instance) end() {
	select {
	case <-x.gone:
	default:
		killProcess(x.cmd)
		<-x.gone
	}
}

// invoke hands one event to the process and waits for the answer; false says that the process cannot take another one.
func (x *instance) invoke(ctx context.Context, in lambda.Invocation) (lambda.Result, bool) {
	e := &event{in: in, deadline: time.Now().Add(in.Timeout), done: make(chan lambda.Result, 1)}
	timeout := time.NewTimer(in.Timeout)
	defer timeout.Stop()
	events := x.events
	for {
		select {
		case events <- e:
			events = nil
		case res := <-e.done:
			return res, true
		case <-x.gone:
			return failure("Runtime.ExitError", fmt.Sprintf("RequestId: %s Error: Runtime exited with error: %v", in.RequestID, x.exit)), false
		case <-timeout.C:
			return failure("Sandbox.Timedout", fmt.Sprintf("RequestId: %s Error: Task timed out after %.2f seconds", in.RequestID, in.Timeout.Seconds())), false
		case <-ctx.Done():
			return lambda.Result{}, false
		}
	}
}

// failure is an error of the function in the form in which Lambda answers it.
func failure(kind, message string) lambda.Result {
	body, err := json.Marshal(map[string]string{"errorType": kind, "errorMessage": message})
	if err != nil {
		body = []byte(`{}`)
	}
	return lambda.Result{Payload: body, Error: "Unhandled"}
}

// handler is the runtime interface of one process.
func (x *instance) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", x.next)
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/response", func(w http.ResponseWriter, r *http.Request) { x.answer(w, r, "") })
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/error", func(w http.ResponseWriter, r *http.Request) { x.answer(w, r, "Unhandled") })
	mux.HandleFunc("POST /2018-06-01/runtime/init/error", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(http.MaxBytesReader(w, r.Body, maxAnswer))
		_, _ = x.output.Write(body)
		accepted(w)
	})
	return mux
}

func accepted(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	_, _ = io.WriteString(w, `{"status":"OK"}`) // the process may be gone
}

// next waits for an event and gives it to the process.
func (x *instance) next(w http.ResponseWriter, r *http.Request) {
	select {
	case e := <-x.events:
		select {
		case <-x.current: // it never answered the last one
		default:
		}
		x.current <- e
		h := w.Header()
		h.Set("Content-Type", "application/json")
		h.Set("Lambda-Runtime-Aws-Request-Id", e.in.RequestID)
		h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(e.deadline.UnixMilli(), 10))
		h.Set("Lambda-Runtime-Invoked-Function-Arn", e.in.ARN)
		h.Set("Lambda-Runtime-Trace-Id", "Root=1-00000000-000000000000000000000000;Parent=0000000000000000;Sampled=0")
		_, _ = w.Write(e.in.Event) // the process may be gone
	case <-r.Context().Done():
	}
}

// answer takes what became of an event.
func (x *instance) answer(w http.ResponseWriter, r *http.Request, problem string) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxAnswer))
	if err != nil {
		http.Error(w, `{"errorMessage":"Exceeded maximum allowed payload size (6291556 bytes).","errorType":"RequestEntityTooLarge"}`, http.StatusRequestEntityTooLarge)
		return
	}
	select {
	case e := <-x.current:
		if e.in.RequestID != r.PathValue("id") {
			x.current <- e
			http.Error(w, `{"errorMessage":"Invalid request ID","errorType":"InvalidRequestID"}`, http.StatusBadRequest)
			return
		}
		accepted(w)
		e.done <- lambda.Result{Payload: body, Error: problem}
	default:
		http.Error(w, `{"errorMessage":"Invalid request ID","errorType":"InvalidRequestID"}`, http.StatusBadRequest)
	}
}
