package main

import (
	"context"
	"fmt"
	"strings"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/penstock-cd/penstock/internal/client"
	"github.com/penstock-cd/penstock/internal/deploy"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
)

func newDeploymentCommand(s streams) *cobra.Command {
	cmd := newGroup("deployment", "List, watch and decide about deployments", "deploy", "deployments")
	cmd.AddCommand(newDeploymentListCommand(s), newDeploymentGetCommand(s), newCancelCommand(s), newRetryCommand(s), newRollBackToCommand(s), newCommandsCommand(s))
	for _, d := range decisions() {
		cmd.AddCommand(newDecisionCommand(s, d))
	}
	cmd.AddCommand(newLogsCommand(s), newEventsCommand(s), newWaitCommand(s), newFollowCommand(s), newChangesCommand(s), newCompareCommand(s))
	return cmd
}

// target is a deployment that a person names: by id, or as the running or last
// one of an application.
type target struct{ app string }

func (t *target) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&t.app, "app", "", "the running deployment of this application, or its last one, instead of an id")
}

// of returns the deployment's id and the arguments behind it.
func (t *target) of(ctx context.Context, c *client.Client, args []string) (string, []string, error) {
	if t.app == "" {
		if len(args) == 0 {
			return "", nil, usagef("which deployment? give its id, or --app APP; list them with: penstock deployment list")
		}
		return args[0], args[1:], nil
	}
	a, err := findApp(ctx, c, t.app)
	if err != nil {
		return "", nil, err
	}
	id := a.CurrentDeploymentId
	if id == "" {
		id = a.LastDeploymentId
	}
	if id == "" {
		return "", nil, &deploy.Error{Code: deploy.CodeNotFound, Object: t.app, Message: "the application was never deployed"}
	}
	return id, args, nil
}

// onDeployment makes a command about one deployment; rest is how many
// arguments may stand behind its id.
func (v *verb) onDeployment(use, short string, rest int, do func(ctx context.Context, c *client.Client, id string, rest []string) error) *cobra.Command {
	t := &target{}
	cmd := v.leaf(use, short, between(0, rest+1), func(ctx context.Context, c *client.Client, args []string) error {
		id, behind, err := t.of(ctx, c, args)
		if err != nil {
			return err
		}
		if len(behind) > rest {
			return usagef("give the deployment's id or --app, not both")
		}
		return do(ctx, c, id, behind)
	})
	t.flags(cmd)
	return cmd
}

func getDeployment(ctx context.Context, c *client.Client, id string) (*penstockv1.GetDeploymentResponse, error) {
	res, err := c.Deployments.GetDeployment(ctx, connect.NewRequest(&penstockv1.GetDeploymentRequest{DeploymentId: id}))
	if err != nil {
		return nil, err
	}
	return res.Msg, nil
}

func newDeploymentListCommand(s streams) *cobra.Command {
	v, labels, limit := &verb{s: s}, selector{}, 0
	q := &penstockv1.ListDeploymentsRequest{}
	cmd := v.leaf("list", "List deployments, newest first", exactly(0), func(ctx context.Context, c *client.Client, _ []string) error {
		q.Labels = labels
		for i, st := range q.Statuses {
			q.Statuses[i] = strings.ToUpper(st)
		}
		found, err := client.All(limit, func(token string, size int32) ([]*penstockv1.Deployment, string, error) {
			q.Page = &penstockv1.PageRequest{PageSize: size, PageToken: token}
			res, err := c.Deployments.ListDeployments(ctx, connect.NewRequest(q))
			if err != nil {
				return nil, "", err
			}
			return res.Msg.Deployments, res.Msg.Page.GetNextPageToken(), nil
		})
		if err != nil {
			return err
		}
		return list(v, "deployments", found, (*penstockv1.Deployment).GetId, func() { v.deploymentTable(found) })
	})
	cmd.Aliases = []string{"ls"}
	f := cmd.Flags()
	f.StringVar(&q.ApplicationId, "app", "", "only of this application, by name or id")
	f.StringSliceVar(&q.Statuses, "status", nil, "only in these states (RUNNING, SUCCESS, ROLLED_BACK, …)")
	f.StringSliceVar(&q.Kinds, "kind", nil, "only of these kinds (ECSApp)")
	f.StringVarP(&q.Query, "query", "q", "", "only with this in the application's name")
	f.VarP(labels, "labels", "l", "only with these labels")
	f.BoolVar(&q.Mine, "mine", false, "only those you committed, started, or are awaited to approve")
	f.StringSliceVar(&q.Triggers, "trigger", nil, "only of these causes (ON_COMMIT, ON_COMMAND, …)")
	f.StringSliceVar(&q.Providers, "provider", nil, "only on these platform providers")
	f.StringVar(&q.Sort, "sort", "", "newest or oldest first")
	f.IntVar(&limit, "limit", 30, "at most so many (0: all)")
	return cmd
}

