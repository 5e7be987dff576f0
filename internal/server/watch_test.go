package server

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"
	"github.com/google/go-cmp/cmp"

	"github.com/penstock-cd/penstock/internal/deploy"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
	"github.com/penstock-cd/penstock/internal/gen/penstock/v1/penstockv1connect"
	"github.com/penstock-cd/penstock/internal/policy"
	"github.com/penstock-cd/penstock/internal/store"
)

// watch reads a Watch stream until its context ends.
func (r *rig) watch(ctx context.Context, m *penstockv1.WatchRequest) (got chan *penstockv1.WatchResponse, over chan error) {
	return r.watchAs(ctx, r.token, m)
}

func (r *rig) watchAs(ctx context.Context, token string, m *penstockv1.WatchRequest) (got chan *penstockv1.WatchResponse, over chan error) {
	got, over = make(chan *penstockv1.WatchResponse, 1000), make(chan error, 1)
	c := penstockv1connect.NewWatchServiceClient(r.client(), "http://server", as(token))
	go func() {
		s, err := c.Watch(ctx, connect.NewRequest(m))
		if err != nil {
			over <- err
			return
		}
		for s.Receive() {
			got <- s.Msg()
		}
		over <- s.Err()
	}()
	synctest.Wait()
	return got, over
}

// types drains a stream into "stream kind/type".
func types(got chan *penstockv1.WatchResponse) (list []string, cursor string) {
	synctest.Wait()
	for len(got) > 0 {
		m := <-got
		cursor = m.Cursor
		for _, c := range m.Changes {
			list = append(list, c.StreamKind+"/"+c.Type)
		}
	}
	return list, cursor
}

func TestWatchTellsInOrderAndResumes(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		p := r.join2("a", "one")
		app := p.register("web")
		head := r.headOf(p)
		ctx, cancel := context.WithCancel(r.Context())
		got, over := r.watch(ctx, &penstockv1.WatchRequest{})
		if _, start := types(got); start == "" {
			r.Fatal("no cursor to start from")
		}
		id := p.moved(head, "I", app)
		first, cursor := types(got)
		want := []string{
			"application/APP_HEAD_MOVED", "application/APP_QUEUED", "deployment/TRIGGERED", "application/APP_ADMITTED", "deployment/ADMITTED", "deployment/ASSIGNED",
		}
		if diff := cmp.Diff(want, first); diff != "" {
			r.Errorf("changes (-want +got):\n%s", diff)
		}
		cancel()
		if err := <-over; connect.CodeOf(err) != connect.CodeCanceled {
			r.Errorf("the end of a cancelled stream: %v", err)
		}
		if _, err := p.report(id, planned(1, plan("d1"))); err != nil { // nobody looks
			r.Fatal(err)
		}
		ctx, cancel = context.WithCancel(r.Context())
		defer cancel()
		got, _ = r.watch(ctx, &penstockv1.WatchRequest{Cursor: cursor, DeploymentId: id})
		again, _ := types(got)
		if diff := cmp.Diff([]string{"deployment/PLANNED", "deployment/STARTED", "deployment/STAGE_STARTED"}, again); diff != "" {
			r.Errorf("resumed (-want +got):\n%s", diff)
		}
		// Changes beside the record.
		if _, err := p.report(id, step(1, "roll", 0, "WAITING", why("X"))); err != nil {
			r.Fatal(err)
		}
		if _, err := p.link.ReportLive(ctx, connect.NewRequest(&penstockv1.ReportLiveRequest{SessionId: p.session, ApplicationId: app, LiveState: &penstockv1.LiveState{}})); err != nil {
			r.Fatal(err)
		}
		if side, _ := types(got); len(side) != 1 || side[0] != "deployment/WAITING" {
			r.Errorf("side changes of the deployment: %v", side)
		}
		all, _ := r.watch(ctx, &penstockv1.WatchRequest{StreamKinds: []string{"application"}, ApplicationId: app})
		types(all)
		if _, err := p.link.ReportLive(ctx, connect.NewRequest(&penstockv1.ReportLiveRequest{SessionId: p.session, ApplicationId: app, LiveState: &penstockv1.LiveState{}})); err != nil {
			r.Fatal(err)
		}
		if side, _ := types(all); len(side) != 1 || side[0] != "application/LIVE" {
			r.Errorf("side changes of the application: %v", side)
		}
	})
}

func TestWatchStartsOverWhereACursorIsOfNoUse(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		p := r.join2("a", "one")
		p.running("web", "d1")
		inc := r.st.Incarnation()
		for name, cursor := range map[string]string{
			"another incarnation": "other.1", "the future": inc + ".999999999", "no number": inc + ".x", "no cursor": "garbage", "negative": inc + ".-5",
		} {
			ctx, cancel := context.WithCancel(r.Context())
			got, over := r.watch(ctx, &penstockv1.WatchRequest{Cursor: cursor})
			if m := <-got; !m.Reset_ || !strings.HasPrefix(m.Cursor, inc+".") {
				r.Errorf("%s: %v, want a reset", name, m)
			}
			cancel()
			if err := <-over; connect.CodeOf(err) != connect.CodeCanceled {
				r.Errorf("%s: %v", name, err)
			}
		}
		err := r.st.Update(r.Context(), "default", func(tx store.Tx) error {
			events := make([]deploy.Event, watchGap+1)
			for i := range events {
				events[i] = deploy.NewEvent(deploy.EvLoggedIn, time.Now(), deploy.Reason{}, nil)
				events[i].ID = "e" + itoa(i)
			}
			return tx.Append(store.Stream{Kind: deploy.StreamProject, ID: "default"}, store.AnyLength, "", events)
		})
		if err != nil {
			r.Fatal(err)
		}
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		got, _ := r.watch(ctx, &penstockv1.WatchRequest{Cursor: inc + ".1"})
		if m := <-got; !m.Reset_ {
			r.Errorf("far behind: %v, want a reset", m)
		}
	})
}

