package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/penstock-cd/penstock/internal/platform"
	"github.com/penstock-cd/penstock/internal/platform/builtin"
	"github.com/penstock-cd/penstock/internal/spec"
)

// differsForAll is what differs for everybody who comes from PipeCD. What a file makes different stands with its application.
var differsForAll = []string{
	"two systems must not deploy one application: stop Piped or disable the applications there before they are registered",
	"a live service is taken over through its pipeline: its state is recorded first, and when it runs what git declares nothing is done",
	"a commit that changes nothing ends as SUCCESS without a write; commits that wait are replaced by newer ones",
	"a rollback goes to the live state recorded before, and holds the application until a newer state is declared or a person syncs it",
	"the history of deployments, roles and keys stay there; every difference: docs/guide/moving-from-pipecd.md",
}

// readFolder reads a clone of a repository, with the eyes of lint.
func (i *importing) readFolder(ctx context.Context, source string) (foreign, error) {
	dir, err := filepath.Abs(i.s.path(source))
	if err != nil {
		return foreign{}, err
	}
	if !inRepository(dir) {
		i.lint.root = source // an unpacked copy
	}
	files, err := i.lint.find([]string{source})
	if err != nil {
		return foreign{}, err
	}
	out := foreign{}
	for _, name := range files {
		if err := i.readForeign(ctx, name, &out); err != nil {
			return foreign{}, err
		}
	}
	sortForeign(out.Applications)
	out.Differs = append(out.Differs, differsForAll...)
	return out, nil
}

// inRepository says whether a folder or one above it is a clone.
func inRepository(dir string) bool {
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Lstat(filepath.Join(dir, ".git")); err == nil {
			return true
		}
		if dir == filepath.Dir(dir) {
			return false
		}
	}
}

func (i *importing) readForeign(ctx context.Context, name string, out *foreign) error {
	data, err := readLimited(name)
	if err != nil {
		return err
	}
	r, err := i.lint.repository(name)
	if err != nil {
		return err
	}
	defer r.root.Close() //nolint:errcheck // only read
	at := r.inside(name)
	problems, _, err := i.lint.lintFile(ctx, name)
	if err != nil {
		return err
	}
	problem, differs := sayProblems(problems)
	switch {
	case isPiped(data):
		agent := foreignAgent{File: r.display(at), Problem: problem, Differs: differs}
		if p, _, err := spec.ReadPiped(at, data); err == nil {
			agent.tell(p)
		}
		out.Agents = append(out.Agents, agent)
	case inSharedFolder(at) && !spec.IsApplicationFile(at):
		out.Differs = append(out.Differs, differs...)
		if problem != "" {
			out.Differs = append(out.Differs, problem)
		}
	default:
		app := foreignApp{Name: path.Base(path.Dir(at)), Path: strings.Trim(path.Dir("/"+at), "/"), File: path.Base(at), Problem: problem, Differs: differs}
		if a, _, err := spec.ReadApplication(at, data); err == nil {
			app.Kind, app.Name = string(a.Kind), a.Name
			if a.Name == "" && app.Problem == "" {
				app.Problem = r.display(at) + ":" + fmt.Sprint(a.Pos.Line) + ": spec.name is empty; an application needs a name to be found"
			}
		} else if n, _, perr := spec.Parse(at, data); perr == nil {
			app.Kind = n.Get("kind").Text()
		}
		out.Applications = append(out.Applications, app)
	}
	return nil
}

// sayProblems makes one problem of the errors of a file, and differences of its warnings.
func sayProblems(list []problem) (wrong string, differs []string) {
	var errs []string
	for _, p := range list {
		line := fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Column, p.words())
		if p.Severity == "error" {
			errs = append(errs, line)
		} else {
			differs = append(differs, line)
		}
	}
	return strings.Join(errs, "\n"), differs
}

