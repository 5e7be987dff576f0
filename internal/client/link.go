package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/penstock-cd/penstock/internal/deploy"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
	"github.com/penstock-cd/penstock/internal/gen/penstock/v1/penstockv1connect"
	"github.com/penstock-cd/penstock/internal/wire"
)

// Wire versions that an agent of this build speaks.
const (
	MinLinkVersion = 1
	MaxLinkVersion = 1
)

// ReasonSessionOver is the Reason of an unauthorized error when the session,
// not the key, is what is missing: say Hello again.
const ReasonSessionOver = "SESSION_OVER"

// Link is an agent's connection to the control plane: AgentService in the
// values of the centre. All connections are outbound. Every error is a
// *deploy.Error, or carries context.Canceled or context.DeadlineExceeded when
// the caller's own context ended. Safe for concurrent use.
type Link struct {
	rpc penstockv1connect.AgentServiceClient
}

// NewLink prepares a link to the control plane at a base URL. The key is the
// agent's, sent as a bearer token with every call. Nothing is sent yet.
func NewLink(http connect.HTTPClient, baseURL, key string, opts ...connect.ClientOption) *Link {
	opts = append(opts, connect.WithInterceptors(bearerKey(key)))
	return &Link{rpc: penstockv1connect.NewAgentServiceClient(http, baseURL, opts...)}
}

// bearerKey puts the key of an agent into every call.
type bearerKey string

// WrapUnary implements connect.Interceptor.
func (k bearerKey) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		req.Header().Set("Authorization", "Bearer "+string(k))
		return next(ctx, req)
	}
}

// WrapStreamingClient implements connect.Interceptor.
func (k bearerKey) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return func(ctx context.Context, spec connect.Spec) connect.StreamingClientConn {
		conn := next(ctx, spec)
		conn.RequestHeader().Set("Authorization", "Bearer "+string(k))
		return conn
	}
}

// WrapStreamingHandler implements connect.Interceptor.
func (k bearerKey) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return next
}

// Hello is how an agent process introduces itself.
type Hello struct {
	ProcessID     string // new for each process
	Host, Version string
	Repositories  []LinkRepository
	Providers     []LinkProvider
	Stages        []LinkStage
}

// LinkRepository is a repository of the agent's file. Remote carries no credentials.
type LinkRepository struct{ ID, Remote, Branch string }

// LinkProvider is a platform provider of the agent's file; Kind is the word of
// the application files that it takes (ECSApp).
type LinkProvider struct{ Name, Kind string }

// LinkStage describes a stage that a user may write.
type LinkStage struct{ Kind, Name, Desc string }

// Session is a session that the control plane gave to a process.
type Session struct {
	ID          string
	Lease       time.Duration // it lives so long without renewal
	RenewEvery  time.Duration
	Incarnation string // of the store; another one after a backup was restored
	ProjectID   string
	AgentID     string
	AgentName   string
	WebAddress  string
	ServerTime  time.Time
}

// Hello begins a session.
func (l *Link) Hello(ctx context.Context, h Hello) (Session, error) {
	m := &penstockv1.HelloRequest{MinVersion: MinLinkVersion, MaxVersion: MaxLinkVersion, ProcessId: h.ProcessID, Host: h.Host, Version: h.Version}
	for _, r := range h.Repositories {
		m.Repositories = append(m.Repositories, &penstockv1.Repository{Id: r.ID, Remote: r.Remote, Branch: r.Branch})
	}
	for _, p := range h.Providers {
		m.Providers = append(m.Providers, &penstockv1.Provider{Name: p.Name, Kind: p.Kind})
	}
	for _, s := range h.Stages {
		m.Stages = append(m.Stages, &penstockv1.StageInfo{Kind: s.Kind, Name: s.Name, Desc: s.Desc})
	}
	res, err := l.rpc.Hello(ctx, connect.NewRequest(m))
	if err != nil {
		return Session{}, linkError("hello", err)
	}
	r := res.Msg
	return Session{
		ID: r.SessionId, Lease: span(r.Lease), RenewEvery: span(r.RenewEvery), Incarnation: r.Incarnation, ProjectID: r.ProjectId,
		AgentID: r.AgentId, AgentName: r.AgentName, WebAddress: r.WebAddress, ServerTime: wire.TimeFromWire(r.ServerTime),
	}, nil
}

