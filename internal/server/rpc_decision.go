package server

import (
	"context"
	"encoding/json"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/penstock-cd/penstock/internal/deploy"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
	"github.com/penstock-cd/penstock/internal/store"
	"github.com/penstock-cd/penstock/internal/wire"
)

// Ask implements DecisionService: a question to the agent of an application,
// and its answer.
func (s *Server) Ask(ctx context.Context, req *connect.Request[penstockv1.AskRequest]) (*connect.Response[penstockv1.AskResponse], error) {
	m, p := req.Msg, who(ctx)
	q, err := readQuestion(m)
	if err != nil {
		return nil, err
	}
	var a deploy.Application
	var joined bool
	err = s.update(ctx, userEntry(ctx, ""), func(b *book) error {
		if a, err = b.findApplication(m.Application); err != nil {
			return err
		}
		one := q
		one.ApplicationID, one.AgentID, one.By, one.AskedAt, one.Deadline = a.ID, a.AgentID, p.actor(), b.now, b.now.Add(limitOf(m))
		if a.LastGood != nil {
			one.Good = a.LastGood.DeploymentID
		}
		if one.Commit, err = b.commitOf(a, m.Commit); err != nil {
			return err
		}
		if one.Commit.Hash == "" {
			one.Refused, one.AnsweredAt = deploy.Why(deploy.ReasonNoCommit, "repository", a.RepoID), b.now
			q, joined = one, false
			return nil
		}
		live, _, err := s.liveState(ctx, p.Project, a.ID)
		if err != nil {
			return err
		}
		if q, joined, err = b.known(one, live.Digest, m.Fresh); err != nil || joined {
			return err
		}
		q, err = b.ask(one)
		return err
	})
	if err != nil {
		return nil, err
	}
	cached := joined && !q.AnsweredAt.IsZero()
	if q.AnsweredAt.IsZero() {
		if q, err = s.answer(ctx, p.Project, q); err != nil {
			return nil, err
		}
	}
	out, err := s.wireAnswer(ctx, a, q)
	if err != nil {
		return nil, err
	}
	out.Cached = cached
	return connect.NewResponse(out), nil
}

func limitOf(m *penstockv1.AskRequest) time.Duration {
	if m.Limit == nil {
		return askDefault
	}
	return m.Limit.AsDuration()
}

// readQuestion checks a request and reads what does not need the record.
func readQuestion(m *penstockv1.AskRequest) (question, error) {
	q := question{Kind: deploy.QuestionKind(m.Kind)}
	switch q.Kind {
	case deploy.QuestionPlan, deploy.QuestionDiff, deploy.QuestionObserve:
	default:
		return q, deploy.Errorf(deploy.CodeInvalid, "kind %q is not PLAN, DIFF or OBSERVE", m.Kind)
	}
	switch s := deploy.Strategy(m.Strategy); {
	case q.Kind != deploy.QuestionPlan && s != "":
		return q, deploy.Errorf(deploy.CodeInvalid, "a strategy belongs to a PLAN")
	case s == deploy.StrategyQuick || s == deploy.StrategyPipeline:
		q.Strategy = s
	case s == "" || s == deploy.StrategyAuto:
		if q.Kind == deploy.QuestionPlan {
			q.Strategy = deploy.StrategyAuto
		}
	default:
		return q, deploy.Errorf(deploy.CodeInvalid, "strategy %q is not AUTO, QUICK_SYNC or PIPELINE", m.Strategy)
	}
	if l := limitOf(m); l < time.Second || l > askLongest {
		return q, deploy.Errorf(deploy.CodeInvalid, "an answer is waited for 1s to %s, not %s", askLongest, l)
	}
	if !isHash(m.Commit) {
		return q, deploy.Errorf(deploy.CodeInvalid, "%q is not the full hash of a commit", m.Commit)
	}
	return q, nil
}

// isHash reports whether a text is a full hash, or empty.
func isHash(text string) bool {
	for _, c := range []byte(text) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return text == "" || len(text) == 40 || len(text) == 64
}

// commitOf is a commit as the record knows it: the newest one when no hash is given.
func (b *book) commitOf(a deploy.Application, hash string) (deploy.Commit, error) {
	if hash == "" || hash == a.Head.Hash {
		return a.Head, nil
	}
	if a.LastGood != nil && a.LastGood.Commit.Hash == hash {
		return a.LastGood.Commit, nil
	}
	recs, err := b.List(store.Deployments, store.Query{Where: map[string][]string{"application_id": {a.ID}}, Desc: true, Limit: 200})
	if err != nil {
		return deploy.Commit{}, err
	}
	for _, r := range recs {
		var d deploy.Deployment
		if err := decodeBody(r, &d); err != nil {
			return deploy.Commit{}, err
		}
		if d.Trigger.Commit.Hash == hash {
			return d.Trigger.Commit, nil
		}
	}
	return deploy.Commit{Hash: hash}, nil // the agent says whether the repository has it
}

// wireDocument renders one side of the difference of an answer, nil when it has none.
func wireDocument(data json.RawMessage) (*penstockv1.Document, error) {
	if len(data) == 0 {
		return nil, nil
	}
	var d document
	if err := json.Unmarshal(data, &d); err != nil {
		return nil, deploy.Errorf(deploy.CodeInvalid, "the answer cannot be read: %v", err)
	}
	return d.wire(), nil
}

