package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	"github.com/penstock-cd/penstock/internal/client"
	"github.com/penstock-cd/penstock/internal/deploy"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
)

// decision is one thing that a person says to a stage that waits.
type decision struct {
	word, short, done string
	types             []deploy.StageType // the stages it can be said to
	send              func(ctx context.Context, c *client.Client, id, stage, note string) (*penstockv1.Deployment, error)
}

func decisions() []decision {
	return []decision{
		{
			"approve", "Give your approval to a stage that waits for it", "approved",
			[]deploy.StageType{deploy.StageApproval},
			func(ctx context.Context, c *client.Client, id, stage, note string) (*penstockv1.Deployment, error) {
				res, err := c.Deployments.ApproveStage(ctx, connect.NewRequest(&penstockv1.ApproveStageRequest{DeploymentId: id, StageId: stage, Note: note}))
				if err != nil {
					return nil, err
				}
				return res.Msg.Deployment, nil
			},
		},
		{
			"reject", "Refuse an approval: the deployment goes back", "rejected",
			[]deploy.StageType{deploy.StageApproval},
			func(ctx context.Context, c *client.Client, id, stage, note string) (*penstockv1.Deployment, error) {
				res, err := c.Deployments.RejectStage(ctx, connect.NewRequest(&penstockv1.RejectStageRequest{DeploymentId: id, StageId: stage, Note: note}))
				if err != nil {
					return nil, err
				}
				return res.Msg.Deployment, nil
			},
		},
		{
			"skip", "End a wait or an approval as skipped: the pipeline goes on", "skipped",
			[]deploy.StageType{deploy.StageApproval, deploy.StageWait},
			func(ctx context.Context, c *client.Client, id, stage, note string) (*penstockv1.Deployment, error) {
				res, err := c.Deployments.SkipStage(ctx, connect.NewRequest(&penstockv1.SkipStageRequest{DeploymentId: id, StageId: stage, Note: note}))
				if err != nil {
					return nil, err
				}
				return res.Msg.Deployment, nil
			},
		},
	}
}

func newDecisionCommand(s streams, what decision) *cobra.Command {
	v, note := &verb{s: s}, ""
	w := &waiting{verb: v}
	cmd := v.onDeployment(what.word+" ID [STAGE]", what.short, 1, func(ctx context.Context, c *client.Client, id string, rest []string) error {
		res, err := getDeployment(ctx, c, id)
		if err != nil {
			return err
		}
		st, err := what.stage(res.Deployment, rest)
		if err != nil {
			return err
		}
		d, err := what.send(ctx, c, id, st.Id, note)
		if err != nil {
			return err
		}
		return w.went(ctx, c, d, func() {
			line := fmt.Sprintf("%s of %s %s", plain(st.Name), plain(d.ApplicationName), what.done)
			if after := stageByID(d, st.Id); after != nil && after.Status == string(deploy.StageRunning) && len(after.Given) < int(after.Approvals) {
				line += fmt.Sprintf(": %d of %d approvals, %d more needed", len(after.Given), after.Approvals, int(after.Approvals)-len(after.Given))
			}
			fmt.Fprintln(s.Out, line)
		})
	})
	cmd.Long = what.short + ".\nSTAGE is the stage's id or name; it may be left out when only one stage waits."
	cmd.Flags().StringVar(&note, "note", "", "why, for the record")
	w.flags(cmd)
	return cmd
}

func stageByID(d *penstockv1.Deployment, id string) *penstockv1.Stage {
	for _, st := range d.Stages {
		if st.Id == id {
			return st
		}
	}
	return nil
}

