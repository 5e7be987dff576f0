package ecs

import (
	"context"
	"errors"
	"fmt"

	"github.com/penstock-cd/penstock/internal/platform"
)

// taskRecord is the standalone task of a deployment.
type taskRecord struct {
	ARN   string `json:"arn"`
	Token string `json:"token"` // it is also what the task was started by
}

// runTask starts exactly one task of exactly the registered revision.
func (j *job) runTask(ctx context.Context) (platform.Outcome, error) {
	rec, known, err := platform.Recall[revisionRecord](j.j, keyRevision)
	if err != nil {
		return platform.Outcome{}, err
	}
	if !known {
		return platform.Outcome{}, platform.Final(fmt.Errorf("run the task: no revision is noted in the journal"))
	}
	token := j.token("task")
	old, err := j.find(ctx, token)
	if err != nil {
		return platform.Outcome{}, err
	}
	if old == nil {
		if err := j.led.Intend(ctx, objTask, token, rec.ARN); err != nil {
			return platform.Outcome{}, err
		}
		arn, err := j.c.RunTask(ctx, newTask{Cluster: j.d.Cluster, Revision: rec.ARN, Token: token, StartedBy: token, How: *j.d.Standalone, Tags: j.tags("", token)})
		var api *apiError
		if errors.As(err, &api) && api.code == codeNotStarted {
			return fail(ReasonTaskNotStarted, "reason", api.Error())
		}
		if err != nil {
			return platform.Outcome{}, err
		}
		old = &task{ARN: arn}
		j.logf("started task %s of %s", tail(arn), tail(rec.ARN))
	}
	if err := j.led.Created(ctx, objTask, token, old.ARN); err != nil {
		return platform.Outcome{}, err
	}
	return done(platform.Remember(ctx, j.j, keyTask, taskRecord{ARN: old.ARN, Token: token}))
}

// find looks for a task by what started it.
func (j *job) find(ctx context.Context, startedBy string) (*task, error) {
	for _, stopped := range []bool{false, true} {
		ts, err := j.c.Tasks(ctx, j.d.Cluster, startedBy, stopped)
		if err != nil {
			return nil, err
		}
		if len(ts) > 0 {
			return &ts[0], nil
		}
	}
	return nil, nil
}

// awaitTask waits for the end of the task and reads its exit code.
func (j *job) awaitTask(ctx context.Context) (platform.Outcome, error) {
	rec, _, err := platform.Recall[taskRecord](j.j, keyTask)
	if err != nil {
		return platform.Outcome{}, err
	}
	t, err := j.find(ctx, rec.Token)
	if err != nil {
		return platform.Outcome{}, err
	}
	if t == nil {
		return ask(ReasonTaskRunning, "task", tail(rec.ARN), "status", "not visible yet")
	}
	if t.Status != "STOPPED" {
		return ask(ReasonTaskRunning, "task", tail(t.ARN), "status", t.Status)
	}
	if t.ExitCode == nil || *t.ExitCode != 0 {
		return fail(ReasonTaskFailed, "task", tail(t.ARN), "reason", stopText(*t), "container", t.Container, "exitCode", exitText(*t))
	}
	j.logf("task %s ended with exit code 0", tail(t.ARN))
	return platform.DoneNow()
}

// backStopTask is the way back of a standalone task: what still runs is stopped, the revision is withdrawn.
func (j *job) backStopTask(ctx context.Context) (platform.Outcome, error) {
	open, err := j.led.Open()
	if err != nil {
		return platform.Outcome{}, err
	}
	for _, o := range open {
		if o.Type != objTask {
			continue
		}
		t, err := j.find(ctx, o.Token)
		if err != nil {
			return platform.Outcome{}, err
		}
		if t != nil && t.Status != "STOPPED" {
			if t.Desired != "STOPPED" {
				if err := j.c.StopTask(ctx, j.d.Cluster, t.ARN, "the deployment was rolled back"); err != nil {
					return platform.Outcome{}, err
				}
			}
			return ask(ReasonTaskRunning, "task", tail(t.ARN), "status", t.Status)
		}
		if err := j.led.Removed(ctx, o.Type, o.Token); err != nil {
			return platform.Outcome{}, err
		}
	}
	return done(j.withdraw(ctx))
}