func (v *verb) deploymentTable(ds []*penstockv1.Deployment) {
	if len(ds) == 0 {
		fmt.Fprintln(v.s.Err, "no deployments; start one with: penstock app sync APP")
		return
	}
	head := []string{"ID", "APPLICATION", "STATUS", "STAGE", "VERSION", "COMMIT", "TRIGGER", "AGE", "TOOK"}
	if v.format == "wide" {
		head = append(head, "STRATEGY", "SUBJECT", "REASON")
	}
	rows := make([][]string, len(ds))
	for i, d := range ds {
		stage := ""
		if st := running(d); st != nil {
			stage = st.Name
		}
		rows[i] = []string{
			d.Id, d.ApplicationName, d.Display, stage, versionText(d.Plan.GetVersions()), shortHash(d.Trigger.GetCommit()),
			triggerText(d.Trigger), v.s.ago(d.TriggeredAt), v.s.span(d.StartedAt, d.FinishedAt),
		}
		if v.format == "wide" {
			rows[i] = append(rows[i], d.Plan.GetStrategy(), d.Trigger.GetCommit().GetSubject(), whyText(d))
		}
	}
	v.s.table(head, rows)
}

// running is the stage at work, or nil.
func running(d *penstockv1.Deployment) *penstockv1.Stage {
	for _, st := range d.Stages {
		if st.Status == string(deploy.StageRunning) {
			return st
		}
	}
	return nil
}

func triggerText(t *penstockv1.Trigger) string {
	if t.GetBy() != "" {
		return t.Kind + " by " + t.By
	}
	return t.GetKind()
}

// whyText is why a deployment is as it is: what failed, else the newest reason.
func whyText(d *penstockv1.Deployment) string {
	if t := d.Failed.GetText(); t != "" {
		return t
	}
	return d.Reason.GetText()
}

func newDeploymentGetCommand(s streams) *cobra.Command {
	v := &verb{s: s}
	return v.onDeployment("get ID", "Show one deployment with its stages, what it created and what became of it", 0, func(ctx context.Context, c *client.Client, id string, _ []string) error {
		res, err := getDeployment(ctx, c, id)
		if err != nil {
			return err
		}
		return v.object(res.Deployment, id, func() { v.showDeployment(res) })
	})
}

