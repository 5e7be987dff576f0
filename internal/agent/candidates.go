package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/penstock-cd/penstock/internal/client"
	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/git"
	"github.com/penstock-cd/penstock/internal/spec"
)

// Bounds of the search for application files.
const (
	maxFoundFiles    = 2000 // what the control plane takes
	maxFoundFileSize = 256 << 10
)

// appRule is what an application's file says about commits. It is read again
// only when the file itself changed.
type appRule struct {
	rule    deploy.CommitRule
	invalid string // why the file cannot be used, "" when it can
	missing bool   // there is no such file
	wide    bool   // it names paths beside its folder
	name    string
	labels  map[string]string
	desc    string
}

// move is a movement of a branch as candidates see it.
type move struct {
	old, new string
	changed  []string
	all      bool            // every path counts as changed
	fresh    map[string]bool // applications that were never looked at
}

// candidates lists the applications that a movement is due for, or whose file changed with it.
func (p *poller) candidates(ctx context.Context, repo Repo, m move) []client.Candidate {
	p.mu.Lock()
	apps, place := p.apps, p.place
	p.mu.Unlock()
	touched := make(map[string]bool, len(m.changed))
	for _, c := range m.changed {
		touched[c] = true
	}
	var out []client.Candidate
	for id := range p.affected(apps, place, m) {
		app, known := apps[id]
		if !known || app.Deleted {
			delete(p.rules, id)
			continue
		}
		if c, ok := p.candidate(ctx, repo, m, app, touched[spec.ApplicationFile(app.Path, app.ConfigFile)]); ok {
			out = append(out, c)
		}
	}
	slices.SortFunc(out, func(a, b client.Candidate) int { return cmp.Compare(a.ApplicationID, b.ApplicationID) })
	return out
}

// affected are the applications that a movement can matter to: those in whose folder
// something changed, those whose file names further paths, and those whose file was
// not read yet. The others cost nothing.
func (p *poller) affected(apps map[string]deploy.Application, place *places, m move) map[string]bool {
	out := maps.Clone(m.fresh)
	if out == nil {
		out = map[string]bool{}
	}
	if m.old == m.new {
		return out
	}
	if m.all || len(place.unread) > 0 {
		for id := range apps {
			r := p.rules[id]
			out[id] = out[id] || m.all || r == nil
			place.wide[id] = r != nil && r.wide
		}
		maps.DeleteFunc(out, func(_ string, in bool) bool { return !in })
		maps.DeleteFunc(place.wide, func(_ string, in bool) bool { return !in })
		clear(place.unread)
	}
	for id := range place.wide {
		out[id] = true
	}
	for _, c := range m.changed {
		place.above(c, func(id string) { out[id] = true })
	}
	return out
}

// places finds the applications of a path without going through all of them. A
// poller's own goroutine changes wide and unread.
type places struct {
	dirs   map[string][]string // folder → applications
	files  map[string][]string // application file → applications
	wide   map[string]bool     // applications whose file names paths beside its folder
	unread map[string]bool     // applications whose file may not have been read
}

func newPlaces(apps map[string]deploy.Application) *places {
	x := &places{dirs: map[string][]string{}, files: map[string][]string{}, wide: map[string]bool{}, unread: map[string]bool{}}
	for id, app := range apps {
		if app.Deleted {
			continue
		}
		dir, file := path.Clean(app.Path), spec.ApplicationFile(app.Path, app.ConfigFile)
		x.dirs[dir] = append(x.dirs[dir], id)
		x.files[file] = append(x.files[file], id)
		x.unread[id] = true
	}
	return x
}

// above gives the applications in whose folder a path lies, or whose file it is.
func (x *places) above(name string, each func(id string)) {
	for _, id := range x.files[name] {
		each(id)
	}
	for dir := name; dir != "." && dir != "/"; {
		dir = path.Dir(dir)
		for _, id := range x.dirs[dir] {
			each(id)
		}
	}
}

func (p *poller) candidate(ctx context.Context, repo Repo, m move, app deploy.Application, edited bool) (client.Candidate, bool) {
	fresh := m.fresh[app.ID]
	if m.old == m.new && !fresh {
		return client.Candidate{}, false
	}
	edited = edited || m.all || fresh
	r := p.rules[app.ID]
	if r == nil || edited {
		read, err := p.readRule(ctx, repo, m.new, app.Ref)
		if err != nil {
			p.log.Warn("an application file cannot be read", "application", app.Name, "commit", m.new, "error", err)
			read = &appRule{rule: deploy.CommitRule{Dir: app.Path}, invalid: err.Error()}
		}
		if r != nil && read.invalid != "" {
			read.rule, read.wide = r.rule, r.wide // the rule that held before decides whether it would be due
		}
		if read.missing {
			return p.gone(ctx, repo, m, app, read)
		}
		r = read
		p.rules[app.ID] = r
	}
	if r.wide {
		p.widen(app.ID)
	}
	c := client.Candidate{ApplicationID: app.ID, InvalidDetail: clip(r.invalid, 2*maxDetail)}
	c.Due, c.Why = due(r.rule, m, fresh)
	if edited && r.invalid == "" {
		c.Name, c.Labels, c.Description = r.name, r.labels, r.desc
	}
	return c, c.Due || edited
}

