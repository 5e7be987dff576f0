package main

import (
	"bytes"
	"context"
	"flag"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "write what the scripts print into their golden files")

// testNow is the time in every script.
var testNow = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// TestScripts runs the program in this process against a server that keeps
// everything in memory. Besides testscript's own commands there are:
//
//	penstock ARGS...   run the program; "!" means that it must not end with 0
//	code N             the program's last exit code
//	input FILE         what the next program reads as standard input
//
// COLUMNS makes standard output a terminal of that width.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           "testdata/script",
		UpdateScripts: *update,
		Setup: func(e *testscript.Env) error {
			f := newFakeServer()
			srv := httptest.NewServer(f.handler())
			e.Defer(func() {
				f.close()
				srv.Close()
			})
			e.Setenv("PENSTOCK_SERVER", srv.URL)
			e.Setenv("SERVER", srv.URL)
			e.Setenv("PENSTOCK_TOKEN", tokenAdmin)
			e.Setenv("PENSTOCK_CONFIG", e.WorkDir+"/config/config.json")
			e.Values["last"] = &lastRun{}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"penstock": scriptPenstock,
			"code": func(ts *testscript.TestScript, neg bool, args []string) {
				if got := ts.Value("last").(*lastRun).code; neg || len(args) != 1 || strconv.Itoa(got) != args[0] {
					ts.Fatalf("exit code %d, want %s", got, strings.Join(args, " "))
				}
			},
			"input": func(ts *testscript.TestScript, _ bool, args []string) {
				ts.Value("last").(*lastRun).input = []byte(ts.ReadFile(args[0]))
			},
		},
	})
}

// lastRun is what the commands of one script tell each other.
type lastRun struct {
	code  int
	input []byte
}

func scriptPenstock(ts *testscript.TestScript, neg bool, args []string) {
	last := ts.Value("last").(*lastRun)
	var out, errs bytes.Buffer
	width, _ := strconv.Atoi(ts.Getenv("COLUMNS"))
	s := streams{
		In: bytes.NewReader(last.input), Out: &out, Err: &errs, Getenv: ts.Getenv, Now: func() time.Time { return testNow },
		Dir: ts.MkAbs("."), Width: width,
	}
	if p := ts.Getenv("TYPED_PASSWORD"); p != "" {
		s.Password = func(prompt string) (string, error) {
			errs.WriteString(prompt + "\n")
			return p, nil
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	last.code, last.input = run(ctx, args, s), nil
	tidy := strings.NewReplacer(ts.Getenv("SERVER"), "http://SERVER", strings.TrimPrefix(ts.Getenv("SERVER"), "http://"), "SERVER", ts.Getenv("WORK"), "$WORK")
	_, _ = ts.Stdout().Write([]byte(tidy.Replace(out.String())))
	_, _ = ts.Stderr().Write([]byte(tidy.Replace(errs.String())))
	if neg == (last.code == exitOK) {
		ts.Fatalf("penstock %s: exit code %d", strings.Join(args, " "), last.code)
	}
}

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(m.Run())
}
