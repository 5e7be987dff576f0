package main

import (
	"context"
	"fmt"
	"strings"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	"github.com/penstock-cd/penstock/internal/client"
	"github.com/penstock-cd/penstock/internal/deploy"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
)

// withAgentVerbs hangs the verbs about agents on the command that runs one.
func withAgentVerbs(s streams, agent *cobra.Command) *cobra.Command {
	agent.AddCommand(
		newAgentListCommand(s), newAgentRegisterCommand(s), newAgentAddKeyCommand(s), newAgentRemoveKeyCommand(s),
		newAgentEnableCommand(s, true), newAgentEnableCommand(s, false),
	)
	return agent
}

func agents(ctx context.Context, c *client.Client) ([]*penstockv1.Agent, error) {
	return client.All(0, func(token string, size int32) ([]*penstockv1.Agent, string, error) {
		res, err := c.Projects.ListAgents(ctx, connect.NewRequest(&penstockv1.ListAgentsRequest{Page: &penstockv1.PageRequest{PageSize: size, PageToken: token}}))
		if err != nil {
			return nil, "", err
		}
		return res.Msg.Agents, res.Msg.Page.GetNextPageToken(), nil
	})
}

// findAgent finds an agent by id, or by its only name.
func findAgent(ctx context.Context, c *client.Client, name string) (*penstockv1.Agent, error) {
	all, err := agents(ctx, c)
	if err != nil {
		return nil, err
	}
	var fit []*penstockv1.Agent
	for _, a := range all {
		if a.Id == name {
			return a, nil
		}
		if strings.EqualFold(a.Name, name) {
			fit = append(fit, a)
		}
	}
	switch len(fit) {
	case 1:
		return fit[0], nil
	case 0:
		err := &deploy.Error{Code: deploy.CodeNotFound, Object: name, Message: "there is no agent of this id or name"}
		return nil, &statusError{code: exitNotFound, err: err, next: "list them with: penstock agent list"}
	}
	return nil, usagef("%d agents are called %s; use the id", len(fit), name)
}

func online(a *penstockv1.Agent) (n int) {
	for _, p := range a.Processes {
		if p.Online {
			n++
		}
	}
	return n
}

func newAgentListCommand(s streams) *cobra.Command {
	v := &verb{s: s}
	cmd := v.leaf("list", "List agents, their processes and what they hold", exactly(0), func(ctx context.Context, c *client.Client, _ []string) error {
		all, err := agents(ctx, c)
		if err != nil {
			return err
		}
		return list(v, "agents", all, (*penstockv1.Agent).GetId, func() {
			if len(all) == 0 {
				fmt.Fprintln(s.Err, "no agents; make one with: penstock agent register NAME")
				return
			}
			v.agentTable(all)
		})
	})
	cmd.Aliases = []string{"ls"}
	return cmd
}

func (v *verb) agentTable(all []*penstockv1.Agent) {
	head := []string{"NAME", "ID", "STATE", "PROCESSES", "DEPLOYMENTS", "REPOSITORIES", "PROVIDERS", "AGE"}
	if v.format == "wide" {
		head = append(head, "VERSION", "HOSTS", "KEYS")
	}
	rows := make([][]string, len(all))
	for i, a := range all {
		state, n := "offline", online(a)
		if n > 0 {
			state = "online"
		}
		if a.Disabled {
			state = "disabled"
		}
		var repos, providers, versions, hosts, keys []string
		for _, r := range a.Repositories {
			name := r.Id
			if r.Error != "" {
				name += " (cannot be read)"
			}
			repos = append(repos, name)
		}
		for _, p := range a.Providers {
			providers = append(providers, p.Name)
		}
		held := 0
		for _, p := range a.Processes {
			held += len(p.Deployments)
			versions, hosts = append(versions, p.Version), append(hosts, p.Host)
		}
		for _, k := range a.Keys {
			keys = append(keys, k.Id)
		}
		rows[i] = []string{a.Name, a.Id, state, fmt.Sprint(n), fmt.Sprint(held), strings.Join(repos, ","), strings.Join(providers, ","), v.s.ago(a.RegisteredAt)}
		if v.format == "wide" {
			rows[i] = append(rows[i], strings.Join(versions, ","), strings.Join(hosts, ","), strings.Join(keys, ","))
		}
	}
	v.s.table(head, rows)
	for _, a := range all {
		for _, r := range a.Repositories {
			if r.Error != "" {
				fmt.Fprintf(v.s.Err, "warning: %s: repository %s cannot be read: %s\n", plain(a.Name), plain(r.Id), plain(r.Error))
			}
		}
	}
}

