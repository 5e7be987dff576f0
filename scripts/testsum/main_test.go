package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const events = `
{"Action":"start","Package":"a"}
{"Action":"run","Package":"a","Test":"TestGood"}
{"Action":"output","Package":"a","Test":"TestGood","Output":"said by the good one\n"}
{"Action":"pass","Package":"a","Test":"TestGood","Elapsed":0.1}
{"Action":"run","Package":"a","Test":"TestBad"}
{"Action":"output","Package":"a","Test":"TestBad","Output":"    a_test.go:7: got 1, want 2\n"}
{"Action":"fail","Package":"a","Test":"TestBad","Elapsed":0.1}
{"Action":"run","Package":"a","Test":"TestLater"}
{"Action":"skip","Package":"a","Test":"TestLater"}
{"Action":"fail","Package":"a","Elapsed":1.25}
{"Action":"run","Package":"b","Test":"TestOne"}
{"Action":"pass","Package":"b","Test":"TestOne/long","Elapsed":61}
{"Action":"pass","Package":"b","Test":"TestOne","Elapsed":61.5}
{"Action":"pass","Package":"b","Elapsed":0.5}
{"Action":"skip","Package":"empty","Elapsed":0}
`

func TestReport(t *testing.T) {
	var out bytes.Buffer
	r := newReport(&out)
	if err := r.read(strings.NewReader(events)); err != nil {
		t.Fatal(err)
	}
	r.close()
	want := `    a_test.go:7: got 1, want 2
FAIL  a  1.2s  1 passed, 1 failed, 1 skipped
pass  b TestOne  61.5s
ok    b  0.5s  2 passed
`
	if d := cmp.Diff(want, out.String()); d != "" {
		t.Errorf("report (-want +got):\n%s", d)
	}
	if want := (tally{3, 1, 1}); r.total != want {
		t.Errorf("total = %+v, want %+v", r.total, want)
	}
}

func TestReportCountsAFailureWithoutAFailingTest(t *testing.T) {
	for name, in := range map[string]string{
		"does not build": `{"ImportPath":"a","Action":"build-output","Output":"a.go:1: syntax error\n"}
{"ImportPath":"a","Action":"build-fail"}
{"Action":"start","Package":"a"}
{"Action":"output","Package":"a","Output":"FAIL\ta [build failed]\n"}
{"Action":"fail","Package":"a","Elapsed":0,"FailedBuild":"a"}`,
		"killed": `{"Action":"run","Package":"a","Test":"TestSlow"}
{"Action":"output","Package":"a","Test":"TestSlow","Output":"a.go:1: syntax error\n"}`,
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			r := newReport(&out)
			if err := r.read(strings.NewReader(in)); err != nil {
				t.Fatal(err)
			}
			r.close()
			if r.total.failed != 1 {
				t.Errorf("failed = %d, want 1", r.total.failed)
			}
			if !strings.Contains(out.String(), "a.go:1: syntax error") {
				t.Errorf("the cause is not shown:\n%s", out.String())
			}
		})
	}
}

func TestRunKeepsTheExitStatusAndAddsToTheCounts(t *testing.T) {
	counts := filepath.Join(t.TempDir(), "counts")
	var out, errs bytes.Buffer
	if got := run(counts, []string{"sh", "-c", `echo '{"Action":"pass","Package":"a","Test":"T"}'; echo '{"Action":"pass","Package":"a"}'`}, &out, &errs); got != 0 {
		t.Errorf("exit status = %d, want 0; %s", got, errs.String())
	}
	if got := run(counts, []string{"sh", "-c", "echo plain words; exit 3"}, &out, &errs); got != 3 {
		t.Errorf("exit status = %d, want 3", got)
	}
	if !strings.Contains(out.String(), "plain words") {
		t.Errorf("a line that is no event was swallowed:\n%s", out.String())
	}
	got, err := os.ReadFile(counts)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff("1 0 0\n0 0 0\n", string(got)); d != "" {
		t.Errorf("counts (-want +got):\n%s", d)
	}
	if got := run("", nil, &out, &errs); got != 2 {
		t.Errorf("exit status without a command = %d, want 2", got)
	}
}
