package repotest

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// row says which packages of this module the packages in dir and below it may import in code that ships. The row with the
// longest dir counts. An entry names a folder and all below it; anything ends the list of those that join the parts.
type row struct {
	dir string
	may []string
	why string
}

const (
	anything = "*"
	here     = "." // dir and below
)

// centre is the part that could take production down; everything may build on it.
var centre = []string{
	"internal/deploy", "internal/spec", "internal/change", "internal/plan", "internal/engine", "internal/judge", "internal/policy",
}

func centreAnd(more ...string) []string { return append(slices.Clone(centre), more...) }

// importTable is the table of docs/contributing/architecture.md.
var importTable = []row{
	{"internal/deploy", nil, "the vocabulary: everything rests on it, so it rests on nothing"},
	{"internal/change", nil, "differences are values; what they are differences of is not its business"},
	{"internal/spec", []string{"internal/deploy", "internal/change"}, "bytes to values: no plan, no platform"},
	{"internal/plan", []string{"internal/deploy", "internal/change", "internal/spec"}, "pure: the same specification and changes give the same plan"},
	{"internal/engine", []string{"internal/deploy", "internal/change"}, "pure: it is replayed years later, so it may not know how files looked then"},
	{"internal/judge", []string{"internal/deploy", "internal/change"}, "pure: samples in, verdict out"},
	{"internal/policy", []string{"internal/deploy", "internal/change"}, "pure: who may do what is a table"},

	{"internal/platform", centre, "the contract of all platforms knows none of them"},
	{"internal/platform/builtin", []string{anything}, "the visible list of platforms"},
	{"internal/platform/platformtest", centreAnd("internal/platform"), "one suite for all platforms; it takes the platform as an argument"},
	{"internal/platform/awsaccess", centreAnd("internal/platform"), "what the platforms on AWS share knows none of them"},
	{"internal/platform/ecs", centreAnd("internal/platform", "internal/platform/awsaccess", here), "a platform never leans on another platform"},
	{"internal/platform/lambda", centreAnd("internal/platform", "internal/platform/awsaccess", here), "a platform never leans on another platform"},
	{"internal/platform/kubernetes", centreAnd("internal/platform", here), "a platform never leans on another platform"},
	{"internal/platform/cloudrun", centreAnd("internal/platform", here), "a platform never leans on another platform"},
	{"internal/platform/terraform", centreAnd("internal/platform", here), "a platform never leans on another platform"},
	{"internal/platform/remote", centreAnd("internal/platform", here), "a platform never leans on another platform"},
	{"internal/platform/fake", centreAnd("internal/platform", here), "a platform never leans on another platform"},
	{"internal/stage", centreAnd(here), "neutral stages know no platform"},

	{"internal/localcloud", []string{here}, "written from the cloud's documentation, never from what our platform needs; it stands alone"},

	{"internal/git", centreAnd(here), "an edge knows its technology and the centre"},
	{"internal/store", centreAnd(here), "an edge knows its technology and the centre"},
	{"internal/blob", centreAnd(here), "an edge knows its technology and the centre"},
	{"internal/metrics", centreAnd(here), "an edge knows its technology and the centre"},
	{"internal/notify", centreAnd(here), "an edge knows its technology and the centre"},
	{"internal/forge", centreAnd(here), "an edge knows its technology and the centre"},
	{"internal/secret", centreAnd(here), "an edge knows its technology and the centre"},
	{"internal/toolbox", centreAnd(here), "an edge knows its technology and the centre"},
	{"internal/telemetry", centreAnd(here), "an edge knows its technology and the centre"},

	{"internal/gen", []string{here}, "generated"},
	{"internal/words", []string{"internal/deploy"}, "sentences of reason codes, as data"},
	{"internal/wire", []string{"internal/deploy", "internal/gen", "internal/words", here}, "values to generated types and back, and nothing else"},
	{"internal/index", centreAnd("internal/store", "internal/wire"), "what lists read is made of the record alone, for the server and for whoever checks its files"},
	{"internal/client", []string{"internal/deploy", "internal/gen", "internal/wire", here}, "what every user of the API shares"},
	{
		"internal/server",
		centreAnd("internal/store", "internal/blob", "internal/notify", "internal/forge", "internal/secret", "internal/telemetry", "internal/wire", "internal/index", "internal/gen", here),
		"the server stores what agents send and interprets none of it; it meets the agent on the wire only",
	},
	{
		"internal/agent",
		centreAnd("internal/platform", "internal/stage", "internal/git", "internal/blob", "internal/metrics", "internal/notify", "internal/secret", "internal/toolbox", "internal/telemetry", "internal/client", here),
		"the agent is given its platforms; it keeps no record and meets the server on the wire only",
	},

	{"internal/launch", []string{anything}, "joins the parts into the two long-running programs, for the commands and the demo"},
	{"internal/demo", []string{anything}, "runs all parts in one process"},
	{"cmd/penstock", []string{anything}, "the only program that ships: this is where the parts are joined"},
	{"test", []string{anything}, "whole-system tests join the parts as the program does"},
	{"scripts", []string{here}, "helpers of the build must work when the product does not compile"},
	{"web", nil, "the bundle's files, embedded"},
	{"internal/repotest", nil, "looks at the repository from outside"},
}