// tell copies what is not secret, and says what differs by value. What has no effect was said by the decoder.
func (f *foreignAgent) tell(p *spec.Piped) {
	f.ID, f.Name, f.Address = p.PipedID, p.Name, p.APIAddress
	for _, r := range p.Repositories {
		f.Repositories = append(f.Repositories, r.RepoID+"="+bareRemote(r.Remote)+"@"+r.Branch)
	}
	for _, v := range p.PlatformProviders {
		f.Providers = append(f.Providers, v.Type+"/"+v.Name)
	}
	say := func(yes bool, format string, args ...any) {
		if yes {
			f.Differs = append(f.Differs, fmt.Sprintf(format, args...))
		}
	}
	say(true, "pipedID, its key, apiAddress and projectID are those of this system: penstock agent register %s", cmp.Or(p.Name, "NAME"))
	say(p.SyncInterval == spec.DefaultSyncInterval, "syncInterval: 10 s when it is left out, or shorter")
	say(slices.ContainsFunc(p.Repositories, func(r spec.Repository) bool { return isSSH(r.Remote) }) && p.Git.SSHKnownHosts == "" && p.Git.SSHKnownHostsFile == "" && !p.Git.SSHAcceptNew,
		"git: the key of an ssh host has to be known: sshKnownHosts, unless the host is github.com, gitlab.com or bitbucket.org")
	say(p.Git.Email == spec.DefaultGitEmail, "git.email: %s when it is left out", spec.DefaultGitEmail)
	others := map[string]bool{}
	for _, v := range p.PlatformProviders {
		if !deployedTo(v.Type) && !others[v.Type] {
			others[v.Type] = true
			say(true, "platform providers of type %s: nothing is deployed to them by this version", v.Type)
		}
	}
}

// deployedTo reports whether a platform of this version belongs to a type of provider: ECS is that of ECSApp.
func deployedTo(kind string) bool {
	return slices.ContainsFunc(builtin.Platforms(builtin.Options{}), func(p platform.Platform) bool {
		return strings.ToUpper(strings.TrimSuffix(string(p.Kind()), "App")) == kind
	})
}

var userInfo = regexp.MustCompile(`//[^/]*@`)

// bareRemote is the address of a repository without the credentials that people write into it.
func bareRemote(remote string) string { return userInfo.ReplaceAllString(remote, "//") }

func isSSH(remote string) bool {
	return strings.HasPrefix(remote, "ssh://") || strings.Contains(remote, "@") && !strings.Contains(remote, "://")
}

// show prints everything for people.
func (i *importing) show(f foreign, results []registration) {
	s := i.s
	if len(f.Applications) > 0 {
		rows := make([][]string, len(f.Applications))
		for n, a := range f.Applications {
			state := "as it is"
			switch {
			case a.Problem != "":
				state = "cannot be taken over"
			case !i.deploys(a.Kind):
				state = "not deployed by this version"
			case a.Disabled:
				state = "disabled there"
			case a.ID != "":
				state = "its file was not read"
			case len(a.Differs) > 0:
				state = count(len(a.Differs), "difference")
			}
			rows[n] = []string{a.Name, a.Kind, a.place(), a.Agent, a.Provider, state}
		}
		s.table([]string{"APPLICATION", "KIND", "FILE", "PIPED", "PROVIDER", "HERE"}, rows)
	}
	for _, a := range f.Applications {
		i.section(a.Name+" ("+a.place()+")", a.Problem, a.Differs)
	}
	for _, a := range f.Agents {
		facts := []string{}
		for _, one := range [][2]string{{"repositories", strings.Join(a.Repositories, ", ")}, {"providers", strings.Join(a.Providers, ", ")}, {"address", a.Address}} {
			if one[1] != "" {
				facts = append(facts, one[0]+": "+one[1])
			}
		}
		i.section("Piped "+cmp.Or(a.Name, a.ID, a.File)+" ("+cmp.Or(a.File, a.ID)+")", a.Problem, append(facts, a.Differs...))
	}
	i.section("For all", "", f.Differs)
	if results == nil {
		fmt.Fprintln(s.Err, "nothing was changed; register the applications with --register")
		return
	}
	fmt.Fprintln(s.Out)
	rows := make([][]string, len(results))
	for n, r := range results {
		rows[n] = []string{r.Name, r.File, r.State, r.ID, firstLine(r.Problem)}
	}
	s.table([]string{"APPLICATION", "FILE", "STATE", "ID", "PROBLEM"}, rows)
}

func (i *importing) section(title, problem string, lines []string) {
	if problem == "" && len(lines) == 0 {
		return
	}
	fmt.Fprintf(i.s.Out, "\n%s\n", plain(title))
	for line := range strings.Lines(problem) {
		fmt.Fprintf(i.s.Out, "  %s: %s\n", i.s.paint("error"), plain(strings.TrimRight(line, "\n")))
	}
	for _, line := range lines {
		fmt.Fprintf(i.s.Out, "  %s\n", plain(line))
	}
}
