package server

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"connectrpc.com/connect"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/engine"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
	"github.com/penstock-cd/penstock/internal/spec"
	"github.com/penstock-cd/penstock/internal/store"
	"github.com/penstock-cd/penstock/internal/wire"
)

const maxCandidates = 2000

// ReportHead implements AgentService: a branch moved. The server gives each
// observed movement an id, so that A→B→A deploys three times and a repeated
// report deploys nothing.
func (s *Server) ReportHead(ctx context.Context, req *connect.Request[penstockv1.ReportHeadRequest]) (*connect.Response[penstockv1.ReportHeadResponse], error) {
	m := req.Msg
	if len(m.Candidates) > maxCandidates || m.RepoId == "" || m.New == "" && m.Error == "" {
		return nil, deploy.Errorf(deploy.CodeInvalid, "ReportHead needs a repository, a head or an error, and at most %d candidates", maxCandidates)
	}
	var out *penstockv1.ReportHeadResponse
	err := s.update(ctx, linkEntry(ctx, ""), func(b *book) error {
		out = &penstockv1.ReportHeadResponse{}
		x, err := b.session(m.SessionId, who(ctx).Owner)
		if err != nil {
			return err
		}
		if !x.watches(m.RepoId) {
			return &deploy.Error{Code: deploy.CodeInvalid, Object: m.RepoId, Message: "the process did not declare this repository when it said Hello"}
		}
		h, err := b.head(x.AgentID, m.RepoId, m.Branch)
		if err != nil {
			return err
		}
		if m.Error != "" {
			return b.headUnreadable(x, m, h)
		}
		return b.headMoved(x, m, h, out)
	})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(out), nil
}

// watches reports whether a process declared a repository.
func (x session) watches(repo string) bool {
	for _, r := range x.Repositories {
		if r.ID == repo {
			return true
		}
	}
	return false
}

// headUnreadable notes why a branch cannot be read. It is reported with every
// poll, and noted once.
func (b *book) headUnreadable(x session, m *penstockv1.ReportHeadRequest, h branchHead) error {
	text := clip(m.Error, 2000)
	if h.Error == text {
		return nil
	}
	h.Error = text
	b.tellAgent(x)
	return b.keepHead(x.AgentID, m.RepoId, m.Branch, h)
}

// tellAgent tells readers of the agents page to look again.
func (b *book) tellAgent(x session) {
	b.then(func() {
		b.s.hub.publishSide(sideChange{project: b.project, kind: "agent", id: x.AgentID, typ: "PROCESS"})
	})
}

func (b *book) headMoved(x session, m *penstockv1.ReportHeadRequest, h branchHead, out *penstockv1.ReportHeadResponse) error {
	known := h.Commit.Hash
	if known != m.Old && known != m.New {
		out.Head = known
		return nil
	}
	if known != m.New {
		h = branchHead{MovementID: b.s.opt.NewID(), Commit: boundCommit(wire.CommitFromWire(m.Commit)), Error: h.Error}
		h.Commit.Hash = m.New
	}
	if h.Error != "" {
		h.Error = ""
		b.tellAgent(x)
	}
	if err := b.keepHead(x.AgentID, m.RepoId, m.Branch, h); err != nil {
		return err
	}
	out.MovementId = h.MovementID
	for _, c := range m.Candidates {
		id, err := b.candidate(x, m, h, c)
		if err != nil {
			return err
		}
		if id != "" {
			out.DeploymentIds = append(out.DeploymentIds, id)
		}
	}
	return nil
}

// candidate records what a movement means for one application and deploys it if due.
func (b *book) candidate(x session, m *penstockv1.ReportHeadRequest, h branchHead, c *penstockv1.Candidate) (string, error) {
	a, err := b.application(c.ApplicationId)
	if deploy.CodeOf(err) == deploy.CodeNotFound {
		return "", nil // deleted since the process fetched its work
	}
	if err != nil || a.AgentID != x.AgentID || a.RepoID != m.RepoId {
		return "", err
	}
	if a.Parked != "" { // the others go on
		b.tell("record a movement", a.ID, deploy.Refuse(deploy.RefusedParked, a.ID, "an event of type %s is not known to this version", a.Parked))
		return "", nil
	}
	key := deploy.TriggerKey(deploy.OnCommit, a.ID, h.MovementID)
	if a.MovementID == h.MovementID { // a repeat: the first answer
		rec, _, err := b.Get(store.Triggers, key)
		return string(rec.Body), err
	}
	why, err := reason(c.Why)
	if err != nil {
		return "", fmt.Errorf("candidate %s: %w", c.ApplicationId, err)
	}
	if a, err = b.follow(a, m, c); err != nil {
		return "", err
	}
	h.Commit.File = clip(spec.ApplicationFile(a.Path, a.ConfigFile), 1200)
	if a, err = b.decideApp(a, engine.HeadMoved{MovementID: h.MovementID, Old: m.Old, Commit: h.Commit, Due: c.Due, Why: why}); err != nil {
		return "", err
	}
	if c.InvalidDetail != "" {
		_, err := b.decideApp(a, engine.FileInvalid{Commit: h.Commit.Hash, Detail: clipEncoded(c.InvalidDetail, deploy.MaxEventBytes/2)})
		return "", err
	}
	if a, err = b.decideApp(a, engine.FileValid{}); err != nil {
		return "", err
	}
	if c.Name != "" {
		ref := a.Ref
		ref.Name, ref.Labels, ref.Desc = clip(c.Name, 200), boundLabels(c.Labels), clip(c.Description, 1000)
		if a, err = b.decideApp(a, engine.Update{App: ref}); err != nil {
			return "", err
		}
	}
	if !c.Due || a.Disabled {
		return "", nil
	}
	return b.trigger(a, deploy.Trigger{
		Kind: deploy.OnCommit, Key: key, Commit: h.Commit, Branch: m.Branch, Why: why,
	})
}

