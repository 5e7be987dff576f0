package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	"github.com/penstock-cd/penstock/internal/client"
	"github.com/penstock-cd/penstock/internal/deploy"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func discovered(ctx context.Context, c *client.Client) ([]*penstockv1.DiscoveredApplication, error) {
	found, err := client.All(0, func(token string, size int32) ([]*penstockv1.DiscoveredApplication, string, error) {
		res, err := c.Applications.ListDiscoveredApplications(ctx, connect.NewRequest(&penstockv1.ListDiscoveredApplicationsRequest{
			Page: &penstockv1.PageRequest{PageSize: size, PageToken: token},
		}))
		if err != nil {
			return nil, "", err
		}
		return res.Msg.Applications, res.Msg.Page.GetNextPageToken(), nil
	})
	slices.SortFunc(found, func(a, b *penstockv1.DiscoveredApplication) int {
		return cmp.Or(cmp.Compare(a.RepoId, b.RepoId), cmp.Compare(a.Path, b.Path), cmp.Compare(a.ConfigFile, b.ConfigFile), cmp.Compare(a.AgentId, b.AgentId))
	})
	return found, err
}

// place names an application file as app add takes it.
func place(d *penstockv1.DiscoveredApplication) string {
	return d.RepoId + ":" + filePath(d.Path, d.ConfigFile)
}

func newAppDiscoverCommand(s streams) *cobra.Command {
	v := &verb{s: s}
	cmd := v.leaf("discover", "List application files in git that are not registered", exactly(0), func(ctx context.Context, c *client.Client, _ []string) error {
		found, err := discovered(ctx, c)
		if err != nil {
			return err
		}
		return list(v, "applications", found, place, func() {
			if len(found) == 0 {
				fmt.Fprintln(s.Err, "no application file in git is unregistered; are the agents online? penstock agent list")
				return
			}
			head := []string{"FILE", "NAME", "KIND", "PROVIDERS", "PROBLEM"}
			if v.format == "wide" {
				head = append(head, "BRANCH", "AGENT", "LABELS")
			}
			rows := make([][]string, len(found))
			for i, d := range found {
				problem, _, _ := strings.Cut(d.InvalidDetail, "\n")
				rows[i] = []string{place(d), d.Name, d.Kind, strings.Join(d.Providers, ","), problem}
				if v.format == "wide" {
					rows[i] = append(rows[i], d.Branch, d.AgentId, labelText(d.Labels))
				}
			}
			s.table(head, rows)
		})
	})
	return cmd
}

func newAppAddCommand(s streams) *cobra.Command {
	v := &verb{s: s}
	q := &penstockv1.AddApplicationRequest{}
	cmd := v.leaf("add [REPOSITORY:]PATH", "Register an application whose file was found in git", exactly(1), func(ctx context.Context, c *client.Client, args []string) error {
		found, err := discovered(ctx, c)
		if err != nil {
			return err
		}
		d, err := pick(found, args[0], q)
		if err != nil {
			return err
		}
		q.AgentId, q.RepoId, q.Path, q.ConfigFile = d.AgentId, d.RepoId, d.Path, d.ConfigFile
		res, err := c.Applications.AddApplication(ctx, connect.NewRequest(q))
		if err != nil {
			return err
		}
		a := res.Msg.Application
		return v.object(a, a.Id, func() {
			fmt.Fprintf(s.Out, "%s registered (%s)\nnext: penstock app sync %s --follow\n", plain(a.Name), a.Id, plain(a.Name))
		})
	})
	cmd.Long = `Register an application. PATH is the folder of its file in the repository, or the file itself, as "penstock app discover"
lists it; the repository is needed only when several have this path.`
	cmd.Example = "  penstock app add services/web\n  penstock app add demo:services/web/app.pipecd.yaml --provider tokyo"
	f := cmd.Flags()
	f.StringVar(&q.AgentId, "agent", "", "id of the agent, when several see the file")
	f.StringVar(&q.Provider, "provider", "", "platform provider, when the agent has several for this kind")
	f.StringVar(&q.Name, "name", "", "name to use instead of the file's")
	return cmd
}

// pick finds the one discovered file that a person means.
func pick(found []*penstockv1.DiscoveredApplication, arg string, q *penstockv1.AddApplicationRequest) (*penstockv1.DiscoveredApplication, error) {
	repo, where, ok := strings.Cut(arg, ":")
	if !ok {
		repo, where = "", arg
	}
	where = strings.TrimPrefix(path.Clean("/"+where), "/")
	var fit []*penstockv1.DiscoveredApplication
	for _, d := range found {
		if (repo == "" || repo == d.RepoId) && (q.AgentId == "" || q.AgentId == d.AgentId) && (where == d.Path || where == filePath(d.Path, d.ConfigFile)) {
			fit = append(fit, d)
		}
	}
	switch len(fit) {
	case 1:
		return fit[0], nil
	case 0:
		err := &deploy.Error{Code: deploy.CodeNotFound, Object: arg, Message: "no agent has seen an unregistered application file there"}
		return nil, &statusError{code: exitNotFound, err: err, next: "see what was found with: penstock app discover"}
	}
	var names []string
	for _, d := range fit {
		names = append(names, place(d)+" --agent "+d.AgentId)
	}
	return nil, usagef("%d files fit %s; name one:\n%s", len(fit), arg, strings.Join(names, "\n"))
}