// wireAnswer renders a question with its answer.
func (s *Server) wireAnswer(ctx context.Context, a deploy.Application, q question) (*penstockv1.AskResponse, error) {
	out := &penstockv1.AskResponse{
		QuestionId: q.ID, Commit: wire.Commit(q.Commit), Refused: wire.Reason(q.Refused), AskedAt: wire.Time(q.AskedAt),
		AnsweredAt: wire.Time(q.AnsweredAt), Digest: q.Digest, LiveDigest: q.LiveDigest,
	}
	if q.Digest == "" {
		return out, nil
	}
	ans, err := s.readAnswer(ctx, q.Digest)
	if err != nil {
		return nil, err
	}
	out.Text, out.FirstDeploy = ans.Text, ans.FirstDeploy
	if len(ans.Text)+len(ans.Changes) < maxAnswer {
		out.Json = string(ans.Changes)
	}
	if out.Before, err = wireDocument(ans.Before); err != nil {
		return nil, err
	}
	if out.After, err = wireDocument(ans.After); err != nil {
		return nil, err
	}
	if ans.Plan == nil {
		return out, nil
	}
	out.Plan, out.Stages = wire.Plan(*ans.Plan)
	out.Plan.HasChanges = ans.Text != ""
	err = s.view(ctx, a.ProjectID, func(b *book) error {
		now, err := b.application(a.ID)
		if err != nil {
			return err
		}
		why, err := b.blocked(now, *ans.Plan)
		out.Blocked = wire.Reason(why)
		return err
	})
	return out, err
}

// AnswerQuestion implements AgentService. The first answer holds.
func (s *Server) AnswerQuestion(ctx context.Context, req *connect.Request[penstockv1.AnswerQuestionRequest]) (*connect.Response[penstockv1.AnswerQuestionResponse], error) {
	m, p := req.Msg, who(ctx)
	var why deploy.Reason
	var err error
	if m.Digest == "" {
		why, err = neededReason(m.Reason)
	} else {
		_, err = s.readAnswer(ctx, m.Digest)
	}
	if err != nil {
		return nil, err
	}
	var q question
	err = s.update(ctx, linkEntry(ctx, ""), func(b *book) error {
		if _, err := b.session(m.SessionId, p.Owner); err != nil {
			return err
		}
		if q, err = load[question](b, store.Questions, m.QuestionId, "question"); err != nil {
			return err
		}
		if q.AgentID != p.Owner {
			return &deploy.Error{Code: deploy.CodeDenied, Object: m.QuestionId, Message: "the question belongs to another agent"}
		}
		if !q.AnsweredAt.IsZero() {
			return nil
		}
		q.AnsweredAt, q.Digest, q.Refused, q.LiveDigest = b.now, m.Digest, why, clip(m.LiveDigest, 200)
		return b.keepQuestion(q)
	})
	if err != nil {
		return nil, err
	}
	s.hub.publishSide(sideChange{project: p.Project, kind: "question", id: q.ID, typ: "ANSWERED", app: q.ApplicationID})
	return connect.NewResponse(&penstockv1.AnswerQuestionResponse{}), nil
}

// workOfQuestions fills in the questions that a process answers.
func (b *book) workOfQuestions(out *penstockv1.GetWorkResponse, x session, live []session) error {
	open, err := b.questionsOf(x, live)
	if err != nil {
		return err
	}
	for _, q := range open {
		a, err := load[deploy.Application](b, store.Applications, q.ApplicationID, "application")
		if err != nil {
			return err
		}
		a.Ref = a.At(q.Commit)
		text, err := toText(a)
		if err != nil {
			return err
		}
		out.Questions = append(out.Questions, &penstockv1.Question{
			Id: q.ID, Kind: string(q.Kind), ApplicationId: q.ApplicationID, Commit: q.Commit.Hash, Strategy: string(q.Strategy),
			Deadline: wire.Time(q.Deadline), Limit: durationpb.New(q.Deadline.Sub(b.now)), Application: text,
		})
	}
	return nil
}

// ListCommands implements DecisionService.
func (s *Server) ListCommands(ctx context.Context, req *connect.Request[penstockv1.ListCommandsRequest]) (*connect.Response[penstockv1.ListCommandsResponse], error) {
	m := req.Msg
	out := &penstockv1.ListCommandsResponse{}
	err := s.view(ctx, who(ctx).Project, func(b *book) error {
		q := store.Query{Desc: true, Where: map[string][]string{}}
		if m.Mine {
			q.Where["actor"] = []string{who(ctx).actor()}
		}
		if m.ApplicationId != "" {
			a, err := b.findApplication(m.ApplicationId)
			if err != nil {
				return err
			}
			q.Where["application_id"] = []string{a.ID}
		}
		if m.DeploymentId != "" {
			q.Where["deployment_id"] = []string{m.DeploymentId}
		}
		page, err := pageOf[command](b, store.Commands, q, m.Page)
		if err != nil {
			return err
		}
		for _, c := range page.items {
			w, err := b.wireCommand(c)
			if err != nil {
				return err
			}
			out.Commands = append(out.Commands, w)
		}
		out.Page = &penstockv1.PageInfo{NextPageToken: page.next}
		out.Cursor, err = b.cursor()
		return err
	})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(out), nil
}

func toText(v any) (string, error) {
	text, err := json.Marshal(v)
	return string(text), err
}
