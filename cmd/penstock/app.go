package main

import (
	"context"
	"fmt"
	"strings"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	"github.com/penstock-cd/penstock/internal/client"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
)

func newAppCommand(s streams) *cobra.Command {
	cmd := newGroup("app", "List, register, sync and watch applications", "application", "apps")
	cmd.AddCommand(
		newAppListCommand(s), newAppGetCommand(s), newAppInitCommand(s, linters()), newAppMigrateCommand(s, linters()), newAppAddCommand(s), newAppDiscoverCommand(s), newAppDiffCommand(s), newAppSyncCommand(s),
		newAppEnableCommand(s, true), newAppEnableCommand(s, false), newAppDeleteCommand(s), newAppLiveCommand(s), newAppDriftCommand(s),
	)
	return cmd
}

func newAppListCommand(s streams) *cobra.Command {
	v, labels, limit := &verb{s: s}, selector{}, 0
	q := &penstockv1.ListApplicationsRequest{}
	cmd := v.leaf("list", "List applications", exactly(0), func(ctx context.Context, c *client.Client, _ []string) error {
		q.Labels = labels
		apps, err := client.All(limit, func(token string, size int32) ([]*penstockv1.Application, string, error) {
			q.Page = &penstockv1.PageRequest{PageSize: size, PageToken: token}
			res, err := c.Applications.ListApplications(ctx, connect.NewRequest(q))
			if err != nil {
				return nil, "", err
			}
			return res.Msg.Applications, res.Msg.Page.GetNextPageToken(), nil
		})
		if err != nil {
			return err
		}
		return list(v, "applications", apps, (*penstockv1.Application).GetId, func() { v.appTable(apps) })
	})
	cmd.Aliases = []string{"ls"}
	f := cmd.Flags()
	f.VarP(labels, "labels", "l", "only with these labels")
	f.StringVarP(&q.Query, "query", "q", "", "only with this in the name")
	f.StringSliceVar(&q.Kinds, "kind", nil, "only of these kinds (ECSApp)")
	f.StringSliceVar(&q.SyncStates, "sync-state", nil, "only in these states (SYNCED, DEPLOYING, OUT_OF_SYNC, INVALID_CONFIG, UNKNOWN)")
	f.StringSliceVar(&q.Displays, "last", nil, "only where the last deployment ended so (SUCCESS, ROLLED_BACK, FAILURE, …)")
	f.StringSliceVar(&q.Healths, "health", nil, "only of this health (HEALTHY, PROGRESSING, UNHEALTHY, UNKNOWN)")
	f.StringSliceVar(&q.Providers, "provider", nil, "only on these platform providers")
	f.StringSliceVar(&q.AgentIds, "agent", nil, "only of these agents, by id")
	f.BoolVar(&q.Favourites, "favourites", false, "only your favourites")
	f.StringVar(&q.Sort, "sort", "", "by name, last_deployment, attention, health, sync_state, display or kind; -x reverses")
	f.IntVar(&limit, "limit", 0, "at most so many (0: all)")
	return cmd
}

func (v *verb) appTable(apps []*penstockv1.Application) {
	if len(apps) == 0 {
		fmt.Fprintln(v.s.Err, "no applications; see what was found in git with: penstock app discover")
		return
	}
	head := []string{"NAME", "KIND", "SYNC", "HEALTH", "VERSION", "COMMIT", "LAST"}
	if v.format == "wide" {
		head = append(head, "ID", "AGENT", "REPOSITORY", "PATH", "LABELS", "AGE")
	}
	rows := make([][]string, len(apps))
	for i, a := range apps {
		sync := a.SyncState
		if a.Disabled {
			sync = "disabled"
		}
		rows[i] = []string{a.Name, a.Kind, sync, a.Health, versionText(a.LastGood.GetVersions()), shortHash(a.LastGood.GetCommit()), a.LastDeploymentDisplay}
		if v.format == "wide" {
			rows[i] = append(rows[i], a.Id, agentText(a), a.RepoId+"@"+a.Branch, filePath(a.Path, a.ConfigFile), labelText(a.Labels), v.s.ago(a.RegisteredAt))
		}
	}
	v.s.table(head, rows)
}

func agentText(a *penstockv1.Application) string {
	if a.AgentOnline {
		return a.AgentName
	}
	return "offline"
}

func filePath(dir, file string) string { return strings.TrimPrefix(dir+"/"+file, "/") }

// versionText is the version that people know a state by: that of its first artefact.
func versionText(vs []*penstockv1.Version) string {
	switch len(vs) {
	case 0:
		return ""
	case 1:
		return vs[0].Version
	}
	return fmt.Sprintf("%s +%d", vs[0].Version, len(vs)-1)
}

func shortHash(c *penstockv1.Commit) string {
	h := c.GetHash()
	return h[:min(7, len(h))]
}

// commitText is a commit on one line.
func commitText(c *penstockv1.Commit) string {
	if c.GetHash() == "" {
		return ""
	}
	text := shortHash(c) + " " + c.Subject
	if c.Author != "" {
		text += " (" + c.Author + ")"
	}
	return strings.TrimSpace(text)
}

// findApp reads an application by id or name.
func findApp(ctx context.Context, c *client.Client, name string) (*penstockv1.Application, error) {
	res, err := c.Applications.GetApplication(ctx, connect.NewRequest(&penstockv1.GetApplicationRequest{Application: name}))
	if err != nil {
		return nil, err
	}
	return res.Msg.Application, nil
}

