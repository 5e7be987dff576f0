package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/penstock-cd/penstock/internal/spec"
)

// maxExport is the largest export that is read, in bytes: a thousand applications need about two million.
const maxExport = 64 << 20

// foreignApp is an application as PipeCD's control plane, or a file of a repository, tells of it.
type foreignApp struct {
	ID       string `json:"id,omitempty"`
	Name     string `json:"name"`
	Kind     string `json:"kind"` // of a file: ECSApp
	Agent    string `json:"agent,omitempty"`
	Repo     string `json:"repository,omitempty"` // id; of a folder not known
	Path     string `json:"path"`
	File     string `json:"file"`
	Provider string `json:"provider,omitempty"`
	Disabled bool   `json:"disabled,omitempty"`
	// Differs is what will not be as it was; Problem why it cannot be taken over, if so.
	Differs []string `json:"differs,omitempty"`
	Problem string   `json:"problem,omitempty"`
}

// foreignAgent is a Piped, as a file or an export tells of it. It holds no secret.
type foreignAgent struct {
	ID           string   `json:"id"`
	Name         string   `json:"name,omitempty"`
	File         string   `json:"file,omitempty"`
	Address      string   `json:"address,omitempty"`
	Repositories []string `json:"repositories,omitempty"` // id=remote@branch
	Providers    []string `json:"providers,omitempty"`    // type/name
	Differs      []string `json:"differs,omitempty"`
	Problem      string   `json:"problem,omitempty"`
}

// foreign is everything that a source tells.
type foreign struct {
	Applications []foreignApp   `json:"applications"`
	Agents       []foreignAgent `json:"agents"`
	Differs      []string       `json:"differs"`
}

// The part of PipeCD's records that is read. Its tools write them with the names of the fields in lower case and the
// numbers of enumerations, and leave out what is zero; the API's own JSON has the names of the values.
type (
	exportFile struct {
		Applications []exportApp
		Application  *exportApp
		Pipeds       []exportPiped
		Cursor       string
	}
	exportApp struct {
		ID, Name, Description string
		PipedID               string `json:"piped_id"`
		Kind                  exportKind
		GitPath               exportGitPath `json:"git_path"`
		PlatformProvider      string        `json:"platform_provider"`
		CloudProvider         string        `json:"cloud_provider"`
		Targets               map[string]struct {
			DeployTargets []string `json:"deploy_targets"`
		} `json:"deploy_targets_by_plugin"`
		Labels            map[string]string
		Disabled, Deleted bool
		Deploying         bool
	}
	exportGitPath struct {
		Repo           exportRepo
		Path           string
		ConfigPath     string `json:"config_path"`
		ConfigFilename string `json:"config_filename"`
	}
	exportRepo     struct{ ID, Remote, Branch string }
	exportProvider struct{ Name, Type string }
	exportPiped    struct {
		ID, Name, Desc, Version string
		Repositories            []exportRepo
		PlatformProviders       []exportProvider `json:"platform_providers"`
		CloudProviders          []exportProvider `json:"cloud_providers"`
		Plugins                 []struct {
			Name          string
			DeployTargets []string `json:"deploy_targets"`
		}
		DesiredVersion   string `json:"desired_version"`
		SecretEncryption *struct {
			Type string
		} `json:"secret_encryption"`
		Disabled bool
	}
)

// exportKind is the kind of an application, by number or by name.
type exportKind string

// exportKinds are the numbers of PipeCD's model.
var exportKinds = map[string]exportKind{"0": "KUBERNETES", "1": "TERRAFORM", "3": "LAMBDA", "4": "CLOUDRUN", "5": "ECS", "6": "APPLICATION"}

// UnmarshalJSON reads a kind.
func (k *exportKind) UnmarshalJSON(data []byte) error {
	word := strings.Trim(string(data), `"`)
	if known, ok := exportKinds[word]; ok {
		*k = known
		return nil
	}
	for _, known := range exportKinds {
		if string(known) == word {
			*k = known
			return nil
		}
	}
	return fmt.Errorf("%s is not a kind of application", strconv.Quote(clipText(word, 40)))
}