// gone reports an application whose file is gone: the registration moves with a
// folder that was renamed, so that its record goes on; else it says so.
func (p *poller) gone(ctx context.Context, repo Repo, m move, app deploy.Application, read *appRule) (client.Candidate, bool) {
	c := client.Candidate{ApplicationID: app.ID}
	to := p.moveOf(ctx, repo, m, app)
	if len(to) == 1 {
		ref := app.Ref
		ref.Path, ref.ConfigFile = strings.TrimSuffix(path.Dir(to[0]), "."), path.Base(to[0])
		moved, err := p.readRule(ctx, repo, m.new, ref)
		if err == nil && !moved.missing {
			p.rules[app.ID] = moved
			if moved.wide {
				p.widen(app.ID)
			}
			c.MovedPath, c.MovedFile, c.InvalidDetail = ref.Path, ref.ConfigFile, clip(moved.invalid, 2*maxDetail)
			c.Name, c.Labels, c.Description = moved.name, moved.labels, moved.desc
			if c.Due, c.Why = due(moved.rule, m, false); c.Due {
				c.Why = deploy.Why(deploy.ReasonMoved, "from", spec.ApplicationFile(app.Path, app.ConfigFile), "to", to[0])
			}
			return c, true
		}
	}
	p.rules[app.ID] = read
	if len(to) > 1 {
		read.invalid += fmt.Sprintf("; several files of the same name came with it (%s): register the one that it is and delete this application", strings.Join(to, ", "))
	}
	c.InvalidDetail = clip(read.invalid, 2*maxDetail)
	c.Due, c.Why = due(read.rule, m, m.fresh[app.ID])
	return c, true
}

// moveOf says where an application's file went that is gone: to those that came with
// the same movement, have its name and kind, and belong to no other application.
// Files that did not change are not read.
func (p *poller) moveOf(ctx context.Context, repo Repo, m move, app deploy.Application) []string {
	var found []string
	for _, name := range m.changed {
		if !spec.IsApplicationFile(name) || name == spec.ApplicationFile(app.Path, app.ConfigFile) || len(found) > 1 || p.registered(name) {
			continue
		}
		data, err := repo.ReadFile(ctx, m.new, name)
		if err != nil {
			continue // deleted with it, or unreadable: not where it went
		}
		file, _, err := spec.ReadApplication(name, data, p.a.opt.Kinds...)
		if err == nil && file != nil && file.Name == app.Name && p.a.kindOf(file) == app.Kind {
			found = append(found, name)
		}
	}
	return found
}

// registered says whether a file is that of a registered application.
func (p *poller) registered(name string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.place.files[name]) > 0
}

// widen notes that an application is to be asked about every movement.
func (p *poller) widen(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.place.wide[id] = true
}

// due decides about one application. The first look is always due, and so is a
// movement whose former head is unknown: the plan finds out whether anything differs.
func due(rule deploy.CommitRule, m move, fresh bool) (bool, deploy.Reason) {
	if !rule.Disabled && fresh {
		return true, deploy.Why(deploy.ReasonCommit, "path", "the application for the first time")
	}
	if !rule.Disabled && m.all {
		return true, deploy.Why(deploy.ReasonCommit, "path", "any file: the former head is unknown")
	}
	return rule.Touches(m.changed)
}

// readRule reads an application's file at a commit. Mistakes in it are part of
// the result; an error means that the repository could not be read.
func (p *poller) readRule(ctx context.Context, repo Repo, commit string, app deploy.Ref) (*appRule, error) {
	r := &appRule{rule: deploy.CommitRule{Dir: app.Path}}
	name := spec.ApplicationFile(app.Path, app.ConfigFile)
	data, err := repo.ReadFile(ctx, commit, name)
	switch {
	case errors.Is(err, git.ErrNotFound):
		r.invalid, r.missing = missingFile(name, commit).Error(), true
		return r, nil
	case err != nil:
		return nil, err
	}
	file, _, err := spec.ReadApplication(name, data, p.a.opt.Kinds...)
	if err != nil {
		r.invalid = err.Error()
	}
	if file == nil {
		return r, nil
	}
	t := file.Trigger.OnCommit
	r.rule = deploy.CommitRule{Disabled: t.Disabled, Dir: app.Path, Paths: t.Paths, Ignores: t.Ignores}
	r.wide = !t.Paths.Empty() || !t.Ignores.Empty()
	r.name, r.labels, r.desc = file.Name, file.Labels, file.Description
	return r, nil
}