// showKey prints a new key: the only time that anybody sees it.
func (v *verb) showKey(a *penstockv1.Agent, key string) {
	v.s.facts("Agent", a.Name, "ID", a.Id, "Key", key)
	fmt.Fprintln(v.s.Err, "The key is shown this once. Put it into the agent's file as pipedID and pipedKeyData (base64) or pipedKeyFile.")
}

func newAgentRegisterCommand(s streams) *cobra.Command {
	v := &verb{s: s}
	return v.leaf("register NAME", "Make an agent identity; its key is shown once", exactly(1), func(ctx context.Context, c *client.Client, args []string) error {
		res, err := c.Projects.RegisterAgent(ctx, connect.NewRequest(&penstockv1.RegisterAgentRequest{Name: args[0]}))
		if err != nil {
			return err
		}
		return v.object(res.Msg, res.Msg.Agent.GetId(), func() { v.showKey(res.Msg.Agent, res.Msg.Key) })
	})
}

func newAgentAddKeyCommand(s streams) *cobra.Command {
	v := &verb{s: s}
	return v.leaf("add-key AGENT", "Make a second key; the older ones stay until they are removed", exactly(1), func(ctx context.Context, c *client.Client, args []string) error {
		a, err := findAgent(ctx, c, args[0])
		if err != nil {
			return err
		}
		res, err := c.Projects.AddAgentKey(ctx, connect.NewRequest(&penstockv1.AddAgentKeyRequest{AgentId: a.Id}))
		if err != nil {
			return err
		}
		return v.object(res.Msg, a.Id, func() { v.showKey(res.Msg.Agent, res.Msg.Key) })
	})
}

func newAgentRemoveKeyCommand(s streams) *cobra.Command {
	v := &verb{s: s}
	return v.leaf("remove-key AGENT KEY-ID", "Remove a key; processes that use it are shut out", exactly(2), func(ctx context.Context, c *client.Client, args []string) error {
		a, err := findAgent(ctx, c, args[0])
		if err != nil {
			return err
		}
		res, err := c.Projects.RemoveAgentKey(ctx, connect.NewRequest(&penstockv1.RemoveAgentKeyRequest{AgentId: a.Id, KeyId: args[1]}))
		if err != nil {
			return err
		}
		return v.object(res.Msg.Agent, a.Id, func() {
			fmt.Fprintf(s.Out, "key %s of %s removed; %d left\n", plain(args[1]), plain(a.Name), len(res.Msg.Agent.GetKeys()))
		})
	})
}

func newAgentEnableCommand(s streams, enabled bool) *cobra.Command {
	v := &verb{s: s}
	use, short, done := "disable AGENT", "Shut an agent out; nothing it deployed changes", "disabled"
	if enabled {
		use, short, done = "enable AGENT", "Let a disabled agent in again", "enabled"
	}
	return v.leaf(use, short, exactly(1), func(ctx context.Context, c *client.Client, args []string) error {
		a, err := findAgent(ctx, c, args[0])
		if err != nil {
			return err
		}
		res, err := c.Projects.SetAgentEnabled(ctx, connect.NewRequest(&penstockv1.SetAgentEnabledRequest{AgentId: a.Id, Enabled: enabled}))
		if err != nil {
			return err
		}
		return v.object(res.Msg.Agent, a.Id, func() { fmt.Fprintf(s.Out, "%s %s\n", plain(a.Name), done) })
	})
}