// follow moves a registration to where its file went in git. The record goes on:
// history, last good state, holds and claims are those of the application, not of
// its folder. A place that another application has is not taken.
func (b *book) follow(a deploy.Application, m *penstockv1.ReportHeadRequest, c *penstockv1.Candidate) (deploy.Application, error) {
	if c.MovedFile == "" {
		return a, nil
	}
	known, err := b.registeredPaths(a.AgentID, a.RepoID)
	if err != nil {
		return a, err
	}
	to := strings.TrimPrefix(c.MovedPath+"/"+c.MovedFile, "/")
	from := strings.TrimPrefix(a.Path+"/"+a.ConfigFile, "/")
	if known[c.MovedPath+"/"+c.MovedFile] {
		if to != from {
			c.InvalidDetail = from + ":1:1: the file is gone, and " + to + " of the same commit belongs to another application"
		}
		return a, nil
	}
	ref := a.Ref
	ref.Path, ref.ConfigFile = clip(c.MovedPath, 1000), clip(c.MovedFile, 200)
	a, err = b.decideApp(a, engine.Update{App: ref, Why: deploy.Why(deploy.ReasonMoved, "from", from, "to", to)})
	if err != nil {
		return a, err
	}
	found := discovered{AgentID: a.AgentID, RepoID: m.RepoId, Path: ref.Path, ConfigFile: ref.ConfigFile}
	if err := b.Delete(store.Discovered, found.key()); err != nil {
		return a, err
	}
	return a, b.wakeAgent(a.AgentID)
}

// clip bounds a text that somebody else made to n bytes, by whole characters.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

// clipEncoded bounds a text so that it takes at most n bytes in an event.
func clipEncoded(s string, n int) string {
	for s = clip(s, n); ; s = clip(s, len(s)*9/10) {
		if b, err := json.Marshal(s); err != nil || len(b) <= n {
			return s
		}
	}
}

// maxLabels is how many labels of an application are kept.
const maxLabels = 20

