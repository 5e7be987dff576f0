package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	"github.com/penstock-cd/penstock/internal/client"
	"github.com/penstock-cd/penstock/internal/deploy"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
)

// importing is one run of `penstock import pipecd`.
type importing struct {
	*verb
	lint     lintOptions
	register bool
	agents   map[string]string // Piped's id → identity here
	provider string
}

func newImportCommand(s streams, platforms []linter) *cobra.Command {
	cmd := newGroup("import", "Take over what another system deploys")
	cmd.AddCommand(newImportPipeCDCommand(s, platforms))
	return cmd
}

func newImportPipeCDCommand(s streams, platforms []linter) *cobra.Command {
	i := &importing{verb: &verb{s: s}, lint: lintOptions{s: s, platforms: platforms}}
	cmd := &cobra.Command{
		Use:   "pipecd DIR|EXPORT",
		Short: "List what PipeCD deploys and what would differ here, and register it",
		Long: `List the applications and agents of PipeCD, and what would differ here. DIR is a clone of a repository with application
files, .pipe and agent files; EXPORT is what "pipectl application list", "pipectl application get" or "pipectl transfer
backup" wrote, pages of a list after one another. Nothing is changed and no server is asked, unless --register is given:
then every listed application is registered whose file an agent here has found in git. What is disabled there, or registered
here already, is left alone, so it may be repeated.

Two systems must not deploy one application: stop Piped, or disable the applications there, before you register them.`,
		Example: "  penstock import pipecd .\n  penstock import pipecd backup.json -o json\n  penstock import pipecd backup.json --register --agent 3f1d…=0198c2f4…",
		Args:    exactly(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return i.run(cmd.Context(), args[0]) },
	}
	i.connectionFlags(cmd)
	f := cmd.Flags()
	f.StringVarP(&i.format, "output", "o", "table", "table, json or yaml")
	f.BoolVar(&i.register, "register", false, "register the applications; without it they are only listed")
	f.StringToStringVar(&i.agents, "agent", nil, "PIPED=AGENT: the identity here that takes the place of a Piped, when several have found a file")
	f.StringVar(&i.provider, "provider", "", "platform provider, where the source names none and the agent has several")
	return cmd
}

func (i *importing) run(ctx context.Context, source string) error {
	if !slices.Contains([]string{"table", "json", "yaml"}, i.format) {
		return usagef("-o %s is not one of table, json, yaml", i.format)
	}
	found, err := i.read(ctx, source)
	if err != nil {
		return err
	}
	var results []registration
	if i.register {
		if results, err = i.registerAll(ctx, found.Applications); err != nil {
			return err
		}
	}
	if i.format == "table" {
		i.show(found, results)
	} else {
		raw, err := json.Marshal(struct {
			foreign
			Registered []registration `json:"registered,omitempty"`
		}{found, results})
		if err != nil {
			return err
		}
		if err := i.data(raw); err != nil {
			return err
		}
	}
	if found.problems() > 0 || slices.ContainsFunc(results, func(r registration) bool { return r.Problem != "" }) {
		return &statusError{code: exitError}
	}
	return nil
}

// read takes the source for a folder, or a file that holds an export.
func (i *importing) read(ctx context.Context, source string) (foreign, error) {
	name := i.s.path(source)
	info, err := os.Stat(name)
	if err != nil {
		return foreign{}, &deploy.Error{Code: deploy.CodeNotFound, Object: source, Message: "there is no such folder or export"}
	}
	if info.IsDir() {
		return i.readFolder(ctx, source)
	}
	f, err := os.Open(name)
	if err != nil {
		return foreign{}, err
	}
	defer f.Close() //nolint:errcheck // only read
	data, err := io.ReadAll(io.LimitReader(f, maxExport+1))
	if err != nil {
		return foreign{}, err
	}
	if len(data) > maxExport {
		return foreign{}, &deploy.Error{Code: deploy.CodeTooLarge, Object: source, Message: fmt.Sprintf("an export of more than %d MiB is not read; split it", maxExport>>20)}
	}
	if !isExport(data) {
		return foreign{}, usagef("%s is neither a folder nor a JSON export; to check one file: penstock lint %s", source, source)
	}
	out, err := readExport(source, data)
	sortForeign(out.Applications)
	out.Differs = append(out.Differs, differsForAll...)
	return out, err
}

func sortForeign(apps []foreignApp) {
	slices.SortStableFunc(apps, func(a, b foreignApp) int {
		return cmp.Or(cmp.Compare(a.Repo, b.Repo), cmp.Compare(a.Path, b.Path), cmp.Compare(a.File, b.File))
	})
}

func (f foreign) problems() int {
	n := 0
	for _, a := range f.Applications {
		n += boolInt(a.Problem != "")
	}
	for _, a := range f.Agents {
		n += boolInt(a.Problem != "")
	}
	return n
}

// registration is what became of one application.
type registration struct {
	Name    string `json:"name"`
	File    string `json:"file"`
	ID      string `json:"id,omitempty"`
	State   string `json:"state"`
	Problem string `json:"problem,omitempty"`
}