func TestAQuietWatchSaysThatItStandsAndWhetherItMay(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		token := r.credential("ann", policy.RoleViewer)
		got, over := r.watchAs(r.Context(), token, &penstockv1.WatchRequest{StreamKinds: []string{"deployment"}})
		_, start := types(got)
		p := r.join2("a", "one")
		p.register("web")
		time.Sleep(watchBeat + time.Second)
		list, cursor := types(got)
		if len(list) != 0 || cursor == "" || cursor == start {
			r.Errorf("a beat: changes %v, cursor %s → %s", list, start, cursor)
		}
		me := penstockv1connect.NewProjectServiceClient(r.client(), "http://server", as(token))
		if _, err := me.Logout(r.Context(), connect.NewRequest(&penstockv1.LogoutRequest{})); err != nil {
			r.Fatal(err)
		}
		time.Sleep(watchBeat)
		wantCode(r, "the stream behind the logout", <-over, deploy.CodeUnauthorized, "")
	})
}

// stageLog reads a log stream.
func (r *rig) stageLog(ctx context.Context, m *penstockv1.ReadStageLogRequest) (got chan *penstockv1.ReadStageLogResponse, over chan error) {
	got, over = make(chan *penstockv1.ReadStageLogResponse, 100), make(chan error, 1)
	go func() {
		s, err := r.deploys.ReadStageLog(ctx, connect.NewRequest(m))
		if err != nil {
			over <- err
			return
		}
		for s.Receive() {
			got <- s.Msg()
		}
		over <- s.Err()
	}()
	synctest.Wait()
	return got, over
}

func TestStageLogs(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		p := r.join2("a", "one")
		_, id := p.running("web", "d1")
		write := func(stage string, attempt int32, offset int64, data string) error {
			_, err := p.link.AppendLog(r.Context(), connect.NewRequest(&penstockv1.AppendLogRequest{
				SessionId: p.session, DeploymentId: id, StageId: stage, Attempt: attempt, Epoch: 1, Offset: offset, Data: []byte(data),
			}))
			return err
		}
		for _, x := range []struct {
			offset int64
			data   string
		}{{0, "one\n"}, {4, "two\n"}, {4, "two\n"}} {
			if err := write("roll", 1, x.offset, x.data); err != nil {
				r.Fatal(err)
			}
		}
		wantCode(r, "an unknown stage", write("x", 1, 0, "x"), deploy.CodeNotFound, "")
		wantCode(r, "an attempt to come", write("roll", 2, 0, "x"), deploy.CodeNotFound, "")
		wantCode(r, "a stage that has not begun", write("last", 1, 0, "x"), deploy.CodeNotFound, "")
		wantCode(r, "too large", write("roll", 1, 8, strings.Repeat("x", maxLogChunk+1)), deploy.CodeTooLarge, "")
		read := func(m *penstockv1.ReadStageLogRequest) (string, *penstockv1.ReadStageLogResponse) {
			m.DeploymentId, m.StageId = id, "roll"
			got, over := r.stageLog(r.Context(), m)
			if err := <-over; err != nil {
				r.Fatal(err)
			}
			var text strings.Builder
			var last *penstockv1.ReadStageLogResponse
			for len(got) > 0 {
				last = <-got
				text.Write(last.Data)
			}
			return text.String(), last
		}
		if text, last := read(&penstockv1.ReadStageLogRequest{}); text != "one\ntwo\n" || last.Completed || last.NextOffset != 8 || last.Attempt != 1 {
			r.Errorf("%q %v", text, last)
		}
		if text, _ := read(&penstockv1.ReadStageLogRequest{Offset: 4}); text != "two\n" {
			r.Errorf("from an offset: %q", text)
		}
		got, over := r.stageLog(r.Context(), &penstockv1.ReadStageLogRequest{DeploymentId: id, StageId: "roll", Offset: 8, Follow: true})
		if err := write("roll", 1, 8, strings.Repeat("x", logPiece+10)); err != nil {
			r.Fatal(err)
		}
		synctest.Wait()
		n := 0
		for len(got) > 0 {
			n += len((<-got).Data)
		}
		if n != logPiece+10 {
			r.Errorf("followed %d bytes", n)
		}
		never, neverOver := r.stageLog(r.Context(), &penstockv1.ReadStageLogRequest{DeploymentId: id, StageId: "last", Follow: true})
		for _, m := range []*penstockv1.ReportRequest{step(1, "roll", 0, "FAILED", why(deploy.ReasonStepFailed)), step(1, "back", 0, "DONE", "")} {
			if _, err := p.report(id, m); err != nil {
				r.Fatal(err)
			}
		}
		synctest.Wait()
		if err := <-over; err != nil || len(got) != 1 || !(<-got).Completed {
			r.Errorf("the end of the stage did not end the stream: %v", err)
		}
		select {
		case err := <-neverOver:
			if m := <-never; err != nil || !m.Completed {
				r.Errorf("%v %v", m, err)
			}
		case <-time.After(time.Minute):
			r.Error("the log of a stage that never began is followed for ever")
		}
		_, over = r.stageLog(r.Context(), &penstockv1.ReadStageLogRequest{DeploymentId: id, StageId: "x"})
		wantCode(r, "an unknown stage", <-over, deploy.CodeNotFound, "")
	})
}