// boundLabels bounds the labels of a file; of too many the first by name stay.
func boundLabels(labels map[string]string) map[string]string {
	keys := make([]string, 0, len(labels))
	for k := range labels {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	var out map[string]string
	for _, k := range keys[:min(len(keys), maxLabels)] {
		if out == nil {
			out = map[string]string{}
		}
		out[clip(k, 63)] = clip(labels[k], 120)
	}
	return out
}

// boundCommit bounds what people write about a commit.
func boundCommit(c deploy.Commit) deploy.Commit {
	c.Subject, c.Author, c.URL = clip(c.Subject, 400), clip(c.Author, 200), clip(c.URL, 500)
	return c
}

// discovered is an application file in git that is not registered.
type discovered struct {
	AgentID    string            `json:"agentId"`
	RepoID     string            `json:"repoId"`
	Branch     string            `json:"branch"`
	Path       string            `json:"path"`
	ConfigFile string            `json:"configFile"`
	Name       string            `json:"name"`
	Kind       string            `json:"kind"`
	Labels     map[string]string `json:"labels,omitempty"`
	Desc       string            `json:"desc,omitempty"`
	Providers  []string          `json:"providers,omitempty"`
	Invalid    string            `json:"invalid,omitempty"`
	Remote     string            `json:"remote,omitempty"`
}

func (d discovered) key() string {
	return d.AgentID + "/" + d.RepoID + "/" + d.Path + "/" + d.ConfigFile
}

// ReportFiles implements AgentService: the application files of a repository.
// Those that are not registered are offered, or register themselves where the
// project says so and the provider is beyond doubt.
func (s *Server) ReportFiles(ctx context.Context, req *connect.Request[penstockv1.ReportFilesRequest]) (*connect.Response[penstockv1.ReportFilesResponse], error) {
	m := req.Msg
	if len(m.Files) > maxCandidates {
		return nil, deploy.Errorf(deploy.CodeTooLarge, "a repository may hold %d application files, this one has %d", maxCandidates, len(m.Files))
	}
	out := &penstockv1.ReportFilesResponse{}
	p, err := s.project(ctx, who(ctx).Project)
	if err != nil {
		return nil, err
	}
	err = s.update(ctx, linkEntry(ctx, ""), func(b *book) error {
		x, err := b.session(m.SessionId, who(ctx).Owner)
		if err != nil {
			return err
		}
		if !x.watches(m.RepoId) {
			return &deploy.Error{Code: deploy.CodeInvalid, Object: m.RepoId, Message: "the process did not declare this repository when it said Hello"}
		}
		known, err := b.registeredPaths(x.AgentID, m.RepoId)
		if err != nil {
			return err
		}
		found := map[string]discovered{}
		out.Registered = false
		for _, f := range m.Files {
			if known[f.Path+"/"+f.ConfigFile] {
				continue
			}
			known[f.Path+"/"+f.ConfigFile] = true
			d := discoveredFrom(x, m, f)
			if p.AutoRegister && d.Invalid == "" && len(d.Providers) == 1 {
				if _, err := b.register(d, d.Providers[0]); err != nil {
					return err
				}
				out.Registered = true
				continue
			}
			found[d.key()] = d
		}
		if err := b.keepDiscovered(x.AgentID, m.RepoId, found); err != nil {
			return err
		}
		if out.Registered {
			return b.wakeAgent(x.AgentID)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(out), nil
}

func discoveredFrom(x session, m *penstockv1.ReportFilesRequest, f *penstockv1.DiscoveredApplication) discovered {
	d := discovered{
		AgentID: x.AgentID, RepoID: m.RepoId, Branch: m.Branch, Path: clip(f.Path, 1000), ConfigFile: clip(f.ConfigFile, 200),
		Name: clip(f.Name, 200), Kind: clip(f.Kind, 100), Labels: boundLabels(f.Labels), Desc: clip(f.Description, 1000), Providers: f.Providers, Invalid: clip(f.InvalidDetail, 8000),
	}
	for _, r := range x.Repositories {
		if r.ID == m.RepoId {
			d.Remote = r.Remote
		}
	}
	return d
}

func (b *book) registeredPaths(agentID, repo string) (map[string]bool, error) {
	apps, err := b.applicationsOf(agentID)
	known := map[string]bool{}
	for _, a := range apps {
		if a.RepoID == repo {
			known[a.Path+"/"+a.ConfigFile] = true
		}
	}
	return known, err
}

// keepDiscovered makes the offered files of a repository these, and writes
// only what differs.
func (b *book) keepDiscovered(agentID, repo string, found map[string]discovered) error {
	old, err := listAll(b, store.Discovered, store.Query{Where: map[string][]string{"agent_id": {agentID}, "repo_id": {repo}}})
	if err != nil {
		return err
	}
	was := map[string][]byte{}
	for _, r := range old {
		was[r.Key] = r.Body
		if _, still := found[r.Key]; !still {
			if err := b.Delete(store.Discovered, r.Key); err != nil {
				return err
			}
		}
	}
	for key, d := range found {
		body, err := json.Marshal(d)
		if err != nil {
			return err
		}
		if bytes.Equal(body, was[key]) {
			continue
		}
		if err := b.Put(store.Discovered, store.Record{Key: key, Body: body, Index: map[string]string{"agent_id": d.AgentID, "repo_id": d.RepoID}}); err != nil {
			return err
		}
	}
	return nil
}

// clearUndeclared removes what was found in repositories that no process of an
// identity declares any more.
func (b *book) clearUndeclared(agentID string, live []session) error {
	found, err := listAll(b, store.Discovered, store.Query{Where: map[string][]string{"agent_id": {agentID}}})
	if err != nil {
		return err
	}
	for _, r := range found {
		declared := false
		for _, x := range live {
			declared = declared || x.watches(r.Index["repo_id"])
		}
		if declared {
			continue
		}
		if err := b.Delete(store.Discovered, r.Key); err != nil {
			return err
		}
	}
	return nil
}

// nameOf is the name of an application: lists need one.
func nameOf(d discovered) string {
	if d.Name != "" {
		return d.Name
	}
	if d.Path != "" {
		return path.Base(d.Path)
	}
	return d.RepoID
}

// register records an application that was found in git.
func (b *book) register(d discovered, provider string) (deploy.Application, error) {
	ref := deploy.Ref{
		ID: b.s.opt.NewID(), Name: nameOf(d), Kind: deploy.Kind(d.Kind), AgentID: d.AgentID, Provider: provider, RepoID: d.RepoID,
		Branch: d.Branch, Path: d.Path, ConfigFile: d.ConfigFile, Labels: d.Labels, Desc: d.Desc, RemoteURL: d.Remote,
	}
	a, err := b.decideApp(deploy.Application{}, engine.Register{ProjectID: b.project, App: ref})
	if err != nil {
		return a, err
	}
	return a, b.Delete(store.Discovered, d.key())
}