// Renewal is the answer to Renew.
type Renewal struct {
	Lease       time.Duration // a whole one
	Left        time.Duration // what is left of it, at most Lease; less when the last grant had not been seen
	Grant       int64         // to say with the next renewal
	Incarnation string        // of the store
	Woken       int64         // how often the session was woken for work; see Wakeup
}

// Renew extends the lease of a session that saw the grant of the answer before,
// 0 for Hello's.
func (l *Link) Renew(ctx context.Context, session string, seen int64) (Renewal, error) {
	res, err := l.rpc.Renew(ctx, connect.NewRequest(&penstockv1.RenewRequest{SessionId: session, Seen: &seen}))
	if err != nil {
		return Renewal{}, linkError("renew", err)
	}
	m := res.Msg
	r := Renewal{Lease: span(m.Lease), Left: span(m.Left), Grant: m.Grant, Incarnation: m.Incarnation, Woken: m.Woken}
	if m.Left == nil { // a server from before grants had numbers
		r.Left = r.Lease
	}
	return r, nil
}

// Leave ends a session at once.
func (l *Link) Leave(ctx context.Context, session string) error {
	_, err := l.rpc.Leave(ctx, connect.NewRequest(&penstockv1.LeaveRequest{SessionId: session}))
	return linkError("leave", err)
}

// Wakeup says that something may have changed.
type Wakeup struct {
	Work  bool     // fetch work
	Repos []string // look at these repositories now
	Woken int64    // how often the session was woken for work, this time included
}

// Wait calls f for every wake-up until the stream or the context ends. It
// always returns an error; a stream that the server closed is CodeUnavailable.
func (l *Link) Wait(ctx context.Context, session string, f func(Wakeup)) error {
	stream, err := l.rpc.Wait(ctx, connect.NewRequest(&penstockv1.WaitRequest{SessionId: session}))
	if err != nil {
		return linkError("wait", err)
	}
	for stream.Receive() {
		f(Wakeup{Work: stream.Msg().Work, Repos: stream.Msg().RepoIds, Woken: stream.Msg().Woken})
	}
	err = errors.Join(stream.Err(), stream.Close())
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		return deploy.Errorf(deploy.CodeUnavailable, "wait: the server closed the stream")
	}
	return linkError("wait", err)
}

// Work is what is due for a process.
type Work struct {
	Applications []deploy.Application // whose live state it reports
	Assignments  []Assignment
	Questions    []Question
	Repositories []RepositoryWork
}

// Assignment is a deployment that the process carries on.
type Assignment struct {
	Epoch       int64
	Deployment  deploy.Deployment
	Application deploy.Application
	Journal     []deploy.JournalEntry
	WriteAfter  time.Duration // no write before this much time from now
}

// Question asks something that never writes.
type Question struct {
	ID            string
	Kind          deploy.QuestionKind
	ApplicationID string
	Commit        string // full hash
	Strategy      deploy.Strategy
	Application   deploy.Application
	Deadline      time.Time     // on the server's clock
	Limit         time.Duration // time that was left when the work was fetched
}

// QuestionAnswer answers a question: Digest names the blob with the answer, or
// Reason says why there is none.
type QuestionAnswer struct {
	QuestionID, Digest, LiveDigest string
	Reason                         deploy.Reason
}

