package client_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/penstock-cd/penstock/internal/client"
	"github.com/penstock-cd/penstock/internal/deploy"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
	"github.com/penstock-cd/penstock/internal/gen/penstock/v1/penstockv1connect"
)

// fake is a control plane of function fields: a nil one is not implemented.
type fake struct {
	penstockv1connect.UnimplementedDeploymentServiceHandler
	penstockv1connect.UnimplementedWatchServiceHandler
	get    func() (*penstockv1.GetDeploymentResponse, error)
	cancel func(*connect.Request[penstockv1.CancelDeploymentRequest]) error
	watch  func(context.Context, *penstockv1.WatchRequest, *connect.ServerStream[penstockv1.WatchResponse]) error
	log    func(*penstockv1.ReadStageLogRequest, *connect.ServerStream[penstockv1.ReadStageLogResponse]) error
}

func (f *fake) GetDeployment(context.Context, *connect.Request[penstockv1.GetDeploymentRequest]) (*connect.Response[penstockv1.GetDeploymentResponse], error) {
	m, err := f.get()
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(m), nil
}

func (f *fake) CancelDeployment(_ context.Context, r *connect.Request[penstockv1.CancelDeploymentRequest]) (*connect.Response[penstockv1.CancelDeploymentResponse], error) {
	if err := f.cancel(r); err != nil {
		return nil, err
	}
	return connect.NewResponse(&penstockv1.CancelDeploymentResponse{}), nil
}

func (f *fake) Watch(ctx context.Context, r *connect.Request[penstockv1.WatchRequest], s *connect.ServerStream[penstockv1.WatchResponse]) error {
	if f.watch == nil {
		return connect.NewError(connect.CodeUnimplemented, errors.New("no streams here"))
	}
	return f.watch(ctx, r.Msg, s)
}

func (f *fake) ReadStageLog(_ context.Context, r *connect.Request[penstockv1.ReadStageLogRequest], s *connect.ServerStream[penstockv1.ReadStageLogResponse]) error {
	return f.log(r.Msg, s)
}

// start serves the fake and returns a client for it.
func start(t *testing.T, f *fake) *client.Client {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle(penstockv1connect.NewDeploymentServiceHandler(f))
	mux.Handle(penstockv1connect.NewWatchServiceHandler(f))
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return client.New(client.Config{Server: srv.URL, Token: "secret", Version: "1.2.3"})
}

func wireError(code connect.Code, d *penstockv1.ErrorDetail, message string) error {
	err := connect.NewError(code, errors.New(message))
	if d != nil {
		detail, derr := connect.NewErrorDetail(d)
		if derr != nil {
			panic(derr)
		}
		err.AddDetail(detail)
	}
	return err
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestErrorsComeBackInTheProductsForm(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want deploy.Error
		next string // a part of what to do
	}{
		"refused": {
			wireError(connect.CodeFailedPrecondition, &penstockv1.ErrorDetail{Code: "refused", Reason: deploy.RefusedTerminal, Object: "d1"}, "d1: the deployment is finished"),
			deploy.Error{Code: deploy.CodeRefused, Reason: deploy.RefusedTerminal, Object: "d1", Message: "the deployment is finished"},
			"deployment retry d1",
		},
		"not logged in": {
			wireError(connect.CodeUnauthenticated, &penstockv1.ErrorDetail{Code: "unauthorized"}, "no credential was sent"),
			deploy.Error{Code: deploy.CodeUnauthorized, Message: "no credential was sent"},
			"penstock login",
		},
		"says itself what to do": {
			wireError(connect.CodeNotFound, &penstockv1.ErrorDetail{Code: "not_found", Object: "x"}, "x: list them with: penstock app list"),
			deploy.Error{Code: deploy.CodeNotFound, Object: "x", Message: "list them with: penstock app list"},
			"",
		},
		"from a proxy": {
			wireError(connect.CodePermissionDenied, nil, "go away"), deploy.Error{Code: deploy.CodeDenied, Message: "go away"}, "whoami",
		},
		"a fault": {
			wireError(connect.CodeInternal, nil, "broken"), deploy.Error{Code: deploy.CodeInternal, Message: "broken"}, "server's log",
		},
	} {
		t.Run(name, func(t *testing.T) {
			cl := start(t, &fake{cancel: func(*connect.Request[penstockv1.CancelDeploymentRequest]) error { return c.err }})
			_, err := cl.Deployments.CancelDeployment(within(t), connect.NewRequest(&penstockv1.CancelDeploymentRequest{}))
			var got *deploy.Error
			if !errors.As(err, &got) {
				t.Fatalf("%v holds no *deploy.Error", err)
			}
			if got.Object == cl.Server() {
				got.Object = "" // where nothing else is known, the server is what it is about
			}
			if d := cmp.Diff(c.want, *got); d != "" {
				t.Error(d)
			}
			if !strings.HasPrefix(err.Error(), "cancel deployment: ") {
				t.Errorf("%q does not begin with the operation", err)
			}
			if next := client.Next(err); !strings.Contains(next, c.next) || c.next == "" && next != "" {
				t.Errorf("next %q, want something with %q", next, c.next)
			}
		})
	}
}

