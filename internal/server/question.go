package server

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/store"
)

// Bounds of questions. They are asked by people before a decision: a few at a
// time, and an answer that nobody waits for is worth nothing.
const (
	askDefault = 30 * time.Second
	askLongest = 60 * time.Second
	// answerLife is how long an answer may be given again, as long as the live
	// state is the one that it was made from.
	answerLife = 5 * time.Minute
	// questionLife is how long a question is kept behind its end.
	questionLife = time.Hour
	// openOfApp, openOfCaller and openOfProject bound the questions that are open.
	openOfApp     = 5
	openOfCaller  = 10
	openOfProject = 200
	// maxAnswer is the largest answer that fits a message with its JSON form.
	maxAnswer = 8 << 20
)

// question is something that an agent is asked. It travels like an assignment:
// GetWork derives who answers, so the death of one process asks the next.
type question struct {
	ID            string              `json:"id"`
	Kind          deploy.QuestionKind `json:"kind"`
	ApplicationID string              `json:"applicationId"`
	AgentID       string              `json:"agentId"`
	Commit        deploy.Commit       `json:"commit"`
	Strategy      deploy.Strategy     `json:"strategy,omitempty"`
	Good          string              `json:"good,omitempty"` // the last good deployment when it was asked
	By            string              `json:"by"`
	AskedAt       time.Time           `json:"askedAt"`
	Deadline      time.Time           `json:"deadline"`
	AnsweredAt    time.Time           `json:"answeredAt,omitzero"`
	Digest        string              `json:"digest,omitempty"` // of the blob with the answer
	LiveDigest    string              `json:"liveDigest,omitempty"`
	Refused       deploy.Reason       `json:"refused,omitzero"`
}

// open reports whether an answer is still waited for.
func (q question) open(now time.Time) bool { return q.AnsweredAt.IsZero() && q.Deadline.After(now) }

// same reports whether two questions have the same answer.
func (q question) same(o question) bool {
	return q.Kind == o.Kind && q.ApplicationID == o.ApplicationID && q.Commit.Hash == o.Commit.Hash && q.Strategy == o.Strategy && q.Good == o.Good
}

func (b *book) keepQuestion(q question) error {
	index := map[string]string{"application_id": q.ApplicationID, "at": store.Instant(q.AskedAt)}
	if q.AnsweredAt.IsZero() {
		index["open"] = q.AgentID
	}
	return keep(b, store.Questions, q.ID, q, index)
}

// known looks for an answer that is still true, or for the same question that
// somebody asked a moment ago. live is the digest of the newest observation.
func (b *book) known(q question, live string, fresh bool) (question, bool, error) {
	query := store.Query{Where: map[string][]string{"application_id": {q.ApplicationID}}, Desc: true, Limit: 50}
	recs, err := b.List(store.Questions, query)
	if err != nil {
		return q, false, err
	}
	for _, r := range recs {
		var old question
		if err := decodeBody(r, &old); err != nil {
			return q, false, err
		}
		if !old.same(q) {
			continue
		}
		if old.open(b.now) && old.Deadline.Sub(b.now) >= q.Deadline.Sub(b.now)/2 {
			return old, true, nil
		}
		young := old.AnsweredAt.After(b.now.Add(-answerLife))
		if young && !fresh && q.Kind != deploy.QuestionObserve && old.Digest != "" && live != "" && old.LiveDigest == live {
			return old, true, nil
		}
	}
	return q, false, nil
}