// rowFor gives the row with the longest dir that holds the folder. A platform needs a row of its own: the general one is
// for the contract package alone.
func rowFor(dir string) (row, bool) {
	var best row
	for _, r := range importTable {
		if within(dir, r.dir) && len(r.dir) > len(best.dir) {
			best = r
		}
	}
	if best.dir == "internal/platform" && dir != best.dir {
		return row{}, false
	}
	return best, best.dir != ""
}

// judgeImport gives the reason why dir may not import the folder to, or "".
func judgeImport(dir, to string) string {
	r, ok := rowFor(dir)
	if !ok {
		return fmt.Sprintf("%s has no row in the import table: add one here, in .golangci.yml and in docs/contributing/architecture.md", dir)
	}
	for _, may := range r.may {
		if may == here {
			may = r.dir
		}
		// The contract package is named by its exact folder: what lies below it are the platforms.
		if may == anything || to == may || (may != "internal/platform" && within(to, may)) {
			return ""
		}
	}
	return fmt.Sprintf("%s may not import %s: %s", dir, to, r.why)
}

func TestImportTable(t *testing.T) {
	for _, f := range repo(t).gos {
		if f.test {
			continue
		}
		for _, spec := range f.ast.Imports {
			to, ok := strings.CutPrefix(importPath(spec.Path.Value), module+"/")
			if !ok {
				continue
			}
			if why := judgeImport(f.dir, to); why != "" {
				t.Errorf("%s: %s", f.at(spec), why)
			}
		}
	}
}

func importPath(quoted string) string {
	p, err := strconv.Unquote(quoted)
	if err != nil {
		return quoted
	}
	return p
}

func TestEveryPackageHasARow(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range repo(t).gos {
		if seen[f.dir] || f.test {
			continue
		}
		seen[f.dir] = true
		if _, ok := rowFor(f.dir); !ok {
			t.Errorf("%s has no row in the import table: add one here, in .golangci.yml and in docs/contributing/architecture.md", f.dir)
		}
	}
}

func TestImportTableJudges(t *testing.T) {
	for _, c := range []struct {
		dir, to string
		ok      bool
	}{
		{"internal/deploy", "internal/spec", false},
		{"internal/plan", "internal/spec", true},
		{"internal/engine", "internal/spec", false},
		{"internal/platform", "internal/deploy", true},
		{"internal/platform/ecs", "internal/platform", true},
		{"internal/platform/ecs", "internal/platform/ecs/elb", true},
		{"internal/platform/ecs", "internal/platform/fake", false},
		{"internal/platform/unheard", "internal/deploy", false},
		{"internal/platform/builtin", "internal/platform/ecs", true},
		{"internal/store/sqlite", "internal/store", true},
		{"internal/store/sqlite", "internal/server", false},
		{"internal/server", "internal/gen/penstock/v1/penstockv1connect", true},
		{"internal/server", "internal/platform", false},
		{"internal/server", "internal/agent", false},
		{"internal/agent", "internal/platform", true},
		{"internal/agent", "internal/platform/ecs", false},
		{"internal/agent", "internal/store", false},
		{"internal/localcloud/ecs", "internal/localcloud/clock", true},
		{"internal/localcloud/ecs", "internal/platform/ecs", false},
		{"cmd/penstock", "internal/platform/ecs", true},
		{"internal/unheard", "internal/deploy", false},
	} {
		if why := judgeImport(c.dir, c.to); (why == "") != c.ok {
			t.Errorf("%s → %s: allowed = %v, want %v (%s)", c.dir, c.to, why == "", c.ok, why)
		}
	}
}

// impure are packages of the standard library that the centre has no business with.
var impure = map[string]string{
	"os": "no I/O", "os/exec": "no I/O", "os/signal": "no I/O", "net": "no I/O", "net/http": "no I/O", "syscall": "no I/O",
	"database/sql": "no I/O", "log": "the caller logs",
	"math/rand": "the same input gives the same answer", "math/rand/v2": "the same input gives the same answer",
	"crypto/rand": "the same input gives the same answer", "unsafe": "nothing here is worth it",
}

func inCentre(dir string) bool {
	return slices.ContainsFunc(centre, func(c string) bool { return within(dir, c) })
}

func TestCentreHasNoInputOrOutput(t *testing.T) {
	for _, f := range repo(t).gos {
		if f.test || !inCentre(f.dir) {
			continue
		}
		for _, spec := range f.ast.Imports {
			if why, bad := impure[importPath(spec.Path.Value)]; bad {
				t.Errorf("%s: the centre may not import %s: %s", f.at(spec), spec.Path.Value, why)
			}
		}
	}
}

// support tells whether a package exists for tests only: suites and fakes beside a contract.
func support(dir string) bool {
	return within(dir, "test") || strings.HasSuffix(path.Base(dir), "test")
}
