package sim

import (
	"bufio"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/penstock-cd/penstock/test/mutate"
)

const drawnHead = `# The mutants that TestMutants tries, written by PENSTOCK_SIM_MUTANTS=draw. Of each package the first ones in the order of
# a hash over a fixed seed and the mutant, one of each function, of those that the tool proposes (but for words, logs and
# metrics), that are programs, that change code which the courses of the simulator reach, and that are not in mutants.txt.
# A change of the code moves none but the mutants of its own lines.
`

// draw chooses the mutants anew and writes them down.
func draw(t *testing.T, root string) {
	nothing := readNothing(t)
	reached := reach(t, root)
	text := drawnHead
	for _, of := range mutantsFrom {
		all, err := mutate.Candidates(t.Context(), root, of.dir)
		if err != nil {
			t.Fatal(err)
		}
		taken, in := map[string]bool{}, 0
		text += "\n"
		for _, m := range mutate.Shuffle(all, mutantSeed) {
			if !reached.Has(m) {
				continue
			}
			if in++; len(taken) == of.n || nothing[m.Key()] != "" || taken[m.Func] || !compiles(t, root, m) {
				continue
			}
			taken[m.Func] = true
			text += m.Key() + "\n"
			t.Logf("drawn: %s", m)
		}
		t.Logf("%s: %d mutants, %d of them in code that a world reaches", of.dir, len(all), in)
		if len(taken) < of.n {
			t.Errorf("%s: too few mutants", of.dir)
		}
	}
	if err := os.WriteFile(drawnFile, []byte(text), 0o644); err != nil { //nolint:gosec // part of the repository
		t.Fatal(err)
	}
}

func compiles(t *testing.T, root string, m mutate.Mutant) bool {
	t.Helper()
	var no *mutate.ErrNotCompiled
	err := mutate.Build(t.Context(), root, m, "./"+m.Dir, filepath.Join(t.TempDir(), "mutant.test"))
	if err != nil && !errors.As(err, &no) {
		t.Fatal(err)
	}
	return err == nil
}

// reach runs every course with the program as it is and tells what they reach of
// it: a mutant elsewhere would need luck to be noticed within few seeds.
func reach(t *testing.T, root string) mutate.Reached {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "control.test")
	var packages []string
	for _, of := range mutantsFrom {
		packages = append(packages, module+"/"+of.dir)
	}
	if err := mutate.Build(t.Context(), root, mutate.Mutant{}, "./test/sim", bin, packages...); err != nil {
		t.Fatal(err)
	}
	profile, s := bin+".profile", &striker{t: t, root: root}
	courses := slices.IndexFunc(worldLooks, func(l look) bool { return l.name == "every course" })
	if out, err := s.run(bin, worldLooks[courses], "-test.coverprofile="+profile); err != nil {
		t.Fatalf("without a mutant: %v\n%s", err, out)
	}
	reached, err := mutate.ReadProfile(profile, module)
	if err != nil {
		t.Fatal(err)
	}
	return reached
}

// readNothing reads the mutants that change nothing, with the reason of each: a
// line that is a mutant's key, then its reason, indented.
func readNothing(t *testing.T) map[string]string {
	t.Helper()
	f, err := os.Open(nothingFile)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	out, key := map[string]string{}, ""
	for s := bufio.NewScanner(f); s.Scan(); {
		switch line := s.Text(); {
		case line == "" || strings.HasPrefix(line, "#"):
		case line[0] == ' ' || line[0] == '\t':
			out[key] += strings.TrimSpace(line) + " "
		default:
			key = line
			out[key] = ""
		}
	}
	for key, why := range out {
		if strings.TrimSpace(why) == "" {
			t.Errorf("%s: no reason for %s", nothingFile, key)
		}
	}
	return out
}
