// Package install_test checks what stands in install/ as far as this machine can.
package install_test

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const folder = "../../install"

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// module is the text of the Terraform module without comments.
func module(t *testing.T) string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(folder, "ecs", "*.tf"))
	if err != nil || len(names) == 0 {
		t.Fatalf("%v, %v", names, err)
	}
	var all strings.Builder
	for _, n := range names {
		all.WriteString(read(t, filepath.Join("ecs", filepath.Base(n))) + "\n")
	}
	return regexp.MustCompile(`(?m)^\s*#.*$`).ReplaceAllString(all.String(), "")
}

func found(text, pattern string) map[string]bool {
	out := map[string]bool{}
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		out[strings.Join(m[1:], ".")] = true
	}
	return out
}

// Everything that the module names is declared in it, and every variable is used.
// The arguments of resources are checked by `terraform validate`, which needs the
// provider from its registry; this needs nothing.
func TestTheModuleNamesWhatItDeclares(t *testing.T) {
	text := module(t)
	if o, c := strings.Count(text, "{"), strings.Count(text, "}"); o != c {
		t.Errorf("%d braces open and %d close", o, c)
	}
	variables, locals := found(text, `(?m)^variable "(\w+)"`), map[string]bool{}
	for _, block := range regexp.MustCompile(`(?ms)^locals \{\n(.*?)^\}`).FindAllStringSubmatch(text, -1) {
		maps.Copy(locals, found(block[1], `(?m)^  (\w+)\s+=`))
	}
	for what, x := range map[string]struct{ used, declared map[string]bool }{
		"var.":   {found(text, `\bvar\.(\w+)`), variables},
		"local.": {found(text, `\blocal\.(\w+)`), locals},
		"data.":  {found(text, `\bdata\.(\w+)\.(\w+)`), found(text, `(?m)^data "(\w+)" "(\w+)"`)},
		"":       {found(strings.ReplaceAll(text, "data.aws_", "data "), `\b(aws_\w+)\.(\w+)`), found(text, `(?m)^resource "(\w+)" "(\w+)"`)},
	} {
		if len(x.used) == 0 {
			t.Errorf("no use of %q was found", what)
		}
		for name := range x.used {
			if !x.declared[name] {
				t.Errorf("%s%s is used and not declared", what, name)
			}
		}
	}
	for name := range variables {
		if !strings.Contains(text, "var."+name) {
			t.Errorf("variable %s is not used", name)
		}
		if !regexp.MustCompile(`(?s)variable "` + name + `" \{\s+description = "[^"]+"\s+type `).MatchString(text) {
			t.Errorf("variable %s has no description and type", name)
		}
	}
}

// Nothing can connect to the agent, in either way of installing it.
func TestTheAgentHasNoWayIn(t *testing.T) {
	text := module(t)
	for _, word := range []string{"ingress", "load_balancer", "portMappings", "aws_lb"} {
		if strings.Contains(strings.ReplaceAll(text, "No ingress", ""), word) {
			t.Errorf("the module holds %q", word)
		}
	}
	for _, want := range []string{"aws_vpc_security_group_egress_rule", "SecureString", "127.0.0.1:9085"} {
		if !strings.Contains(text, want) {
			t.Errorf("the module lacks %q", want)
		}
	}
	if task := read(t, "ecs-agent/taskdef.json"); strings.Contains(task, "portMappings") {
		t.Error("the task definition opens a port")
	}
}

// The module and the policy for people without Terraform allow the same actions, and
// every action stands in the guide.
func TestBothPoliciesAllowTheSame(t *testing.T) {
	var policy struct {
		Statement []struct {
			Effect           string
			Action, Resource any
		}
	}
	if err := json.Unmarshal([]byte(read(t, "ecs-agent/task-role-policy.json")), &policy); err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{}
	for _, s := range policy.Statement {
		switch a := s.Action.(type) {
		case string:
			want[a] = true
		case []any:
			for _, one := range a {
				want[one.(string)] = true
			}
		}
	}
	text := read(t, "ecs/iam.tf")
	_, agent, ok := strings.Cut(text, `data "aws_iam_policy_document" "agent"`)
	if !ok {
		t.Fatal("no policy of the agent")
	}
	got := map[string]bool{}
	for _, list := range regexp.MustCompile(`(?s)actions\s*=\s*\[(.*?)\]`).FindAllStringSubmatch(agent, -1) {
		maps.Copy(got, found(list[1], `"([a-z]+:[A-Za-z]+)"`))
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got))); diff != "" {
		t.Errorf("policy and module differ (-policy +module):\n%s", diff)
	}
	if slices.ContainsFunc(slices.Collect(maps.Keys(got)), func(a string) bool { return strings.Contains(a, "*") }) {
		t.Error("an action with a star")
	}
	guide, err := os.ReadFile("../../docs/guide/agent.md")
	if err != nil {
		t.Fatal(err)
	}
	for a := range got {
		if _, name, _ := strings.Cut(a, ":"); !strings.Contains(string(guide), name+"`") {
			t.Errorf("the guide does not say what %s is for", a)
		}
	}
}

// systemd itself reads the units where it is installed; what they promise is checked everywhere.
func TestSystemdUnits(t *testing.T) {
	program := filepath.Join(t.TempDir(), "penstock")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"penstock-agent.service", "penstock-server.service"} {
		unit := read(t, filepath.Join("systemd", name))
		for _, want := range []string{"Restart=always", "NoNewPrivileges=true", "ProtectSystem=strict", "StateDirectory=", "TimeoutStopSec=", "UMask=0077", "User=penstock"} {
			if !strings.Contains(unit, "\n"+want) {
				t.Errorf("%s lacks %s", name, want)
			}
		}
		analyze, err := exec.LookPath("systemd-analyze")
		if err != nil {
			t.Logf("systemd-analyze is not installed: %s is checked by its words alone", name)
			continue
		}
		file := filepath.Join(t.TempDir(), name)
		unit = strings.NewReplacer("/usr/local/bin/penstock", program, "User=penstock", "User=root", "Group=penstock", "Group=root").Replace(unit)
		if err := os.WriteFile(file, []byte(unit), 0o644); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.CommandContext(t.Context(), analyze, "verify", "--man=no", file).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}
