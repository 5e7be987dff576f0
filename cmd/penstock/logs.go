package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	"github.com/penstock-cd/penstock/internal/client"
	"github.com/penstock-cd/penstock/internal/deploy"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
)

type logOptions struct {
	*verb
	follow  bool
	attempt int32
}

func newLogsCommand(s streams) *cobra.Command {
	o := &logOptions{verb: &verb{s: s}}
	cmd := o.onDeployment("logs ID [STAGE]", "Show the logs of one stage, or of all in order", 1, func(ctx context.Context, c *client.Client, id string, rest []string) error {
		switch {
		case o.format == "yaml" || o.format == "name":
			return usagef("-o %s: logs are text or json", o.format)
		case o.attempt < 0:
			return usagef("--attempt counts from 1")
		case len(rest) == 1:
			return o.one(ctx, c, id, rest[0])
		case o.attempt > 0:
			return usagef("--attempt belongs to one stage: name it")
		}
		return o.all(ctx, c, id)
	})
	cmd.Long = "Show the logs of one stage, by its id or name, or of all stages in order.\n-o json prints one JSON object a line: time, level, message, stage."
	cmd.Flags().BoolVarP(&o.follow, "follow", "f", false, "go on until the stage, or the deployment, ends")
	cmd.Flags().Int32Var(&o.attempt, "attempt", 0, "of this attempt (0: the newest)")
	return cmd
}

func (o *logOptions) one(ctx context.Context, c *client.Client, id, name string) error {
	res, err := getDeployment(ctx, c, id)
	if err != nil {
		return err
	}
	st, err := namedStage(res.Deployment, name, nil)
	if err != nil {
		return err
	}
	return o.print(ctx, c, id, st)
}

// all prints the logs of the stages that began, in order; following, it goes
// on with those that begin.
func (o *logOptions) all(ctx context.Context, c *client.Client, id string) error {
	printed := map[string]bool{}
	var failed error
	show := func(d *penstockv1.Deployment) bool {
		for i, st := range d.Stages {
			if printed[st.Id] || st.StartedAt == nil || st.Type != string(deploy.StagePlatform) {
				continue
			}
			printed[st.Id] = true
			if o.forPeople() {
				fmt.Fprintf(o.s.Out, "== %s %s\n", stageNumber(d, i), plain(st.Name))
			}
			if failed = o.print(ctx, c, id, st); failed != nil {
				return false
			}
		}
		return o.follow && !client.Terminal(d)
	}
	err := c.Follow(ctx, id, client.FollowOptions{}, show)
	if failed != nil {
		return failed
	}
	if err == nil && len(printed) == 0 && o.forPeople() {
		fmt.Fprintln(o.s.Err, "no stage has a log yet")
	}
	return err
}

func (o *logOptions) print(ctx context.Context, c *client.Client, id string, st *penstockv1.Stage) error {
	var rest []byte
	err := c.StageLog(ctx, client.LogRequest{Deployment: id, Stage: st.Id, Attempt: o.attempt, Follow: o.follow}, func(data []byte) error {
		rest = append(rest, data...)
		for {
			i := bytes.IndexByte(rest, '\n')
			if i < 0 {
				return nil
			}
			if err := o.line(st, rest[:i]); err != nil {
				return err
			}
			rest = rest[i+1:]
		}
	})
	if err == nil && len(rest) > 0 {
		err = o.line(st, rest)
	}
	return err
}

// logLine is a line of a stage log as agents write it.
type logLine struct {
	T time.Time `json:"t"`
	L string    `json:"l"`
	M string    `json:"m"`
}

func (o *logOptions) line(st *penstockv1.Stage, raw []byte) error {
	var l logLine
	if err := json.Unmarshal(raw, &l); err != nil {
		l = logLine{M: string(raw)} // a newer agent's form: show it as it is
	}
	if o.format == "json" {
		out, err := json.Marshal(struct {
			Stage   string    `json:"stage"`
			Time    time.Time `json:"time,omitzero"`
			Level   string    `json:"level,omitempty"`
			Message string    `json:"message"`
		}{st.Id, l.T, l.L, l.M})
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(o.s.Out, "%s\n", out)
		return err
	}
	at := ""
	if !l.T.IsZero() {
		at = l.T.UTC().Format("15:04:05") + " "
	}
	// A message of several lines is kept, indented below its time.
	var text []string
	for part := range strings.SplitSeq(l.M, "\n") {
		text = append(text, plain(part))
	}
	level := ""
	if l.L != "" {
		level = fmt.Sprintf("%-5s ", plain(l.L))
	}
	_, err := fmt.Fprintf(o.s.Out, "%s%s%s\n", at, level, strings.Join(text, "\n"+strings.Repeat(" ", len(at)+len(level))))
	return err
}

func newEventsCommand(s streams) *cobra.Command {
	v := &verb{s: s}
	return v.onDeployment("events ID", "Show what was recorded about a deployment, oldest first", 0, func(ctx context.Context, c *client.Client, id string, _ []string) error {
		events, err := client.All(0, func(token string, size int32) ([]*penstockv1.Event, string, error) {
			res, err := c.Deployments.ListEvents(ctx, connect.NewRequest(&penstockv1.ListEventsRequest{
				StreamKind: "deployment", StreamId: id, Page: &penstockv1.PageRequest{PageSize: size, PageToken: token},
			}))
			if err != nil {
				return nil, "", err
			}
			return res.Msg.Events, res.Msg.Page.GetNextPageToken(), nil
		})
		if err == nil && len(events) == 0 {
			_, err = getDeployment(ctx, c, id) // nothing is recorded of what does not exist
		}
		if err != nil {
			return err
		}
		return list(v, "events", events, (*penstockv1.Event).GetId, func() {
			head := []string{"TIME", "EVENT", "BY", "WHY"}
			if v.format == "wide" {
				head = append(head, "SEQ", "DATA")
			}
			rows := make([][]string, len(events))
			for i, e := range events {
				rows[i] = []string{clock(e.At), e.Type, e.Actor, e.Reason.GetText()}
				if v.format == "wide" {
					rows[i] = append(rows[i], fmt.Sprint(e.Seq), e.Data)
				}
			}
			s.table(head, rows)
		})
	})
}

func newChangesCommand(s streams) *cobra.Command {
	v := &verb{s: s}
	return v.onDeployment("changes ID", "Show what a deployment changes; values of the environment are masked", 0, func(ctx context.Context, c *client.Client, id string, _ []string) error {
		res, err := c.Deployments.GetChanges(ctx, connect.NewRequest(&penstockv1.GetChangesRequest{DeploymentId: id}))
		if err != nil {
			return err
		}
		if v.format == "json" || v.format == "yaml" {
			raw := json.RawMessage(res.Msg.Json)
			if len(raw) == 0 {
				raw = json.RawMessage("null")
			}
			return v.data(raw)
		}
		if res.Msg.Text == "" {
			fmt.Fprintln(s.Err, "no difference is recorded: the deployment was not planned, or changes nothing")
			return nil
		}
		s.diffText(res.Msg.Text)
		return nil
	})
}

// diffText prints the lines of a difference.
func (s streams) diffText(text string) {
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		fmt.Fprintln(s.Out, s.diffLine(plain(line)))
	}
}

// diffLine colours a line of a difference by its first character.
func (s streams) diffLine(line string) string {
	word := map[byte]string{'+': "SUCCESS", '-': "FAILURE", '~': "warning"}
	if line == "" || !s.colour() {
		return line
	}
	if meaning, ok := word[line[0]]; ok {
		return s.paintAs(meaning, line)
	}
	return line
}