// AnswerQuestion answers a question. The first answer holds.
func (l *Link) AnswerQuestion(ctx context.Context, session string, a QuestionAnswer) error {
	m := &penstockv1.AnswerQuestionRequest{SessionId: session, QuestionId: a.QuestionID, Digest: a.Digest, LiveDigest: a.LiveDigest}
	if !a.Reason.IsZero() {
		m.Reason = toJSON(a.Reason)
	}
	_, err := l.rpc.AnswerQuestion(ctx, connect.NewRequest(m))
	return linkError("answer question", err)
}

// RepositoryWork is a repository that the process polls.
type RepositoryWork struct {
	RepoID, Branch string
	Head           string // that the record knows, "" when the branch was never reported
	Applications   []deploy.Application
}

// GetWork fetches what is due.
func (l *Link) GetWork(ctx context.Context, session string) (Work, error) {
	res, err := l.rpc.GetWork(ctx, connect.NewRequest(&penstockv1.GetWorkRequest{SessionId: session}))
	if err != nil {
		return Work{}, linkError("get work", err)
	}
	w, err := workFromWire(res.Msg)
	if err != nil {
		return Work{}, fmt.Errorf("get work: %w", err)
	}
	return w, nil
}

func workFromWire(m *penstockv1.GetWorkResponse) (w Work, err error) {
	for _, a := range m.Applications {
		app, err := fromJSON[deploy.Application]("application", a.Application)
		if err != nil {
			return w, err
		}
		w.Applications = append(w.Applications, app)
	}
	for _, a := range m.Assignments {
		one, err := assignmentFromWire(a)
		if err != nil {
			return w, err
		}
		w.Assignments = append(w.Assignments, one)
	}
	for _, q := range m.Questions {
		one := Question{
			ID: q.Id, Kind: deploy.QuestionKind(q.Kind), ApplicationID: q.ApplicationId, Commit: q.Commit,
			Strategy: deploy.Strategy(q.Strategy), Deadline: wire.TimeFromWire(q.Deadline), Limit: span(q.Limit),
		}
		if q.Application != "" {
			if one.Application, err = fromJSON[deploy.Application]("application of question "+q.Id, q.Application); err != nil {
				return w, err
			}
		}
		w.Questions = append(w.Questions, one)
	}
	for _, r := range m.Repositories {
		one := RepositoryWork{RepoID: r.RepoId, Branch: r.Branch, Head: r.Head}
		for _, text := range r.Applications {
			app, err := fromJSON[deploy.Application]("application of "+r.RepoId, text)
			if err != nil {
				return w, err
			}
			one.Applications = append(one.Applications, app)
		}
		w.Repositories = append(w.Repositories, one)
	}
	return w, nil
}

func assignmentFromWire(m *penstockv1.Assignment) (a Assignment, err error) {
	a.Epoch, a.WriteAfter = m.Epoch, span(m.WriteAfter)
	if a.Deployment, err = fromJSON[deploy.Deployment]("deployment "+m.DeploymentId, m.Deployment); err != nil {
		return a, err
	}
	if m.Application != "" {
		if a.Application, err = fromJSON[deploy.Application]("application of deployment "+m.DeploymentId, m.Application); err != nil {
			return a, err
		}
	}
	for _, e := range m.Journal {
		a.Journal = append(a.Journal, deploy.JournalEntry{Key: e.Key, Value: json.RawMessage(e.Value), Stage: e.Stage, Attempt: int(e.Attempt)})
	}
	return a, nil
}

// HeadReport says that a branch moved from Old to New, or, with Error, why the
// repository cannot be read.
type HeadReport struct {
	RepoID, Branch, Old, New string
	Commit                   deploy.Commit
	Candidates               []Candidate
	Error                    string
}

// Candidate is an application and whether a movement is due for it.
type Candidate struct {
	ApplicationID string
	Due           bool
	Why           deploy.Reason
	InvalidDetail string // the file at the new head cannot be used
	Name          string // facts of the file at the new head, "" when it was not read again
	Labels        map[string]string
	Description   string
	// MovedPath and MovedFile are where the application's file is now, when it is gone from its place.
	MovedPath, MovedFile string
}

