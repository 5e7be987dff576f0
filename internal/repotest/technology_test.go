package repotest

import (
	"slices"
	"strings"
	"testing"
)

// technology says where a foreign module may be used in code that ships: one package per technology, so that it can be
// exchanged in one place. Homes are folders and all below them.
type technology struct {
	module string // the start of the import path
	homes  []string
	why    string
}

const (
	outside  = "outside the centre"
	testOnly = "tests"
)

var technologies = []technology{
	{"github.com/aws/", []string{"internal/platform/awsaccess", "internal/platform/ecs", "internal/platform/lambda", "internal/localcloud", "internal/secret", "internal/blob/s3", "internal/metrics/cloudwatch", "internal/demo", "cmd/penstock"}, "the cloud's types stay in the packages that speak to it"},
	{"modernc.org/sqlite", []string{"internal/store/sqlite"}, "one database, one package"},
	{"github.com/pressly/goose/", []string{"internal/store"}, "migrations belong to the store"},
	{"go.yaml.in/yaml/", []string{"internal/spec", "cmd/penstock"}, "files are decoded in one place, with positions"},
	{"connectrpc.com/connect", []string{"internal/gen", "internal/wire", "internal/client", "internal/server", "internal/demo", "cmd/penstock"}, "the RPC library ends at the wire"},
	{"google.golang.org/protobuf/", []string{"internal/gen", "internal/wire", "internal/client", "internal/server", "cmd/penstock"}, "generated types end at the wire"},
	{"google.golang.org/grpc", []string{testOnly}, "a client that we did not write, for the tests"},
	{"github.com/spf13/cobra", []string{"cmd/penstock"}, "flags are the program's"},
	{"charm.land/lipgloss/", []string{"cmd/penstock"}, "colours are the terminal's"},
	{"golang.org/x/term", []string{"cmd/penstock"}, "terminals are the program's"},
	{"github.com/aymanbagabas/go-udiff", []string{"internal/platform", "internal/server", "cmd/penstock"}, "text differences are for people to read"},
	{"github.com/prometheus/client_golang/", []string{"internal/telemetry", "internal/server", "internal/agent", "internal/launch", "internal/demo", "cmd/penstock"}, "metrics of our own belong to the long-running programs"},
	{"github.com/klauspost/compress/", []string{"internal/blob", "internal/store", "internal/server", "internal/agent", "internal/client"}, "compression is for what is stored or sent"},
	{"golang.org/x/crypto/", []string{"internal/git", "internal/secret", "internal/server", "internal/store"}, "keys and hashes have few homes"},
	{"github.com/cenkalti/backoff/", []string{outside}, "retrying belongs to loops at the edge"},
	{"github.com/google/uuid", []string{outside}, "identifiers come into the centre as arguments"},
	{"golang.org/x/sync/", []string{outside}, "the centre starts no goroutines"},
	{"golang.org/x/text/", []string{outside}, "words are made at the edge"},
	{"golang.org/x/time/", []string{outside}, "rates are a matter of the edge"},
	{"golang.org/x/tools/txtar", []string{testOnly}, "scenarios and golden files"},
	{"golang.org/x/tools/cover", []string{testOnly}, "mutants are drawn from what a run has reached"},
	{"github.com/google/go-cmp/", []string{testOnly}, "comparing in tests"},
	{"github.com/rogpeppe/go-internal/testscript", []string{testOnly}, "the command line as scripts"},
	{"go.uber.org/goleak", []string{testOnly}, "leaked goroutines"},
	{"pgregory.net/rapid", []string{testOnly}, "properties"},
	{"github.com/santhosh-tekuri/jsonschema/", []string{testOnly}, "schemas are judged by a validator that we did not write"},
}

// foreign tells whether an import path belongs to a module that is neither ours nor the standard library.
func foreign(p string) bool {
	first, _, _ := strings.Cut(p, "/")
	return strings.Contains(first, ".") && p != module && !strings.HasPrefix(p, module+"/")
}

// judgeTechnology gives the reason why dir may not import the foreign package p, or "". Tests may use every listed module.
func judgeTechnology(dir, p string, test bool) string {
	i := slices.IndexFunc(technologies, func(t technology) bool { return strings.HasPrefix(p+"/", strings.TrimSuffix(t.module, "/")+"/") })
	if i < 0 {
		return "no row in the table of technologies: a new dependency is a decision, so add it there with its home and the reason"
	}
	t := technologies[i]
	allowed := func(home string) bool {
		switch home {
		case outside:
			return !inCentre(dir)
		case testOnly:
			return false
		}
		return within(dir, home)
	}
	if test || support(dir) || slices.ContainsFunc(t.homes, allowed) {
		return ""
	}
	return "its home is " + strings.Join(t.homes, ", ") + ": " + t.why
}

func TestOnePackagePerTechnology(t *testing.T) {
	for _, f := range repo(t).gos {
		for _, spec := range f.ast.Imports {
			p := importPath(spec.Path.Value)
			if !foreign(p) {
				continue
			}
			if why := judgeTechnology(f.dir, p, f.test); why != "" {
				t.Errorf("%s: %s in %s: %s", f.at(spec), p, f.dir, why)
			}
		}
	}
}

func TestTechnologyTableJudges(t *testing.T) {
	for _, c := range []struct {
		dir, path string
		test, ok  bool
	}{
		{"internal/platform/ecs", "github.com/aws/aws-sdk-go-v2/service/ecs", false, true},
		{"internal/agent", "github.com/aws/aws-sdk-go-v2/service/ssm", false, false},
		{"internal/agent", "github.com/aws/aws-sdk-go-v2/service/ssm", true, true},
		{"internal/spec", "go.yaml.in/yaml/v4", false, true},
		{"internal/plan", "github.com/google/uuid", false, false},
		{"internal/agent", "github.com/google/uuid", false, true},
		{"internal/agent", "github.com/google/go-cmp/cmp", false, false},
		{"internal/store/storetest", "github.com/google/go-cmp/cmp", false, true},
		{"internal/agent", "github.com/stretchr/testify/assert", true, false},
		{"internal/server", "connectrpc.com/connect", false, true},
		{"internal/server", "connectrpc.com/connectors", false, false},
	} {
		if why := judgeTechnology(c.dir, c.path, c.test); (why == "") != c.ok {
			t.Errorf("%s → %s (test %v): allowed = %v, want %v (%s)", c.dir, c.path, c.test, why == "", c.ok, why)
		}
	}
}