// registerAll registers every application that can be; the problem of one does not stop the others.
func (i *importing) registerAll(ctx context.Context, apps []foreignApp) ([]registration, error) {
	c, err := i.connect()
	if err != nil {
		return nil, err
	}
	found, err := discovered(ctx, c)
	if err != nil {
		return nil, err
	}
	known, err := client.All(0, func(token string, size int32) ([]*penstockv1.Application, string, error) {
		res, err := c.Applications.ListApplications(ctx, connect.NewRequest(&penstockv1.ListApplicationsRequest{Page: &penstockv1.PageRequest{PageSize: size, PageToken: token}}))
		if err != nil {
			return nil, "", err
		}
		return res.Msg.Applications, res.Msg.Page.GetNextPageToken(), nil
	})
	if err != nil {
		return nil, err
	}
	out := make([]registration, 0, len(apps))
	for _, a := range apps {
		r := registration{Name: a.Name, File: a.place()}
		if err := i.registerOne(ctx, c, a, found, known, &r); err != nil {
			if code := deploy.CodeOf(err); code == deploy.CodeUnauthorized || code == deploy.CodeDenied || ctx.Err() != nil {
				return out, err // so would all others
			}
			r.State, r.Problem = "not registered", err.Error()
		}
		out = append(out, r)
	}
	return out, nil
}

func (i *importing) registerOne(ctx context.Context, c *client.Client, a foreignApp, found []*penstockv1.DiscoveredApplication, known []*penstockv1.Application, r *registration) error {
	for _, k := range known {
		if a.is(k.RepoId, k.Path, k.ConfigFile) && (i.agentFor(a) == "" || k.AgentId == i.agentFor(a)) {
			r.State, r.ID = "registered before", k.Id
			return nil
		}
	}
	switch {
	case a.Problem != "":
		return fmt.Errorf("not tried: %s", firstLine(a.Problem))
	case a.Disabled:
		r.State = "left out: disabled there"
		return nil
	case !i.deploys(a.Kind):
		r.State = "left out: " + a.Kind + " is not deployed by this version"
		return nil
	}
	d, err := i.choose(a, found)
	if err != nil {
		return err
	}
	q := &penstockv1.AddApplicationRequest{AgentId: d.AgentId, RepoId: d.RepoId, Path: d.Path, ConfigFile: d.ConfigFile, Provider: cmp.Or(a.Provider, i.provider)}
	if q.Provider == "" && len(d.Providers) == 1 {
		q.Provider = d.Providers[0]
	}
	if !slices.Contains(d.Providers, q.Provider) {
		return fmt.Errorf("the agent %s has no platform provider %q for %s; it has %s", d.AgentId, q.Provider, d.Kind, cmp.Or(strings.Join(d.Providers, ", "), "none"))
	}
	if d.Name != a.Name && a.Name != "" {
		q.Name = a.Name
	}
	res, err := c.Applications.AddApplication(ctx, connect.NewRequest(q))
	if err != nil {
		return err
	}
	r.ID, r.State = res.Msg.Application.Id, "registered"
	return nil
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// is says whether a place in git is that of the application. A folder does not tell the id of its repository.
func (a foreignApp) is(repo, dir, file string) bool {
	return (a.Repo == "" || a.Repo == repo) && a.Path == strings.Trim(dir, "/") && a.File == file
}

func (a foreignApp) place() string {
	if a.Repo == "" {
		return filePath(a.Path, a.File)
	}
	return a.Repo + ":" + filePath(a.Path, a.File)
}

// agentFor is the identity that takes the application, when that was said.
func (i *importing) agentFor(a foreignApp) string {
	if to, ok := i.agents[a.Agent]; ok {
		return to
	}
	return i.agents["*"]
}

// deploys says whether a platform of this version reads the kind. Which platform a file of kind Application has is seen when
// it is registered.
func (i *importing) deploys(kind string) bool {
	return kind == "Application" || slices.ContainsFunc(i.lint.platforms, func(p linter) bool { return string(p.Kind()) == kind })
}

// choose finds the file that an agent here has found for the application.
func (i *importing) choose(a foreignApp, found []*penstockv1.DiscoveredApplication) (*penstockv1.DiscoveredApplication, error) {
	var fit []*penstockv1.DiscoveredApplication
	for _, d := range found {
		if to := i.agentFor(a); a.is(d.RepoId, d.Path, d.ConfigFile) && (to == "" || to == d.AgentId) {
			fit = append(fit, d)
		}
	}
	switch {
	case len(fit) == 0:
		return nil, fmt.Errorf("no agent here has found %s; give an agent the repository%s, and see what was found with: penstock app discover", a.place(), repoHint(a))
	case len(fit) > 1:
		var names []string
		for _, d := range fit {
			names = append(names, d.AgentId)
		}
		return nil, fmt.Errorf("the agents %s have found it; choose with --agent %s=AGENT", strings.Join(names, ", "), cmp.Or(a.Agent, "*"))
	case fit[0].InvalidDetail != "":
		return nil, fmt.Errorf("the file cannot be used: %s", firstLine(fit[0].InvalidDetail))
	}
	return fit[0], nil
}

func repoHint(a foreignApp) string {
	if a.Repo == "" {
		return ""
	}
	return " under the id " + a.Repo
}