func newAppGetCommand(s streams) *cobra.Command {
	v := &verb{s: s}
	return v.leaf("get APP", "Show one application, by name or id", exactly(1), func(ctx context.Context, c *client.Client, args []string) error {
		a, err := findApp(ctx, c, args[0])
		if err != nil {
			return err
		}
		return v.object(a, a.Id, func() { v.showApp(a, c.Server()) })
	})
}

func (v *verb) showApp(a *penstockv1.Application, server string) {
	state := a.SyncState
	if a.Disabled {
		state += ", disabled"
	}
	hold := ""
	if h := a.Hold; h != nil {
		hold = h.Reason.GetText() + "\nsince " + v.s.instant(h.At)
	}
	drift := ""
	if d := a.Drift; d != nil {
		drift = d.Summary + "\nsince " + v.s.instant(d.At) + "; see penstock app drift " + a.Name
	}
	last := a.LastDeploymentDisplay
	if a.LastDeploymentId != "" {
		last = strings.TrimSpace(last + " " + a.LastDeploymentId)
	}
	badge := ""
	if a.BadgePath != "" {
		badge = server + a.BadgePath
	}
	good := commitText(a.LastGood.GetCommit())
	if t := versionText(a.LastGood.GetVersions()); t != "" {
		good = t + ", " + good
	}
	v.s.facts("Name", a.Name, "ID", a.Id, "Kind", a.Kind, "Description", a.Description, "Labels", labelText(a.Labels),
		"Sync", state, "Health", a.Health, "File", a.RepoId+"@"+a.Branch+":"+filePath(a.Path, a.ConfigFile),
		"Agent", agentText(a), "Provider", a.Provider, "Account", a.Account, "Last good", good, "Git head", commitText(a.Head),
		"Held", hold, "Drift", drift, "Running", a.CurrentDeploymentId, "Queue", strings.Join(a.Queue, "\n"), "Last deployment", last,
		"Problem", a.InvalidDetail, "Badge", badge, "Registered", v.s.instant(a.RegisteredAt))
}

func newAppSyncCommand(s streams) *cobra.Command {
	v := &verb{s: s}
	w := &waiting{verb: v}
	f := &foresight{verb: v}
	strategy, note := "", ""
	cmd := v.leaf("sync APP", "Deploy the newest commit of an application", exactly(1), func(ctx context.Context, c *client.Client, args []string) error {
		word, err := oneOf("strategy", strategy, map[string]string{"auto": "AUTO", "quick": "QUICK_SYNC", "quick_sync": "QUICK_SYNC", "pipeline": "PIPELINE"})
		if err != nil {
			return err
		}
		if goOn, err := f.decide(ctx, c, &penstockv1.AskRequest{Application: args[0], Strategy: word}); err != nil || !goOn {
			return err
		}
		res, err := c.Applications.SyncApplication(ctx, connect.NewRequest(&penstockv1.SyncApplicationRequest{ApplicationId: args[0], Strategy: word, Note: note}))
		if err != nil {
			return err
		}
		return w.started(ctx, c, res.Msg, res.Msg.DeploymentId)
	})
	cmd.Flags().StringVar(&strategy, "strategy", "auto", "auto, quick or pipeline")
	cmd.Flags().StringVar(&note, "note", "", "why, for the record")
	f.flags(cmd)
	w.flags(cmd)
	return cmd
}

// oneOf translates the word of a flag to that of the wire; upper and lower case are the same.
func oneOf(flag, word string, words map[string]string) (string, error) {
	if to, ok := words[strings.ToLower(word)]; ok {
		return to, nil
	}
	return "", usagef("--%s %s is not one of %s", flag, word, strings.Join(sortedKeys(words), ", "))
}

func newAppEnableCommand(s streams, enabled bool) *cobra.Command {
	v := &verb{s: s}
	use, short := "disable APP...", "Stop deployments of applications; what runs goes on"
	if enabled {
		use, short = "enable APP...", "Permit deployments of applications"
	}
	return v.leaf(use, short, atLeast(1), func(ctx context.Context, c *client.Client, args []string) error {
		for _, name := range args {
			res, err := c.Applications.SetApplicationEnabled(ctx, connect.NewRequest(&penstockv1.SetApplicationEnabledRequest{ApplicationId: name, Enabled: enabled}))
			if err != nil {
				return err
			}
			a := res.Msg.Application
			err = v.object(a, a.Id, func() { fmt.Fprintf(s.Out, "%s %sd\n", plain(a.Name), strings.Fields(use)[0]) })
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func newAppDeleteCommand(s streams) *cobra.Command {
	v, yes := &verb{s: s}, false
	cmd := v.leaf("delete APP", "Forget an application; what was deployed stays", exactly(1), func(ctx context.Context, c *client.Client, args []string) error {
		a, err := findApp(ctx, c, args[0])
		if err != nil {
			return err
		}
		if !yes {
			return usagef("the record of %s (%s) would be deleted, what runs stays; repeat with --yes", plain(a.Name), a.Id)
		}
		if _, err := c.Applications.DeleteApplication(ctx, connect.NewRequest(&penstockv1.DeleteApplicationRequest{ApplicationId: a.Id})); err != nil {
			return err
		}
		return v.object(a, a.Id, func() { fmt.Fprintf(s.Out, "%s deleted; what it deployed goes on\n", plain(a.Name)) })
	})
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "really do it")
	return cmd
}