func TestServerThatIsNotThere(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	srv.Close()
	cl := client.New(client.Config{Server: srv.URL})
	_, err := cl.Deployments.GetDeployment(within(t), connect.NewRequest(&penstockv1.GetDeploymentRequest{}))
	if deploy.CodeOf(err) != deploy.CodeUnavailable || !strings.Contains(err.Error(), srv.URL+": the server cannot be reached") {
		t.Errorf("got %v", err)
	}
	if want := "curl " + srv.URL + "/healthz"; !strings.Contains(client.Next(err), want) {
		t.Errorf("next %q, want %q in it", client.Next(err), want)
	}
}

func TestReadsAreRepeatedAndMutationsAreNot(t *testing.T) {
	gets, cancels := 0, 0
	cl := start(t, &fake{
		get: func() (*penstockv1.GetDeploymentResponse, error) {
			if gets++; gets < 3 {
				return nil, wireError(connect.CodeUnavailable, nil, "restarting")
			}
			return &penstockv1.GetDeploymentResponse{}, nil
		},
		cancel: func(*connect.Request[penstockv1.CancelDeploymentRequest]) error {
			cancels++
			return wireError(connect.CodeUnavailable, nil, "restarting")
		},
	})
	if _, err := cl.Deployments.GetDeployment(within(t), connect.NewRequest(&penstockv1.GetDeploymentRequest{})); err != nil || gets != 3 {
		t.Errorf("after %d reads: %v", gets, err)
	}
	_, err := cl.Deployments.CancelDeployment(within(t), connect.NewRequest(&penstockv1.CancelDeploymentRequest{}))
	if deploy.CodeOf(err) != deploy.CodeUnavailable || cancels != 1 {
		t.Errorf("after %d cancels: %v", cancels, err)
	}
}

func TestOtherErrorsOfReadsAreNotRepeated(t *testing.T) {
	gets := 0
	cl := start(t, &fake{get: func() (*penstockv1.GetDeploymentResponse, error) {
		gets++
		return nil, wireError(connect.CodeNotFound, &penstockv1.ErrorDetail{Code: "not_found"}, "no")
	}})
	if _, err := cl.Wait(within(t), "d"); deploy.CodeOf(err) != deploy.CodeNotFound || gets != 1 {
		t.Errorf("after %d reads: %v", gets, err)
	}
}

