package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	"github.com/penstock-cd/penstock/internal/client"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
)

func newProjectCommand(s streams) *cobra.Command {
	cmd := newGroup("project", "See and change the settings of the project")
	cmd.AddCommand(newProjectGetCommand(s), newProjectApprovalsCommand(s), newProjectBadgesCommand(s), newWebhooksCommand(s), newWebhookSecretCommand(s))
	return cmd
}

func newProjectBadgesCommand(s streams) *cobra.Command {
	v, off := &verb{s: s}, false
	cmd := v.leaf("badges", "Let applications have badges, which need no login", exactly(0), func(ctx context.Context, c *client.Client, _ []string) error {
		on := !off
		res, err := c.Projects.UpdateProject(ctx, connect.NewRequest(&penstockv1.UpdateProjectRequest{Badges: &on}))
		if err != nil {
			return err
		}
		p := res.Msg.Project
		return v.object(p, p.Id, func() { s.facts("Badges", yesNo(p.Badges)) })
	})
	cmd.Long = `Let every application have a badge: an image with its name, its state and its version, for a README or a wall. Whoever has the
address sees it without a login, and can work out no other address. penstock app get APP shows it. With --off all addresses end
at once; turned on again there are new ones.`
	cmd.Flags().BoolVar(&off, "off", false, "end all addresses")
	return cmd
}

func newWebhooksCommand(s streams) *cobra.Command {
	v := &verb{s: s}
	cmd := v.leaf("webhooks", "Show where git hosts send pushes to, and what came of the last ones", exactly(0), func(ctx context.Context, c *client.Client, _ []string) error {
		res, err := c.Projects.GetWebhooks(ctx, connect.NewRequest(&penstockv1.GetWebhooksRequest{}))
		if err != nil {
			return err
		}
		return list(v, "webhooks", res.Msg.Webhooks, (*penstockv1.Webhook).GetHost, func() {
			rows := make([][]string, len(res.Msg.Webhooks))
			for i, w := range res.Msg.Webhooks {
				rows[i] = []string{w.Host, c.Server() + w.Path, s.delivery(w.Last), s.delivery(w.Refused)}
			}
			s.table([]string{"HOST", "URL", "LAST", "LAST REFUSED"}, rows)
			if !res.Msg.SecretSet {
				fmt.Fprintln(s.Err, "no secret is set, so all are refused; make one with: penstock project webhook-secret")
			}
		})
	})
	cmd.Long = `Show the URL for each kind of git host, the last delivery that was proven to come from it, and the last one that was not: the
time, the HTTP status of the answer, and how many agent processes looked at the branch for it. They are remembered since the
start of the server.`
	return cmd
}

func (s streams) delivery(d *penstockv1.WebhookDelivery) string {
	if d == nil {
		return "-"
	}
	text := fmt.Sprintf("%s ago, %d", s.ago(d.At), d.Status)
	if d.Status == http.StatusAccepted {
		text += fmt.Sprintf(", woke %d", d.Woken)
	}
	return text
}

func newProjectGetCommand(s streams) *cobra.Command {
	v := &verb{s: s}
	return v.leaf("get", "Show the settings of the project", exactly(0), func(ctx context.Context, c *client.Client, _ []string) error {
		res, err := c.Projects.GetProject(ctx, connect.NewRequest(&penstockv1.GetProjectRequest{}))
		if err != nil {
			return err
		}
		p := res.Msg.Project
		return v.object(p, p.Id, func() {
			s.facts(append([]string{"Name", p.Name, "ID", p.Id, "Files in git register themselves", yesNo(p.AutoRegister), "Webhook secret", map[bool]string{true: "set", false: "none: webhooks are refused"}[p.WebhookSecretSet]},
				append([]string{"Badges", yesNo(p.Badges)}, approvalFacts(p)...)...)...)
		})
	})
}

func approvalFacts(p *penstockv1.Project) []string {
	return []string{"Approval not by the author", yesNo(p.ApprovalNotByAuthor), "Answers need a note", yesNo(p.ApprovalNeedsNote)}
}

func newProjectApprovalsCommand(s streams) *cobra.Command {
	v, m := &verb{s: s}, &penstockv1.UpdateProjectRequest{}
	var another, note bool
	var cmd *cobra.Command
	cmd = v.leaf("approvals", "Say what every answer to an approval needs", exactly(0), func(ctx context.Context, c *client.Client, _ []string) error {
		if cmd.Flags().Changed("not-by-author") {
			m.ApprovalNotByAuthor = &another
		}
		if cmd.Flags().Changed("note") {
			m.ApprovalNeedsNote = &note
		}
		if m.ApprovalNotByAuthor == nil && m.ApprovalNeedsNote == nil {
			return usagef("say what changes: --not-by-author, --note, either with =false to end it")
		}
		res, err := c.Projects.UpdateProject(ctx, connect.NewRequest(m))
		if err != nil {
			return err
		}
		p := res.Msg.Project
		return v.object(p, p.Id, func() { s.facts(approvalFacts(p)...) })
	})
	cmd.Long = `Say what the project asks of every answer to a WAIT_APPROVAL, also of those that wait now. It is decided by the server, however
the answer comes. With --not-by-author whoever wrote the commit or started the deployment may reject, but neither approve nor
skip the approval. With --note an answer without a note is refused.`
	cmd.Flags().BoolVar(&another, "not-by-author", false, "an approval is somebody else's than the author's")
	cmd.Flags().BoolVar(&note, "note", false, "an answer needs a note")
	return cmd
}

func newWebhookSecretCommand(s streams) *cobra.Command {
	v, clearIt, stdin := &verb{s: s}, false, false
	cmd := v.leaf("webhook-secret", "Make a new secret of push webhooks and show it once", exactly(0), func(ctx context.Context, c *client.Client, _ []string) error {
		secret := rand.Text()
		switch {
		case clearIt && stdin:
			return usagef("--clear and --stdin exclude each other")
		case clearIt:
			secret = ""
		case stdin:
			var err error
			if secret, err = s.readSecret(); err != nil {
				return err
			}
		}
		if !clearIt && !stdin && !v.forPeople() {
			return usagef("a new secret is not shown as %s: leave -o out, or give the secret with --stdin", v.format)
		}
		res, err := c.Projects.UpdateProject(ctx, connect.NewRequest(&penstockv1.UpdateProjectRequest{WebhookSecret: &secret}))
		if err != nil {
			return err
		}
		p := res.Msg.Project
		return v.object(p, p.Id, func() {
			switch {
			case clearIt:
				fmt.Fprintln(s.Out, "the secret is gone; webhooks are refused, agents go on asking git every ten seconds")
			case stdin:
				fmt.Fprintln(s.Out, "the secret is set")
			default:
				fmt.Fprintln(s.Out, secret)
				fmt.Fprintln(s.Err, "shown once. The former one is refused from now on: give the new one to the webhooks of your git hosts")
			}
		})
	})
	cmd.Long = `Make a new secret for the project's push webhooks, of 26 characters with 128 bits or more of chance, and show it once. It
takes the place of the former one at once; until the git hosts have it, agents see commits every ten seconds. With --stdin
the secret is read instead, such as the signing token that GitLab makes; with --clear there is none and webhooks are refused.`
	cmd.Flags().BoolVar(&clearIt, "clear", false, "have none")
	cmd.Flags().BoolVar(&stdin, "stdin", false, "read the secret, at least 16 characters, and do not show it")
	return cmd
}
