package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/penstock-cd/penstock/internal/client"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
)

// askLimit is how long an answer is waited for, below what one call may take.
const askLimit = 25 * time.Second

// foresight is the part of a verb that shows what would happen before it is asked for.
type foresight struct {
	*verb
	dryRun, yes bool
}

func (f *foresight) flags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "only show what would be done")
	cmd.Flags().BoolVarP(&f.yes, "yes", "y", false, "do not ask on a terminal")
}

// onTerminal reports whether a person can be asked.
func (f *foresight) onTerminal() bool { return f.s.Width > 0 && f.s.Password != nil && f.forPeople() }

// decide shows what a deployment would do and says whether to go on: on a
// terminal a person is asked, a script has decided already.
func (f *foresight) decide(ctx context.Context, c *client.Client, m *penstockv1.AskRequest) (bool, error) {
	if !f.dryRun && (f.yes || !f.onTerminal()) {
		return true, nil
	}
	m.Kind, m.Limit = "PLAN", durationpb.New(askLimit)
	res, err := c.Decisions.Ask(ctx, connect.NewRequest(m))
	if err != nil {
		return false, err
	}
	if f.dryRun {
		return false, f.answer(res.Msg)
	}
	if r := res.Msg.Refused; r != nil {
		fmt.Fprintf(f.s.Err, "what would change cannot be shown: %s\n", plain(r.Text))
	} else if err := f.answer(res.Msg); err != nil {
		return false, err
	}
	fmt.Fprint(f.s.Err, "go on? [y/N] ")
	line, err := bufio.NewReader(f.s.In).ReadString('\n')
	if word := strings.ToLower(strings.TrimSpace(line)); word != "y" && word != "yes" {
		return false, errors.Join(err, &statusError{code: exitRefused, err: errors.New("nothing was asked for")})
	}
	return true, nil
}

// decideLike is decide for the commit of a deployment.
func (f *foresight) decideLike(ctx context.Context, c *client.Client, id string) (bool, error) {
	if !f.dryRun && (f.yes || !f.onTerminal()) {
		return true, nil
	}
	res, err := getDeployment(ctx, c, id)
	if err != nil {
		return false, err
	}
	d := res.Deployment
	return f.decide(ctx, c, &penstockv1.AskRequest{Application: d.ApplicationId, Commit: d.Trigger.GetCommit().GetHash()})
}

// answer prints an answer; one that could not be given is an error with its reason.
func (v *verb) answer(a *penstockv1.AskResponse) error {
	if a.Refused != nil {
		return &statusError{code: exitRefused, err: fmt.Errorf("what would change cannot be shown: %s", plain(a.Refused.Text))}
	}
	return v.object(a, a.Digest, func() { v.showAnswer(a) })
}

func (v *verb) showAnswer(a *penstockv1.AskResponse) {
	strategy := a.Plan.GetStrategy()
	if t := a.Plan.GetWhy().GetText(); t != "" {
		strategy += " (" + t + ")"
	}
	v.s.facts("Commit", commitText(a.Commit), "Strategy", strategy, "Blocked", a.Blocked.GetText(), "Notes", notes(a.Plan))
	for _, st := range a.Stages {
		if !st.Rollback {
			fmt.Fprintf(v.s.Out, "  %s\n", strings.TrimSpace(plain(st.Name)+"  "+plain(whatText(st))))
		}
	}
	switch {
	case a.FirstDeploy:
		fmt.Fprintln(v.s.Out, "nothing is live yet: everything is new")
	case a.Text == "":
		fmt.Fprintln(v.s.Out, "nothing differs from what is live")
	default:
		v.s.diffText(a.Text)
	}
}

func newAppDiffCommand(s streams) *cobra.Command {
	v := &verb{s: s}
	m := &penstockv1.AskRequest{Kind: "DIFF", Limit: durationpb.New(askLimit)}
	cmd := v.leaf("diff APP", "Show what is live against what a commit declares; nothing is written", exactly(1), func(ctx context.Context, c *client.Client, args []string) error {
		m.Application = args[0]
		res, err := c.Decisions.Ask(ctx, connect.NewRequest(m))
		if err != nil {
			return err
		}
		return v.answer(res.Msg)
	})
	cmd.Flags().StringVar(&m.Commit, "commit", "", "full hash of the commit (default: the newest one of the branch)")
	cmd.Flags().BoolVar(&m.Fresh, "fresh", false, "ask the agent even when an answer is known")
	return cmd
}

func newRollBackToCommand(s streams) *cobra.Command {
	v, note := &verb{s: s}, ""
	w, f := &waiting{verb: v}, &foresight{verb: v}
	cmd := v.leaf("rollback-to ID", "Deploy the commit of an earlier, good deployment again; --note says why", exactly(1), func(ctx context.Context, c *client.Client, args []string) error {
		if strings.TrimSpace(note) == "" && !f.dryRun {
			return usagef("rolling back needs --note: why?")
		}
		if goOn, err := f.decideLike(ctx, c, args[0]); err != nil || !goOn {
			return err
		}
		res, err := c.Deployments.RollBackTo(ctx, connect.NewRequest(&penstockv1.RollBackToRequest{DeploymentId: args[0], Note: note}))
		if err != nil {
			return err
		}
		return w.started(ctx, c, res.Msg, res.Msg.DeploymentId)
	})
	cmd.Flags().StringVar(&note, "note", "", "why, for the record (required)")
	f.flags(cmd)
	w.flags(cmd)
	return cmd
}

func newCommandsCommand(s streams) *cobra.Command {
	v, limit := &verb{s: s}, 0
	q := &penstockv1.ListCommandsRequest{}
	cmd := v.leaf("commands", "List what was asked for and what became of it, newest first", exactly(0), func(ctx context.Context, c *client.Client, _ []string) error {
		found, err := client.All(limit, func(token string, size int32) ([]*penstockv1.Command, string, error) {
			q.Page = &penstockv1.PageRequest{PageSize: size, PageToken: token}
			res, err := c.Decisions.ListCommands(ctx, connect.NewRequest(q))
			if err != nil {
				return nil, "", err
			}
			return res.Msg.Commands, res.Msg.Page.GetNextPageToken(), nil
		})
		if err != nil {
			return err
		}
		return list(v, "commands", found, (*penstockv1.Command).GetId, func() {
			rows := make([][]string, len(found))
			for i, x := range found {
				rows[i] = []string{s.ago(x.At), x.Kind, x.ApplicationName, x.State, x.Actor, x.DeploymentId, x.Reason.GetText(), x.Note}
			}
			s.table([]string{"AGE", "KIND", "APPLICATION", "STATE", "BY", "DEPLOYMENT", "REASON", "NOTE"}, rows)
		})
	})
	cmd.Flags().BoolVar(&q.Mine, "mine", false, "only those of the caller")
	cmd.Flags().StringVar(&q.ApplicationId, "app", "", "only of this application, by name or id")
	cmd.Flags().IntVar(&limit, "limit", 30, "at most so many (0: all)")
	return cmd
}