func (v *verb) showDeployment(res *penstockv1.GetDeploymentResponse) {
	d, p := res.Deployment, res.Deployment.Plan
	trigger := triggerText(d.Trigger)
	if t := d.Trigger.GetWhy().GetText(); t != "" {
		trigger += ": " + t
	}
	strategy := p.GetStrategy()
	if t := p.GetWhy().GetText(); t != "" {
		strategy += " (" + t + ")"
	}
	cancel := ""
	if x := d.Cancel; x != nil {
		cancel = strings.TrimSuffix(fmt.Sprintf("by %s, rollback %s: %s", x.By, x.Choice, x.Note), ": ")
	}
	parked := ""
	if d.Parked != "" {
		parked = "an event of type " + d.Parked + " is not known to the server: a newer server, or a person, must go on"
	}
	v.s.facts("Deployment", d.Id, "Application", d.ApplicationName, "Status", d.Display, "Failed", d.Failed.GetText(), "Reason", d.Reason.GetText(),
		"Parked", parked, "Trigger", trigger, "Retry of", d.Trigger.GetRetryOf(), "Rolls back to", d.Trigger.GetRollbackTo(), "Note", d.Trigger.GetNote(), "Commit", commitText(d.Trigger.GetCommit()), "Strategy", strategy,
		"Version", fromTo(p), "Notes", notes(p), "Cancel", cancel, "Agent", d.Holder, "Triggered", v.s.instant(d.TriggeredAt), "Took", v.s.span(d.StartedAt, d.FinishedAt))
	if len(d.Stages) > 0 {
		fmt.Fprintln(v.s.Out)
		v.stageTable(d)
	}
	if len(res.Ledger) > 0 {
		fmt.Fprintln(v.s.Out)
		rows := make([][]string, len(res.Ledger))
		for i, o := range res.Ledger {
			rows[i] = []string{o.Type, o.State, o.Id, o.Note}
		}
		v.s.table([]string{"CREATED", "STATE", "ID", "NOTE"}, rows)
	}
}

func fromTo(p *penstockv1.Plan) string {
	from, to := versionText(p.GetFrom()), versionText(p.GetVersions())
	if from == "" || from == to {
		return to
	}
	return from + " → " + to
}

func notes(p *penstockv1.Plan) string {
	var out []string
	for _, n := range p.GetNotes() {
		out = append(out, n.Text)
	}
	return strings.Join(out, "\n")
}

func (v *verb) stageTable(d *penstockv1.Deployment) {
	head := []string{"STAGE", "STATUS", "TOOK", "WHAT", "WHY"}
	if v.format == "wide" {
		head = append(head, "ID", "ATTEMPT", "EXPOSURE")
	}
	rows := make([][]string, len(d.Stages))
	for i, st := range d.Stages {
		name := st.Name
		if st.Rollback {
			name = "↩ " + name
		}
		rows[i] = []string{name, st.Status, v.s.span(st.StartedAt, st.EndedAt), whatText(st), v.stageWhy(st)}
		if v.format == "wide" {
			exposure := ""
			if e := st.Exposure; e != nil && (e.From != 0 || e.To != 0) {
				exposure = percent(e.From) + " → " + percent(e.To)
			}
			rows[i] = append(rows[i], st.Id, fmt.Sprint(st.Attempt), exposure)
		}
	}
	v.s.table(head, rows)
}

// whatText is what a stage does, on one line.
func whatText(st *penstockv1.Stage) string {
	switch {
	case st.Display != "":
		return st.Display
	case st.Wait != nil:
		return "wait " + seconds(st.Wait.AsDuration())
	}
	return st.Desc
}

// stageWhy is what a running stage waits for, or why it ended so.
func (v *verb) stageWhy(st *penstockv1.Stage) string {
	if st.Status != string(deploy.StageRunning) {
		return st.Reason.GetText()
	}
	switch {
	case st.Type == string(deploy.StageApproval):
		who := ""
		if len(st.Approvers) > 0 {
			who = " of " + strings.Join(st.Approvers, ", ")
		}
		return fmt.Sprintf("waits for approval%s (%d of %d)", who, len(st.Given), max(1, st.Approvals))
	case st.Until != nil:
		return "waits until " + clock(st.Until) + ", " + seconds(st.Until.AsTime().Sub(v.s.Now())) + " left"
	case st.Waiting != nil:
		return "waits: " + st.Waiting.Text
	}
	return ""
}

func clock(t *timestamppb.Timestamp) string { return t.AsTime().UTC().Format("15:04:05 UTC") }