// HeadAnswer is what became of a movement.
type HeadAnswer struct {
	MovementID    string
	DeploymentIDs []string
	Head          string // not "": the record had this head instead of Old; look again from there
}

// ReportHead reports a movement of a branch.
func (l *Link) ReportHead(ctx context.Context, session string, h HeadReport) (HeadAnswer, error) {
	m := &penstockv1.ReportHeadRequest{SessionId: session, RepoId: h.RepoID, Branch: h.Branch, Old: h.Old, New: h.New, Commit: wire.Commit(h.Commit), Error: h.Error}
	for _, c := range h.Candidates {
		m.Candidates = append(m.Candidates, &penstockv1.Candidate{
			ApplicationId: c.ApplicationID, Due: c.Due, Why: toJSON(c.Why), InvalidDetail: c.InvalidDetail,
			Name: c.Name, Labels: c.Labels, Description: c.Description, MovedPath: c.MovedPath, MovedFile: c.MovedFile,
		})
	}
	res, err := l.rpc.ReportHead(ctx, connect.NewRequest(m))
	if err != nil {
		return HeadAnswer{}, linkError("report head", err)
	}
	return HeadAnswer{MovementID: res.Msg.MovementId, DeploymentIDs: res.Msg.DeploymentIds, Head: res.Msg.Head}, nil
}

// FilesReport lists the application files of a repository at a commit.
type FilesReport struct {
	RepoID, Branch, Commit string
	Files                  []FoundFile
}

// FoundFile is one application file.
type FoundFile struct {
	Path, ConfigFile string // directory and file name
	Name, Kind       string
	Labels           map[string]string
	Description      string
	Providers        []string // of the agent that can take this kind
	InvalidDetail    string   // why the file cannot be used, if so
}

// ReportFiles reports application files; true means that some registered
// themselves: fetch work again.
func (l *Link) ReportFiles(ctx context.Context, session string, f FilesReport) (bool, error) {
	m := &penstockv1.ReportFilesRequest{SessionId: session, RepoId: f.RepoID, Branch: f.Branch, Commit: f.Commit}
	for _, one := range f.Files {
		m.Files = append(m.Files, &penstockv1.DiscoveredApplication{
			RepoId: f.RepoID, Branch: f.Branch, Path: one.Path, ConfigFile: one.ConfigFile, Name: one.Name, Kind: one.Kind,
			Labels: one.Labels, Description: one.Description, Providers: one.Providers, InvalidDetail: one.InvalidDetail,
		})
	}
	res, err := l.rpc.ReportFiles(ctx, connect.NewRequest(m))
	if err != nil {
		return false, linkError("report files", err)
	}
	return res.Msg.Registered, nil
}

// Report says what became of something that was due. Exactly one of Plan,
// PlanFailed, Step and Breach is set.
type Report struct {
	DeploymentID string
	Epoch        int64
	EventID      string // a repeat gets the first answer
	Plan         *deploy.Plan
	PlanFailed   *deploy.Reason
	Step         *StepReport
	Breach       *BreachReport
}

// StepReport says what became of a step.
type StepReport struct {
	Stage         string
	Attempt, Step int
	Progress      string // DONE, WAITING, FAILED
	Reason        deploy.Reason
	Verified      string // digest of the live state that was read back behind the last write
}

// BreachReport carries what the guard found; Kind is HEALTH or FOREIGN.
type BreachReport struct {
	Kind   string
	Reason deploy.Reason
}

