package agent

import (
	"context"
	"time"

	"github.com/penstock-cd/penstock/internal/client"
	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/engine"
)

// Reason codes that the agent gives beside those of the centre.
const (
	ReasonRetrying      = "RETRYING"       // args: stage, step, detail: the step could not be done and is tried again
	ReasonFileWarning   = "FILE_WARNING"   // args: detail: a remark about the files, among a plan's notes
	ReasonEarlierHolder = "EARLIER_HOLDER" // args: seconds: an earlier holder may still be at work
)

// maxDetail bounds what of an error is put into a reason, in bytes.
const maxDetail = 4000

// refusedPause is how long a worker rests when a report was refused and no
// newer state has come.
const refusedPause = 5 * time.Second

// leastPause is how long a worker rests at least before it sends a report again,
// whatever wakes it: an agent must not hammer a control plane that is in trouble.
const leastPause = 100 * time.Millisecond

// report tells the control plane what became of something and takes the
// deployment behind it. It tries again until it was taken, was refused, or the
// context ends; the guard goes on between tries. The error is one that says
// that the report itself is wrong.
func (w *worker) report(ctx context.Context, r client.Report) error {
	r.DeploymentID, r.Epoch, r.EventID = w.id, w.epoch, w.a.opt.NewID(w.id)
	tries := w.a.retries("report", 200*time.Millisecond, maxBackoff)
	for {
		d, err := w.send(ctx, r)
		if err == nil {
			w.offer(d)
			return nil
		}
		if ctx.Err() != nil {
			return nil
		}
		w.a.linkFailed("report", err)
		switch deploy.CodeOf(err) {
		case deploy.CodeInvalid, deploy.CodeTooLarge, deploy.CodeDenied, deploy.CodeUnsupported:
			w.log.Error("the control plane cannot take a report", "error", err)
			w.pause(ctx, time.Now().Add(refusedPause), nil)
			return err
		case deploy.CodeRefused, deploy.CodeNotFound, deploy.CodeExists:
			w.refused(ctx, err)
			return nil
		}
		w.log.Warn("a report could not be sent, trying again", "error", err)
		if w.a.isStopping() {
			w.stop(errDrained) // whoever carries on asks for the step again
			return nil
		}
		again, wait := w.a.gate.wait(), time.Now().Add(tries.next(leastPause))
		w.pause(ctx, time.Now().Add(leastPause), nil)
		w.pause(ctx, wait, again) // a renewal says that the control plane answers again
	}
}

func (w *worker) send(ctx context.Context, r client.Report) (deploy.Deployment, error) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	return w.a.link.Report(ctx, w.a.gate.sessionID(), r)
}

// refused: the record has gone on without us. The newer state is fetched.
func (w *worker) refused(ctx context.Context, err error) {
	w.log.Info("a report was refused: fetching the newer state", "reason", deploy.RefusalOf(err), "error", err)
	kick(w.a.workKick)
	if deploy.RefusalOf(err) == deploy.RefusedStaleEpoch {
		w.stop(errNotOurs)
		return
	}
	w.pause(ctx, time.Now().Add(refusedPause), nil)
}

// tell says what a step waits for, once for each reason. It is not an event; when it is lost nothing is.
func (w *worker) tell(ctx context.Context, t engine.Task, stage string, why deploy.Reason, told *string) {
	if why.IsZero() || why.String() == *told {
		return
	}
	d, err := w.send(ctx, client.Report{
		DeploymentID: w.id, Epoch: w.epoch, EventID: w.a.opt.NewID(w.id),
		Step: &client.StepReport{Stage: stage, Attempt: t.Attempt, Step: t.Step, Progress: "WAITING", Reason: why},
	})
	if err != nil {
		w.a.linkFailed("report waiting", err)
		return
	}
	*told = why.String()
	w.offer(d)
}