func TestMutationsCarryCredentialAndRequestID(t *testing.T) {
	var ids []string
	var header http.Header
	cl := start(t, &fake{cancel: func(r *connect.Request[penstockv1.CancelDeploymentRequest]) error {
		ids, header = append(ids, r.Msg.RequestId), r.Header()
		return nil
	}})
	for _, given := range []string{"", "", "mine"} {
		if _, err := cl.Deployments.CancelDeployment(within(t), connect.NewRequest(&penstockv1.CancelDeploymentRequest{RequestId: given})); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range ids[:2] {
		if u, err := uuid.Parse(id); err != nil || u.Version() != 7 {
			t.Errorf("request id %q is not a UUIDv7", id)
		}
	}
	if ids[0] >= ids[1] || ids[2] != "mine" {
		t.Errorf("request ids %q", ids)
	}
	if header.Get("Authorization") != "Bearer secret" || header.Get("User-Agent") != "penstock/1.2.3" {
		t.Errorf("headers %v", header)
	}
}

// world is a deployment that a test changes while it is followed.
type world struct {
	mu    sync.Mutex
	d     *penstockv1.Deployment
	reads chan string // status of each read
}

func newWorld() *world {
	return &world{d: &penstockv1.Deployment{Id: "d", Status: "RUNNING"}, reads: make(chan string, 100)}
}

func (w *world) set(status string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.d.Status = status
}

func (w *world) get() (*penstockv1.GetDeploymentResponse, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reads <- w.d.Status
	return &penstockv1.GetDeploymentResponse{Deployment: &penstockv1.Deployment{Id: "d", Status: w.d.Status}, Cursor: "c0"}, nil
}

func TestFollowGoesOnFromItsCursor(t *testing.T) {
	w := newWorld()
	var cursors []string
	change := []*penstockv1.Change{{StreamKind: "deployment", StreamId: "d", Type: "STAGE_ENDED"}}
	cl := start(t, &fake{get: w.get, watch: func(_ context.Context, r *penstockv1.WatchRequest, s *connect.ServerStream[penstockv1.WatchResponse]) error {
		cursors = append(cursors, r.Cursor)
		switch len(cursors) {
		case 1: // a change, then the connection breaks
			_ = s.Send(&penstockv1.WatchResponse{Cursor: "c1", Changes: change})
			return wireError(connect.CodeUnavailable, nil, "cut")
		case 2: // the server cannot read the cursor any more
			return wireError(connect.CodeInvalidArgument, &penstockv1.ErrorDetail{Code: "invalid"}, "another incarnation")
		}
		w.set("SUCCESS")
		return s.Send(&penstockv1.WatchResponse{Cursor: "c2", Reset_: true})
	}})
	d, err := cl.Wait(within(t), "d")
	if err != nil || d.Status != "SUCCESS" {
		t.Fatalf("ended with %v, %v", d, err)
	}
	if diff := cmp.Diff([]string{"c0", "c1", ""}, cursors); diff != "" {
		t.Error(diff)
	}
}

func TestFollowLooksAtIntervalsWhereNoStreamCanBeHad(t *testing.T) {
	w := newWorld()
	cl := start(t, &fake{get: w.get})
	seen := 0
	err := cl.Follow(within(t), "d", client.FollowOptions{Poll: time.Millisecond}, func(d *penstockv1.Deployment) bool {
		if seen++; seen == 3 {
			w.set("CANCELLED")
		}
		return !client.Terminal(d)
	})
	if err != nil || seen != 4 || len(w.reads) != 4 {
		t.Errorf("%d calls, %d reads, %v", seen, len(w.reads), err)
	}
}

func TestFollowDoesNotReadForLogChunksAndTicks(t *testing.T) {
	w := newWorld()
	ctx, cancel := context.WithCancelCause(within(t))
	cl := start(t, &fake{get: w.get, watch: func(ctx context.Context, _ *penstockv1.WatchRequest, s *connect.ServerStream[penstockv1.WatchResponse]) error {
		for range 5 {
			_ = s.Send(&penstockv1.WatchResponse{Cursor: "c1", Changes: []*penstockv1.Change{{Type: "LOG"}}})
		}
		<-ctx.Done()
		return ctx.Err()
	}})
	calls := 0
	enough := errors.New("enough")
	err := cl.Follow(ctx, "d", client.FollowOptions{Tick: time.Millisecond}, func(*penstockv1.Deployment) bool {
		if calls++; calls == 50 {
			cancel(enough)
		}
		return true
	})
	if !errors.Is(err, context.Canceled) || len(w.reads) != 1 {
		t.Errorf("%d reads for %d calls, %v", len(w.reads), calls, err)
	}
}

func TestStageLogGoesOnFromItsOffset(t *testing.T) {
	var asked []int64
	text := "one\ntwo\nthree\n"
	cl := start(t, &fake{log: func(r *penstockv1.ReadStageLogRequest, s *connect.ServerStream[penstockv1.ReadStageLogResponse]) error {
		asked = append(asked, r.Offset)
		if len(asked) == 1 {
			_ = s.Send(&penstockv1.ReadStageLogResponse{Data: []byte(text[:6]), NextOffset: 6, Attempt: 2})
			return wireError(connect.CodeUnavailable, nil, "cut")
		}
		if r.Attempt != 2 {
			t.Errorf("went on with attempt %d", r.Attempt)
		}
		return s.Send(&penstockv1.ReadStageLogResponse{Data: []byte(text[r.Offset:]), NextOffset: int64(len(text)), Attempt: 2, Completed: true})
	}})
	var got strings.Builder
	err := cl.StageLog(within(t), client.LogRequest{Deployment: "d", Stage: "s", Follow: true}, func(b []byte) error {
		got.Write(b)
		return nil
	})
	if err != nil || got.String() != text {
		t.Errorf("read %q, %v", got.String(), err)
	}
	if diff := cmp.Diff([]int64{0, 6}, asked); diff != "" {
		t.Error(diff)
	}
}

func TestStageLogEndsWhenItsReaderIsDone(t *testing.T) {
	cl := start(t, &fake{log: func(_ *penstockv1.ReadStageLogRequest, s *connect.ServerStream[penstockv1.ReadStageLogResponse]) error {
		return s.Send(&penstockv1.ReadStageLogResponse{Data: []byte("x"), NextOffset: 1})
	}})
	full := errors.New("disk full")
	err := cl.StageLog(within(t), client.LogRequest{Follow: true}, func([]byte) error { return full })
	if !errors.Is(err, full) {
		t.Errorf("got %v", err)
	}
}

func TestAllReadsPageByPage(t *testing.T) {
	pages := map[string][]int{"": {1, 2}, "a": {3, 4}, "b": {5}}
	next := map[string]string{"": "a", "a": "b"}
	for limit, want := range map[int][]int{0: {1, 2, 3, 4, 5}, 3: {1, 2, 3}, 4: {1, 2, 3, 4}} {
		got, err := client.All(limit, func(token string, _ int32) ([]int, string, error) { return pages[token], next[token], nil })
		if d := cmp.Diff(want, got); d != "" || err != nil {
			t.Errorf("limit %d: %s%v", limit, d, err)
		}
	}
}