// Report sends a report and returns the deployment behind it.
func (l *Link) Report(ctx context.Context, session string, r Report) (deploy.Deployment, error) {
	m := &penstockv1.ReportRequest{SessionId: session, DeploymentId: r.DeploymentID, Epoch: r.Epoch, EventId: r.EventID}
	switch {
	case r.Plan != nil:
		m.What = &penstockv1.ReportRequest_Planned{Planned: &penstockv1.PlanReport{Plan: toJSON(r.Plan)}}
	case r.PlanFailed != nil:
		m.What = &penstockv1.ReportRequest_PlanFailed{PlanFailed: &penstockv1.PlanFailedReport{Reason: toJSON(r.PlanFailed)}}
	case r.Step != nil:
		s := r.Step
		m.What = &penstockv1.ReportRequest_Step{Step: &penstockv1.StepReport{
			StageId: s.Stage, Attempt: int32(s.Attempt), Step: int32(s.Step), Progress: s.Progress, Reason: toJSON(s.Reason), Verified: s.Verified,
		}}
	case r.Breach != nil:
		m.What = &penstockv1.ReportRequest_Breach{Breach: &penstockv1.BreachReport{Kind: r.Breach.Kind, Reason: toJSON(r.Breach.Reason)}}
	}
	res, err := l.rpc.Report(ctx, connect.NewRequest(m))
	if err != nil {
		return deploy.Deployment{}, linkError("report", err)
	}
	return fromJSON[deploy.Deployment]("deployment "+r.DeploymentID, res.Msg.Deployment)
}

// PutJournal stores journal entries durably.
func (l *Link) PutJournal(ctx context.Context, session, deployment string, epoch int64, entries []deploy.JournalEntry) error {
	m := &penstockv1.PutJournalRequest{SessionId: session, DeploymentId: deployment, Epoch: epoch}
	for _, e := range entries {
		m.Entries = append(m.Entries, &penstockv1.JournalEntry{Key: e.Key, Value: string(e.Value), Stage: e.Stage, Attempt: int32(e.Attempt)})
	}
	_, err := l.rpc.PutJournal(ctx, connect.NewRequest(m))
	return linkError("put journal", err)
}

// LogChunk is a piece of a stage log. Offset counts the bytes that this epoch's
// writer sent before; a repeated offset is ignored.
type LogChunk struct {
	DeploymentID, Stage string
	Attempt             int
	Epoch, Offset       int64
	Data                []byte
}

// AppendLog stores a piece of a stage log; true means that the log is full.
func (l *Link) AppendLog(ctx context.Context, session string, c LogChunk) (bool, error) {
	res, err := l.rpc.AppendLog(ctx, connect.NewRequest(&penstockv1.AppendLogRequest{
		SessionId: session, DeploymentId: c.DeploymentID, StageId: c.Stage, Attempt: int32(c.Attempt), Epoch: c.Epoch, Offset: c.Offset, Data: c.Data,
	}))
	if err != nil {
		return false, linkError("append log", err)
	}
	return res.Msg.Full, nil
}

// PutBlob stores a blob and returns its digest.
func (l *Link) PutBlob(ctx context.Context, session string, data []byte) (string, error) {
	res, err := l.rpc.PutBlob(ctx, connect.NewRequest(&penstockv1.PutBlobRequest{SessionId: session, Data: data}))
	if err != nil {
		return "", linkError("put blob", err)
	}
	return res.Msg.Digest, nil
}

// GetBlob reads a blob.
func (l *Link) GetBlob(ctx context.Context, session, digest string) ([]byte, error) {
	res, err := l.rpc.GetBlob(ctx, connect.NewRequest(&penstockv1.GetBlobRequest{SessionId: session, Digest: digest}))
	if err != nil {
		return nil, linkError("get blob", err)
	}
	return res.Msg.Data, nil
}

// Observation is what was seen of an application.
type Observation struct {
	State deploy.LiveState
	// Comparison is nil when nothing was compared.
	Comparison *Comparison
}

// Comparison is what is live beside what the last good deployment declared.
type Comparison struct {
	Good, Last string        // last good deployment, and newest of any result, when it was compared
	Count      int           // differing fields; 0 is in sync, then the next three are empty
	Digest     string        // of the masked differences
	Summary    string        // of the same, for people
	Blob       string        // that holds them
	Deploys    bool          // trigger.onOutOfSync permits a deployment against it,
	MinWindow  time.Duration // this long behind the last good one
}