// discover reports the application files of a commit when the first commit is
// seen or a file of that kind changed.
func (p *poller) discover(ctx context.Context, repo Repo, m move) error {
	head, changed := m.new, m.changed
	// What is known is of the commit of the last report that arrived.
	all := m.all || !p.filed || p.files != m.old
	if p.filed && (p.files == head || !all && !slices.ContainsFunc(changed, spec.IsApplicationFile)) {
		p.files = head
		return nil
	}
	p.filed = false // until the report has arrived: a lost one is made again by the next poll
	names, err := repo.FindFiles(ctx, head, spec.IsApplicationFile)
	if err != nil {
		return err
	}
	if len(names) > maxFoundFiles {
		p.log.Warn("more application files than are offered", "found", len(names), "offered", maxFoundFiles)
		names = names[:maxFoundFiles]
	}
	report := client.FilesReport{RepoID: p.repo.spec.RepoID, Branch: p.repo.spec.Branch, Commit: head}
	now, err := p.look(ctx, repo, head, names, changed, all)
	if err != nil {
		return err
	}
	for _, name := range names {
		if o := now[name]; o.ok {
			report.Files = append(report.Files, o.file)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, transferLimit)
	defer cancel()
	registered, err := p.a.link.ReportFiles(ctx, p.a.gate.sessionID(), report)
	if err != nil {
		return err
	}
	p.files, p.filed, p.offers = head, true, now
	if registered {
		kick(p.a.workKick)
	}
	return nil
}

// offered is what an application file was described as; ok when it is offered.
type offered struct {
	file client.FoundFile
	ok   bool
}

// look describes the files; those that did not change since the last report are known.
func (p *poller) look(ctx context.Context, repo Repo, head string, names, changed []string, all bool) (map[string]offered, error) {
	edited := make(map[string]bool, len(changed))
	for _, c := range changed {
		edited[c] = true
	}
	now := make(map[string]offered, len(names))
	for _, name := range names {
		if was, known := p.offers[name]; known && !all && !edited[name] {
			now[name] = was
			continue
		}
		f, ok, err := p.found(ctx, repo, head, name)
		if err != nil {
			return nil, err
		}
		now[name] = offered{f, ok}
	}
	return now, nil
}

// found describes one application file; false when it is not to be offered.
func (p *poller) found(ctx context.Context, repo Repo, head, name string) (client.FoundFile, bool, error) {
	f := client.FoundFile{Path: strings.TrimSuffix(path.Dir(name), "."), ConfigFile: path.Base(name)}
	data, err := repo.ReadFile(ctx, head, name)
	switch {
	case errors.Is(err, git.ErrNotRegular), errors.Is(err, git.ErrNotFound), errors.Is(err, git.ErrTooLarge):
		return f, false, nil
	case errors.Is(err, git.ErrLFS): // people know it as an application file
		f.InvalidDetail = spec.Error{File: name, Message: git.ErrLFS.Error() + ": " + git.LFSDetail, Hint: git.LFSHint}.Error()
		return f, true, nil
	case err != nil:
		return f, false, err
	case len(data) > maxFoundFileSize:
		f.InvalidDetail = spec.Error{File: name, Message: "the file is larger than 256 KiB"}.Error()
		return f, true, nil
	}
	file, _, err := spec.ReadApplication(name, data, p.a.opt.Kinds...)
	if err != nil {
		f.InvalidDetail = clip(err.Error(), 2*maxDetail)
	}
	if file == nil {
		return f, err != nil, nil
	}
	for k, v := range p.a.opt.Config.AppSelector {
		if file.Labels[k] != v {
			return f, false, nil
		}
	}
	f.Name, f.Kind, f.Labels, f.Description = file.Name, string(p.a.kindOf(file)), file.Labels, file.Description
	if f.Name == "" && f.InvalidDetail == "" {
		f.InvalidDetail = spec.Error{File: name, Line: file.Pos.Line, Column: file.Pos.Column, Path: "spec.name", Message: "a name is needed to offer the application for registration"}.Error()
	}
	for _, v := range p.a.opt.Config.PlatformProviders {
		if v.Type == file.Platform && !slices.Contains(f.Providers, v.Name) {
			f.Providers = append(f.Providers, v.Name)
		}
	}
	return f, true, nil
}
