package scenario

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/tools/txtar"

	"github.com/penstock-cd/penstock/test/world"
)

// patience is how long until waits.
const patience = 40 * time.Minute

// TestScenarios runs every script of this folder.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			a, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			synctest.Test(t, func(t *testing.T) {
				s := &script{t: t, file: file, sections: map[string]string{}}
				for _, f := range a.Files {
					s.sections[f.Name] = string(f.Data)
				}
				s.run(strings.Split(string(a.Comment), "\n"))
			})
		})
	}
}

// script is one scenario at work.
type script struct {
	t        *testing.T
	file     string
	line     int
	sections map[string]string
	w        *world.World
	memory   world.Memory
	lines    []string
}

func (s *script) run(lines []string) {
	s.lines = lines
	for i, text := range lines {
		s.line = i + 1
		words := strings.Fields(text)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		if s.w == nil {
			s.begin(words)
			defer s.w.Close()
			if words[0] == "world" {
				continue
			}
		}
		if err := s.command(words); err != nil {
			s.failf("%s: %v", text, err)
		}
		s.w.CheckRecord(&s.memory)
		s.w.CheckCloud()
		if p := s.w.Problems(); len(p) > 0 {
			s.failf("%s: %s", text, strings.Join(p, "\n"))
		}
	}
}

func (s *script) begin(words []string) {
	opt := world.Options{Settle: 10 * time.Second, RouteLag: 8 * time.Second, Latency: 10 * time.Millisecond}
	if words[0] == "world" {
		_, set := split(words[1:])
		opt.Agents = number(set["agents"], 1)
		opt.AWS = set["aws"] != ""
		if r := set["repos"]; r != "" {
			opt.Repos = strings.Split(r, ",")
		}
	}
	s.w = world.New(s.t, opt)
}

func (s *script) failf(format string, args ...any) {
	s.t.Helper()
	log := s.w.Log()
	if n := len(log) - 6000; n > 0 {
		log = "…" + log[n:]
	}
	s.t.Fatalf("%s:%d: %s\n\n%s\n\ntrace:\n%s\n\nlog:\n%s", s.file, s.line, fmt.Sprintf(format, args...), s.status(), strings.Join(s.w.Trace(), "\n"), log)
}

// command carries out one line.
func (s *script) command(words []string) error {
	verb, args := words[0], words[1:]
	switch verb {
	case "!":
		err := s.command(args[1:])
		if err == nil {
			return fmt.Errorf("was not refused")
		}
		if !strings.Contains(refusal(err), args[0]) {
			return fmt.Errorf("was refused as %s", refusal(err))
		}
		return nil
	case "want":
		return s.holds(args)
	case "until":
		return s.until(args)
	case "tick":
		d, err := time.ParseDuration(args[0])
		if err != nil {
			return err
		}
		s.w.Tick(d)
		return nil
	case "rest":
		s.w.Tick(time.Minute)
		s.w.CheckEnds()
		return nil
	case "app", "ecs", "lambda", "file":
		return s.commit(verb, args)
	case "sync", "enable", "disable", "cancel", "retry", "rollback", "approve", "reject", "skip":
		return s.person(verb, args)
	case "ask":
		return s.ask(args)
	}
	return s.machinery(verb, args)
}

// until lets time pass in steps of a second.
func (s *script) until(args []string) error {
	begin := time.Now()
	for {
		err := s.holds(args)
		if err == nil {
			return nil
		}
		if time.Since(begin) >= patience {
			return fmt.Errorf("not within %s: %w", patience, err)
		}
		s.w.Tick(time.Second)
	}
}

// split parts words from key=value pairs; a word alone is both.
func split(words []string) (plain []string, set map[string]string) {
	set = map[string]string{}
	for _, w := range words {
		k, v, ok := strings.Cut(w, "=")
		if !ok {
			plain, v = append(plain, w), "true"
		}
		set[k] = v
	}
	return plain, set
}

func number(text string, def int) int {
	n := def
	if text != "" {
		if _, err := fmt.Sscan(text, &n); err != nil {
			panic(err)
		}
	}
	return n
}
