package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"connectrpc.com/connect"
	"github.com/aymanbagabas/go-udiff"
	"github.com/spf13/cobra"

	"github.com/penstock-cd/penstock/internal/client"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
)

func newCompareCommand(s streams) *cobra.Command {
	v := &verb{s: s}
	return v.leaf("compare ID ID", "Compare two deployments: outcome, commit, stages and what they declare", exactly(2), func(ctx context.Context, c *client.Client, args []string) error {
		var ds [2]*penstockv1.Deployment
		for i, id := range args {
			res, err := getDeployment(ctx, c, id)
			if err != nil {
				return err
			}
			ds[i] = res.Deployment
		}
		if v.format == "json" || v.format == "yaml" || v.format == "name" {
			return list(v, "deployments", ds[:], (*penstockv1.Deployment).GetId, nil)
		}
		s.compareFacts(ds[0], ds[1])
		return s.compareDeclared(ctx, c, args)
	})
}

// compareFacts prints what each of two deployments is, and their stages side by side.
func (s streams) compareFacts(a, b *penstockv1.Deployment) {
	facts := []struct {
		name string
		of   func(*penstockv1.Deployment) string
	}{
		{"Application", (*penstockv1.Deployment).GetApplicationName},
		{"Outcome", (*penstockv1.Deployment).GetDisplay},
		{"Why", func(d *penstockv1.Deployment) string { return d.GetFailed().GetText() }},
		{"Commit", func(d *penstockv1.Deployment) string {
			return strings.TrimSpace(short(d.GetTrigger().GetCommit().GetHash()) + " " + d.GetTrigger().GetCommit().GetSubject())
		}},
		{"Strategy", func(d *penstockv1.Deployment) string { return d.GetPlan().GetStrategy() }},
		{"Triggered", func(d *penstockv1.Deployment) string { return s.instant(d.TriggeredAt) }},
		{"Duration", func(d *penstockv1.Deployment) string { return s.span(d.TriggeredAt, d.FinishedAt) }},
	}
	var rows [][]string
	for _, f := range facts {
		rows = append(rows, []string{f.name, f.of(a), f.of(b), yesNo(f.of(a) == f.of(b))})
	}
	s.table([]string{"FACT", a.Id, b.Id, "SAME"}, rows)
	if rows = stageRows(a, b); len(rows) > 0 {
		fmt.Fprintln(s.Out)
		s.table([]string{"STAGE", a.Id, "TOOK", b.Id, "TOOK", "CHANGE"}, rows)
	}
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func short(hash string) string { return hash[:min(len(hash), 7)] }

// stageRows has a row for each stage of either side; those of one name stand beside each other in their order.
func stageRows(a, b *penstockv1.Deployment) [][]string {
	left := keyedStages(a)
	var rows [][]string
	seen := map[string]bool{}
	for _, k := range keyedStages(b) {
		var of *penstockv1.Stage
		for _, l := range left {
			if l.key == k.key {
				of = l.stage
			}
		}
		seen[k.key] = true
		rows = append(rows, stageRow(k.stage.Name, of, k.stage))
	}
	for _, l := range left {
		if !seen[l.key] {
			rows = append(rows, stageRow(l.stage.Name, l.stage, nil))
		}
	}
	return rows
}

type keyedStage struct {
	key   string
	stage *penstockv1.Stage
}

// keyedStages names stages by what they are the same in from one deployment to another: name, and place among those of that name.
func keyedStages(d *penstockv1.Deployment) []keyedStage {
	n := map[string]int{}
	var out []keyedStage
	for _, st := range d.Stages {
		name := fmt.Sprint(st.Rollback, st.Name)
		out = append(out, keyedStage{fmt.Sprint(name, n[name]), st})
		n[name]++
	}
	return out
}

func stageRow(name string, a, b *penstockv1.Stage) []string {
	row := []string{name, "-", "-", "-", "-", ""}
	var took [2]time.Duration
	for i, st := range []*penstockv1.Stage{a, b} {
		if st == nil {
			continue
		}
		row[1+2*i] = st.Status
		if st.StartedAt != nil && st.EndedAt != nil {
			took[i] = st.EndedAt.AsTime().Sub(st.StartedAt.AsTime()).Round(time.Second)
			row[2+2*i] = took[i].String()
		}
	}
	if row[2] != "-" && row[4] != "-" && took[0] != took[1] {
		row[5] = fmt.Sprintf("%+gs", (took[1] - took[0]).Seconds())
	}
	return row
}

// compareDeclared prints how what two deployments declare differs, or why that is not known.
func (s streams) compareDeclared(ctx context.Context, c *client.Client, ids []string) error {
	var texts [2]string
	for i, id := range ids {
		res, err := c.Deployments.GetChanges(ctx, connect.NewRequest(&penstockv1.GetChangesRequest{DeploymentId: id}))
		if err != nil {
			return err
		}
		if res.Msg.After == nil {
			fmt.Fprintf(s.Err, "what %s declares was not recorded: it found nothing to change, was never planned, or was planned by an older agent\n", plain(id))
			return nil
		}
		texts[i] = res.Msg.After.Text
	}
	diff := udiff.Unified(ids[0], ids[1], texts[0], texts[1])
	if diff == "" {
		fmt.Fprintln(s.Err, "both declare the same, as far as it is shown: values of the environment are hidden")
		return nil
	}
	fmt.Fprintln(s.Out)
	s.diffText(diff)
	return nil
}
