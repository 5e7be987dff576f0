package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"github.com/penstock-cd/penstock/internal/change"
	"github.com/penstock-cd/penstock/internal/client"
	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/platform"
)

const (
	// maxAnswer bounds an answer: what is larger nobody reads, and no message carries it.
	maxAnswer = 7 << 20
	// answerMargin is what of a question's time is kept for saying why there is no answer.
	answerMargin = 2 * time.Second
)

// reconcileQuestions begins with the questions that are not at work. The caller holds a.mu.
func (a *Agent) reconcileQuestions(ctx context.Context, work []client.Question, readers *sync.WaitGroup) {
	for _, q := range work {
		if a.asked[q.ID] || q.Limit <= 0 {
			continue
		}
		a.asked[q.ID] = true
		readers.Go(func() {
			a.reply(ctx, q)
			a.mu.Lock()
			defer a.mu.Unlock()
			delete(a.asked, q.ID)
		})
	}
}

// reply answers one question, or says why there is no answer. It reads git and
// the cloud and writes neither.
func (a *Agent) reply(ctx context.Context, q client.Question) {
	ctx, cancel := context.WithTimeout(ctx, q.Limit)
	defer cancel()
	select {
	case a.askSlots <- struct{}{}:
		defer func() { <-a.askSlots }()
	case <-ctx.Done():
		return
	}
	log := a.log.With("question", q.ID, "kind", string(q.Kind), "application", q.Application.Name)
	out := client.QuestionAnswer{QuestionID: q.ID}
	ans, err := a.insist(ctx, q)
	if err == nil {
		out.LiveDigest = ans.LiveDigest
		out.Digest, err = a.putAnswer(ctx, ans)
	}
	if ctx.Err() != nil {
		return // nobody waits any more
	}
	if err != nil {
		out.Reason = a.whyNoPlan(err)
		log.Warn("a question cannot be answered", "reason", out.Reason.String())
	}
	actx, end := context.WithTimeout(ctx, callLimit)
	defer end()
	if err := a.link.AnswerQuestion(actx, a.gate.sessionID(), out); err != nil {
		a.linkFailed("answer question", err)
		log.Warn("an answer could not be told", "error", err)
	}
}

// insist tries again what trying again can cure, as long as there is time.
func (a *Agent) insist(ctx context.Context, q client.Question) (deploy.Answer, error) {
	until := max(q.Limit-answerMargin, q.Limit/2)
	ctx, cancel := context.WithTimeout(ctx, until)
	defer cancel()
	tries := a.retries("question", 500*time.Millisecond, maxBackoff)
	var last error
	for {
		ans, err := a.consider(ctx, q)
		if err == nil {
			return ans, nil
		}
		if last == nil || ctx.Err() == nil {
			last = err // not that time was over, but what was tried until then
		}
		can, after := platform.CanRetry(err)
		if !can || ctx.Err() != nil || a.isStopping() {
			return ans, last
		}
		sleep(ctx, tries.next(after), nil, nil)
	}
}

// consider looks once and makes the answer.
func (a *Agent) consider(ctx context.Context, q client.Question) (ans deploy.Answer, err error) {
	defer func() {
		if r := recover(); r != nil {
			a.log.Error("answering panicked", "question", q.ID, "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
			err = platform.Final(fmt.Errorf("internal error while answering: %v; the agent's log has more", r))
		}
	}()
	w := &draft{a: a, app: q.Application, d: deploy.Deployment{
		App:     q.Application.Ref,
		Trigger: deploy.Trigger{Kind: deploy.OnCommand, Commit: deploy.Commit{Hash: q.Commit}, Branch: q.Application.Branch, Strategy: q.Strategy},
	}}
	if err := w.load(ctx); err != nil {
		return ans, err
	}
	if err := w.look(ctx); err != nil {
		return ans, err
	}
	ans.LiveDigest, ans.FirstDeploy = w.pin.Live.Digest, !w.pin.Live.Exists
	var changes change.Changes
	switch q.Kind {
	case deploy.QuestionPlan:
		var p deploy.Plan
		if p, changes, err = w.choose(); err != nil {
			return ans, platform.Final(err)
		}
		p.Notes = append(p.Notes, w.pin.Live.Unsettled...)
		ans.Plan = &p
	case deploy.QuestionDiff:
		if w.pin.Live.Exists {
			if changes, err = w.p.Compare(platform.State{Live: &w.pin.Live}, platform.State{Desired: &w.pin.Desired}); err != nil {
				return ans, platform.Final(fmt.Errorf("compare live and desired state: %w", err))
			}
		}
	case deploy.QuestionObserve:
		a.observeSoon(q.ApplicationID) // the page reads live states from their reporter
	default:
		return ans, platform.Final(deploy.Errorf(deploy.CodeUnsupported, "this agent does not know questions of kind %s: upgrade it", q.Kind))
	}
	ans.Summary, ans.Text = changes.Summary(), changes.Text()
	if ans.Changes, err = json.Marshal(changes); err != nil {
		return ans, platform.Final(fmt.Errorf("encode changes: %w", err))
	}
	return ans, documents(&ans, changes)
}

// documents puts both sides of the difference into the answer when they fit; without them it is still an answer.
func documents(ans *deploy.Answer, c change.Changes) error {
	if c.Empty() {
		return nil
	}
	from, to := c.Documents()
	before, err := json.Marshal(from)
	if err != nil {
		return platform.Final(fmt.Errorf("encode what is live: %w", err))
	}
	after, err := json.Marshal(to)
	if err != nil {
		return platform.Final(fmt.Errorf("encode what is declared: %w", err))
	}
	if len(before)+len(after)+len(ans.Text)+len(ans.Changes) < maxAnswer*3/4 {
		ans.Before, ans.After = before, after
	}
	return nil
}

// putAnswer stores an answer and returns its digest.
func (a *Agent) putAnswer(ctx context.Context, ans deploy.Answer) (string, error) {
	data, err := json.Marshal(ans)
	if err != nil {
		return "", fmt.Errorf("encode answer: %w", err)
	}
	if len(data) > maxAnswer {
		return "", reasonError{deploy.Why(deploy.ReasonAnswerTooLarge, "size", strconv.Itoa(len(data)), "limit", strconv.Itoa(maxAnswer))}
	}
	digest, err := a.putBlob(ctx, data)
	if errors.Is(err, context.DeadlineExceeded) {
		return "", fmt.Errorf("the control plane did not take the answer in time: %w", err)
	}
	return digest, err
}