// stage finds the stage that is meant: the one that is named, or the only one
// that waits for such a decision.
func (x decision) stage(d *penstockv1.Deployment, rest []string) (*penstockv1.Stage, error) {
	var wait []*penstockv1.Stage
	for _, st := range d.Stages {
		if st.Status == string(deploy.StageRunning) && slices.Contains(x.types, deploy.StageType(st.Type)) {
			wait = append(wait, st)
		}
	}
	if len(rest) == 1 {
		return namedStage(d, rest[0], wait)
	}
	switch len(wait) {
	case 1:
		return wait[0], nil
	case 0:
		state := d.Display
		if st := running(d); st != nil {
			state += ", in " + st.Name
		}
		return nil, &statusError{
			code: exitRefused, next: "look at it with: penstock deployment get " + d.Id,
			err: deploy.Refuse(deploy.RefusedState, d.Id, "no stage can be %s now (the deployment is %s)", x.done, state),
		}
	}
	return nil, usagef("%d stages wait; name one of: %s", len(wait), strings.Join(stageIDs(wait), ", "))
}

// namedStage finds a stage by id, or by its name: one that waits, else one that does not.
func namedStage(d *penstockv1.Deployment, name string, wait []*penstockv1.Stage) (*penstockv1.Stage, error) {
	if st := stageByID(d, name); st != nil {
		return st, nil
	}
	for _, among := range [][]*penstockv1.Stage{wait, d.Stages} {
		var fit []*penstockv1.Stage
		for _, st := range among {
			if strings.EqualFold(st.Name, name) {
				fit = append(fit, st)
			}
		}
		switch len(fit) {
		case 0:
		case 1:
			return fit[0], nil
		default:
			return nil, usagef("%d stages are called %s; use one of the ids: %s", len(fit), name, strings.Join(stageIDs(fit), ", "))
		}
	}
	err := &deploy.Error{Code: deploy.CodeNotFound, Object: d.Id, Message: fmt.Sprintf("the deployment has no stage %q", name)}
	return nil, &statusError{code: exitNotFound, err: err, next: "its stages are: " + strings.Join(stageIDs(d.Stages), ", ")}
}

func stageIDs(stages []*penstockv1.Stage) []string {
	out := make([]string, len(stages))
	for i, st := range stages {
		out[i] = st.Id + " (" + st.Name + ")"
	}
	return out
}

func newCancelCommand(s streams) *cobra.Command {
	v, note, rollback := &verb{s: s}, "", ""
	w := &waiting{verb: v}
	cmd := v.onDeployment("cancel ID", "Stop a deployment, and go back as its file says", 0, func(ctx context.Context, c *client.Client, id string, _ []string) error {
		choice, err := oneOf("rollback", rollback, map[string]string{"auto": "AUTO", "force": "FORCE", "never": "NEVER"})
		if err != nil {
			return err
		}
		res, err := c.Deployments.CancelDeployment(ctx, connect.NewRequest(&penstockv1.CancelDeploymentRequest{DeploymentId: id, Choice: choice, Note: note}))
		if err != nil {
			return err
		}
		d := res.Msg.Deployment
		return w.went(ctx, c, d, func() {
			fmt.Fprintf(s.Out, "cancel of %s asked for: %s\n", plain(d.ApplicationName), s.paint(d.Display))
		})
	})
	cmd.Flags().StringVar(&rollback, "rollback", "auto", "auto (as the file says), force or never")
	cmd.Flags().StringVar(&note, "note", "", "why, for the record")
	w.flags(cmd)
	return cmd
}

func newRetryCommand(s streams) *cobra.Command {
	v, note := &verb{s: s}, ""
	w := &waiting{verb: v}
	f := &foresight{verb: v}
	cmd := v.onDeployment("retry ID", "Start a new deployment of the same commit", 0, func(ctx context.Context, c *client.Client, id string, _ []string) error {
		if goOn, err := f.decideLike(ctx, c, id); err != nil || !goOn {
			return err
		}
		res, err := c.Deployments.RetryDeployment(ctx, connect.NewRequest(&penstockv1.RetryDeploymentRequest{DeploymentId: id, Note: note}))
		if err != nil {
			return err
		}
		return w.started(ctx, c, res.Msg, res.Msg.DeploymentId)
	})
	cmd.Flags().StringVar(&note, "note", "", "why, for the record")
	f.flags(cmd)
	w.flags(cmd)
	return cmd
}