func clipText(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n]) + "…"
	}
	return s
}

// isExport tells JSON from YAML by its first character.
func isExport(data []byte) bool {
	t := bytes.TrimLeft(data, "\ufeff \t\r\n")
	return len(t) > 0 && (t[0] == '{' || t[0] == '[')
}

// readExport reads what `pipectl application list`, `application get` or `transfer backup` wrote: one JSON value or
// several after one another, such as the pages of a list.
func readExport(name string, data []byte) (foreign, error) {
	all := exportFile{}
	d := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(data, []byte("\ufeff"))))
	for {
		var raw json.RawMessage
		err := d.Decode(&raw)
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = all.add(raw)
		}
		if err != nil {
			return foreign{}, spec.Errors{placeOf(name, data, d.InputOffset(), err)}
		}
	}
	if len(all.Applications)+len(all.Pipeds) == 0 {
		return foreign{}, spec.Errors{{
			File: name, Line: 1, Column: 1, Message: "the export names no application and no Piped",
			Hint: "write it with pipectl application list, or pipectl transfer backup",
		}}
	}
	return all.foreign(), nil
}

// placeOf finds the line of a mistake.
func placeOf(name string, data []byte, offset int64, err error) spec.Error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		offset = syntax.Offset
	}
	message := clipText(err.Error(), 200)
	if wrong := (*json.UnmarshalTypeError)(nil); errors.As(err, &wrong) {
		message = "the field " + strings.ToLower(wrong.Field) + " is a " + wrong.Value
	}
	before := data[:min(int(max(offset, 0)), len(data))]
	line := bytes.Count(before, []byte("\n"))
	column := len(before) - (bytes.LastIndexByte(before, '\n') + 1)
	return spec.Error{File: name, Line: line + 1, Column: max(1, column), Message: "not an export of PipeCD: " + message}
}

// add takes one JSON value: a list of applications, one of them, or an object that holds them.
func (f *exportFile) add(raw json.RawMessage) error {
	if raw[0] == '[' {
		var apps []exportApp
		if err := unmarshalExport(raw, &apps); err != nil {
			return err
		}
		f.Applications = append(f.Applications, apps...)
		return nil
	}
	var one exportFile
	if err := unmarshalExport(raw, &one); err != nil {
		return err
	}
	f.Cursor = one.Cursor // of the last page
	f.Applications, f.Pipeds = append(f.Applications, one.Applications...), append(f.Pipeds, one.Pipeds...)
	if one.Application != nil {
		f.Applications = append(f.Applications, *one.Application)
	}
	var app exportApp
	if len(one.Applications)+len(one.Pipeds) == 0 && one.Application == nil && unmarshalExport(raw, &app) == nil && app.GitPath.Path != "" {
		f.Applications = append(f.Applications, app)
	}
	return nil
}

// unmarshalExport reads names in both spellings, git_path and gitPath: underscores are taken out, and case does not matter.
func unmarshalExport(raw json.RawMessage, into any) error {
	var v any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return err
	}
	plain, err := json.Marshal(snake(v))
	if err != nil {
		return err
	}
	return json.Unmarshal(plain, into)
}

// camelKeys are the names of two words that are read, by their other spelling.
var camelKeys = map[string]string{
	"pipedId": "piped_id", "gitPath": "git_path", "platformProvider": "platform_provider", "cloudProvider": "cloud_provider",
	"deployTargetsByPlugin": "deploy_targets_by_plugin", "deployTargets": "deploy_targets", "configPath": "config_path",
	"configFilename": "config_filename", "platformProviders": "platform_providers", "cloudProviders": "cloud_providers",
	"desiredVersion": "desired_version", "secretEncryption": "secret_encryption",
}