// ReportLive stores one observation of an application.
func (l *Link) ReportLive(ctx context.Context, session, application string, o Observation) error {
	req := &penstockv1.ReportLiveRequest{SessionId: session, ApplicationId: application, LiveState: wire.LiveState(o.State)}
	if c := o.Comparison; c != nil {
		req.Comparison = &penstockv1.Comparison{
			GoodDeploymentId: c.Good, LastDeploymentId: c.Last, Count: int32(min(c.Count, math.MaxInt32)), Digest: c.Digest, Summary: c.Summary,
			Blob: c.Blob, Deploys: c.Deploys, MinWindow: durationpb.New(c.MinWindow),
		}
	}
	_, err := l.rpc.ReportLive(ctx, connect.NewRequest(req))
	return linkError("report live state", err)
}

func span(d *durationpb.Duration) time.Duration {
	if d == nil {
		return 0
	}
	return d.AsDuration()
}

// toJSON encodes a value of the centre, none of which can fail; nothing is said for an empty reason.
func toJSON(v any) string {
	if r, ok := v.(deploy.Reason); ok && r.IsZero() {
		return ""
	}
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("client: encode %T: %v", v, err))
	}
	return string(b)
}

func fromJSON[T any](what, text string) (T, error) {
	var v T
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		return v, deploy.Errorf(deploy.CodeInternal, "decode %s: %v", what, err)
	}
	return v, nil
}

// linkCodes translates codes of the wire for answers that carry no detail of
// the product: a proxy's, or a connection that does not come about.
var linkCodes = map[connect.Code]deploy.Code{
	connect.CodeInvalidArgument: deploy.CodeInvalid, connect.CodeNotFound: deploy.CodeNotFound, connect.CodeAlreadyExists: deploy.CodeExists,
	connect.CodePermissionDenied: deploy.CodeDenied, connect.CodeUnauthenticated: deploy.CodeUnauthorized, connect.CodeAborted: deploy.CodeConflict,
	connect.CodeFailedPrecondition: deploy.CodeRefused, connect.CodeResourceExhausted: deploy.CodeExhausted, connect.CodeUnimplemented: deploy.CodeUnsupported,
	connect.CodeUnavailable: deploy.CodeUnavailable, connect.CodeUnknown: deploy.CodeUnavailable, connect.CodeDeadlineExceeded: deploy.CodeUnavailable,
	connect.CodeCanceled: deploy.CodeUnavailable,
}

// linkError brings an error back to the product's own form.
func linkError(op string, err error) error {
	if err == nil {
		return nil
	}
	out := &deploy.Error{Code: deploy.CodeUnavailable, Message: op, Err: err}
	var ce *connect.Error
	if !errors.As(err, &ce) {
		return out
	}
	out.Message, out.Err = op+": "+ce.Message(), ce.Unwrap()
	if code, ok := linkCodes[ce.Code()]; ok {
		out.Code = code
	} else {
		out.Code = deploy.CodeInternal
	}
	for _, d := range ce.Details() {
		v, err := d.Value()
		if m, ok := v.(*penstockv1.ErrorDetail); ok && err == nil {
			out.Code, out.Reason, out.Object, out.Err = deploy.Code(m.Code), m.Reason, "", nil
		}
	}
	switch {
	case ce.Code() == connect.CodeCanceled && !errors.Is(out.Err, context.Canceled):
		out.Err = errors.Join(out.Err, context.Canceled)
	case ce.Code() == connect.CodeDeadlineExceeded && !errors.Is(out.Err, context.DeadlineExceeded):
		out.Err = errors.Join(out.Err, context.DeadlineExceeded)
	}
	if out.Err != nil && out.Err.Error() == ce.Message() {
		out.Message = op // do not say the same twice
	}
	return out
}