// ask keeps a new question and wakes who may answer, or says why it is not asked.
func (b *book) ask(q question) (question, error) {
	refuse := func(why deploy.Reason) (question, error) {
		q.Refused, q.AnsweredAt = why, b.now
		return q, nil
	}
	live, err := b.liveSessions(q.AgentID)
	if err != nil {
		return q, err
	}
	if len(live) == 0 {
		return refuse(deploy.Why(deploy.ReasonNoAgent))
	}
	agents, err := b.List(store.Questions, store.Query{OrderBy: "open", NotAfter: map[string]string{"open": anyName}, Limit: openOfProject + 1})
	if err != nil {
		return q, err
	}
	ofApp, ofCaller := 0, 0
	for _, r := range agents {
		var old question
		if err := decodeBody(r, &old); err != nil {
			return q, err
		}
		switch {
		case !old.open(b.now): // nobody answered in time: it is no longer open
			if err := b.Delete(store.Questions, r.Key); err != nil {
				return q, err
			}
			continue
		case old.ApplicationID == q.ApplicationID:
			ofApp++
		}
		if old.By == q.By {
			ofCaller++
		}
	}
	switch {
	case len(agents) > openOfProject:
		return refuse(deploy.Why(deploy.ReasonTooManyQuestions, "limit", strconv.Itoa(openOfProject)))
	case ofApp >= openOfApp:
		return refuse(deploy.Why(deploy.ReasonTooManyQuestions, "limit", strconv.Itoa(openOfApp)))
	case ofCaller >= openOfCaller:
		return refuse(deploy.Why(deploy.ReasonTooManyQuestions, "limit", strconv.Itoa(openOfCaller)))
	}
	q.ID = b.s.opt.NewID()
	if err := b.keepQuestion(q); err != nil {
		return q, err
	}
	b.wake[responsible("question/"+q.ID, live)] = true
	return q, nil
}

// questionsOf lists the open questions that a process answers.
func (b *book) questionsOf(x session, live []session) ([]question, error) {
	all, err := allOf[question](b, store.Questions, store.Query{Where: map[string][]string{"open": {x.AgentID}}})
	var out []question
	for _, q := range all {
		if q.open(b.now) && responsible("question/"+q.ID, live) == x.ID {
			out = append(out, q)
		}
	}
	return out, err
}

// answer waits until a question has its answer, or cannot have one any more.
func (s *Server) answer(ctx context.Context, project string, q question) (question, error) {
	w := s.hub.watch(project)
	defer s.hub.unwatch(w)
	for {
		alive := false
		err := s.view(ctx, project, func(b *book) error {
			var err error
			if q, err = load[question](b, store.Questions, q.ID, "question"); err != nil {
				return err
			}
			live, err := b.liveSessions(q.AgentID)
			alive = len(live) > 0
			return err
		})
		if err != nil || !q.AnsweredAt.IsZero() {
			return q, err
		}
		left := q.Deadline.Sub(s.now())
		switch {
		case left <= 0:
			q.Refused = deploy.Why(deploy.ReasonNoAnswer, "limit", q.Deadline.Sub(q.AskedAt).String())
			return q, nil
		case !alive:
			q.Refused = deploy.Why(deploy.ReasonNoAgent)
			return q, nil
		}
		if err := s.waitAtMost(ctx, w, left); err != nil {
			return q, err
		}
		if ctx.Err() != nil {
			return q, ctx.Err()
		}
	}
}

// readAnswer reads the blob of an answer.
func (s *Server) readAnswer(ctx context.Context, digest string) (deploy.Answer, error) {
	var a deploy.Answer
	data, err := s.opt.Blobs.Get(ctx, digest)
	if err != nil {
		return a, err
	}
	if len(data) > maxAnswer {
		return a, deploy.Errorf(deploy.CodeTooLarge, "an answer may have %d bytes", maxAnswer)
	}
	if err := json.Unmarshal(data, &a); err != nil {
		return a, deploy.Errorf(deploy.CodeInvalid, "the answer cannot be read: %v", err)
	}
	return a, nil
}

// blocked says why a deployment by this plan would stop before its first stage.
// What the application's own deployment holds is free when its turn comes.
func (b *book) blocked(a deploy.Application, p deploy.Plan) (deploy.Reason, error) {
	if a.Account != "" && p.Account != a.Account {
		return deploy.Why(deploy.ReasonAccountChanged, "recorded", a.Account, "found", p.Account), nil
	}
	if a.Disabled {
		return deploy.Why(deploy.ReasonDisabled), nil
	}
	for _, c := range p.Claims {
		key := c.Kind + "/" + c.Key
		rec, ok, err := b.Get(store.Claims, key)
		if err != nil {
			return deploy.Reason{}, err
		}
		if holder := rec.Index["deployment_id"]; ok && holder != a.Current {
			return deploy.Why(deploy.ReasonClaimed, "claim", key, "holder", holder), nil
		}
	}
	return deploy.Reason{}, nil
}