func snake(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			if other, ok := camelKeys[k]; ok {
				k = other
			}
			if k == "labels" {
				out[k] = e // its keys are people's
				continue
			}
			out[k] = snake(e)
		}
		return out
	case []any:
		for i := range v {
			v[i] = snake(v[i])
		}
	}
	return v
}

// foreign translates the records.
func (f *exportFile) foreign() foreign {
	out := foreign{}
	for _, p := range f.Pipeds {
		out.Agents = append(out.Agents, p.foreign())
	}
	for _, a := range f.Applications {
		if !a.Deleted {
			out.Applications = append(out.Applications, a.foreign())
		}
	}
	if f.Cursor != "" && len(f.Applications) > 0 {
		out.Differs = append(out.Differs, "the export may be one page of several: it ends with a cursor; ask with --cursor for the rest and put the files after one another")
	}
	if gone := len(f.Applications) - len(out.Applications); gone > 0 {
		out.Differs = append(out.Differs, count(gone, "application")+" deleted there, not listed")
	}
	return out
}

func (p exportPiped) foreign() foreignAgent {
	out := foreignAgent{ID: p.ID, Name: p.Name}
	for _, r := range p.Repositories {
		out.Repositories = append(out.Repositories, r.ID+"="+bareRemote(r.Remote)+"@"+r.Branch)
	}
	for _, v := range append(p.PlatformProviders, p.CloudProviders...) {
		out.Providers = append(out.Providers, v.Type+"/"+v.Name)
	}
	for _, pl := range p.Plugins {
		for _, t := range pl.DeployTargets {
			out.Providers = append(out.Providers, strings.ToUpper(pl.Name)+"/"+t)
		}
	}
	out.Differs = append(out.Differs, "settings of its file are not in an export: import the folder that holds its file too, or lint it")
	if p.SecretEncryption != nil && p.SecretEncryption.Type != "" {
		out.Differs = append(out.Differs, "secrets encrypted for it are not decrypted by this version")
	}
	if p.DesiredVersion != "" {
		out.Differs = append(out.Differs, "remote upgrade is not there: the version "+p.DesiredVersion+" that was asked for has no meaning here")
	}
	if p.Disabled {
		out.Differs = append(out.Differs, "disabled there")
	}
	return out
}

func (a exportApp) foreign() foreignApp {
	kind := cmp.Or(string(a.Kind), "KUBERNETES") // zero is left out
	out := foreignApp{
		ID: a.ID, Name: a.Name, Kind: kindWord(kind), Agent: a.PipedID, Repo: a.GitPath.Repo.ID, Path: strings.Trim(path.Clean("/"+a.GitPath.Path), "/"),
		File: cmp.Or(a.GitPath.ConfigFilename, a.GitPath.ConfigPath, ".pipe.yaml"), Provider: cmp.Or(a.PlatformProvider, a.CloudProvider), Disabled: a.Disabled,
	}
	if out.Path == "" || out.Name == "" {
		out.Problem = "the record names no folder, or has no name"
	}
	var targets []string
	for _, plugin := range slices.Sorted(maps.Keys(a.Targets)) {
		targets = append(targets, a.Targets[plugin].DeployTargets...)
	}
	if out.Provider == "" && len(targets) > 0 {
		out.Provider = targets[0]
	}
	if len(targets) > 1 {
		out.Problem = "it has several deploy targets (" + strings.Join(targets, ", ") + "), an application here has one: register it once for each"
	}
	if a.Deploying {
		out.Differs = append(out.Differs, "a deployment ran when the export was made; let it end there first")
	}
	if a.Description != "" || len(a.Labels) > 0 {
		out.Differs = append(out.Differs, "description and labels are read from its file, not from the record")
	}
	return out
}

// kindWord is the kind of a file of a kind of record.
func kindWord(kind string) string {
	for _, k := range spec.Kinds() {
		if strings.EqualFold(string(k), kind+"App") || strings.EqualFold(string(k), kind) {
			return string(k)
		}
	}
	return kind
}
