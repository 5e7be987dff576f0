package storetest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/store"
)

var logKey = store.LogKey{Project: "p", Deployment: "d", Stage: "s", Attempt: 1}

func appendLog(t *testing.T, s store.Store, k store.LogKey, epoch, offset int64, data string) (full bool) {
	t.Helper()
	full, err := s.Side().AppendLog(t.Context(), k, epoch, offset, []byte(data))
	must(t, err)
	return full
}

func wantLog(t *testing.T, s store.Store, k store.LogKey, want string) {
	t.Helper()
	got, err := s.Side().ReadLog(t.Context(), k, 0, store.MaxLogBytes)
	if err != nil || string(got) != want {
		t.Errorf("log of %+v = %q, %v, want %q", k, got, err, want)
	}
}

func logChunks(t *testing.T, s store.Store) {
	wantLog(t, s, logKey, "")
	appendLog(t, s, logKey, 1, 0, "one\n")
	appendLog(t, s, logKey, 1, 4, "two\n")
	appendLog(t, s, logKey, 1, 0, "one\n") // repeated
	appendLog(t, s, logKey, 2, 0, "three\n")
	appendLog(t, s, logKey, 1, 4, "two\n") // repeated late
	appendLog(t, s, logKey, 2, 6, "")
	appendLog(t, s, logKey, 2, 6, "four\n")
	appendLog(t, s, logKey, 1, 8, "from the first process\n")
	wantLog(t, s, logKey, "one\ntwo\nthree\nfour\nfrom the first process\n")
	_, err := s.Side().AppendLog(t.Context(), store.LogKey{Project: "p"}, 1, 0, []byte("x"))
	wantCode(t, "log without deployment", err, deploy.CodeInvalid)
	_, err = s.Side().ReadLog(t.Context(), logKey, 0, 0)
	wantCode(t, "read nothing", err, deploy.CodeInvalid)
}

func logCap(t *testing.T, s store.Store) {
	chunk := strings.Repeat("sixteen bytes..\n", 1<<16/16)
	var written int
	for full := false; !full; written += len(chunk) {
		if written > 2*store.MaxLogBytes {
			t.Fatal("the log takes twice its cap")
		}
		full = appendLog(t, s, logKey, 1, int64(written), chunk)
	}
	if !appendLog(t, s, logKey, 1, int64(written), "more\n") || !appendLog(t, s, logKey, 2, 0, "more\n") {
		t.Error("a full log does not say that it is full")
	}
	got, err := s.Side().ReadLog(t.Context(), logKey, 0, 2*store.MaxLogBytes)
	must(t, err)
	if len(got) > store.MaxLogBytes || len(got) < store.MaxLogBytes-1024 {
		t.Errorf("a full log has %d bytes, the cap is %d", len(got), store.MaxLogBytes)
	}
	lines := strings.Split(strings.TrimSuffix(string(got), "\n"), "\n")
	notice, before := lines[len(lines)-1], lines[:len(lines)-1]
	if !strings.Contains(notice, "limit") {
		t.Errorf("the last line is %q, want a notice", notice)
	}
	for i, line := range before {
		if line != "sixteen bytes.." {
			t.Fatalf("line %d before the notice is %q", i, line)
		}
	}

	// One chunk beyond the cap, without a line end and of characters of two bytes.
	k := logKey
	k.Attempt = 2
	if !appendLog(t, s, k, 1, 0, strings.Repeat("é", store.MaxLogBytes)) {
		t.Error("a chunk beyond the cap does not fill the log")
	}
	got, err = s.Side().ReadLog(t.Context(), k, 0, 2*store.MaxLogBytes)
	must(t, err)
	head, tail, found := strings.Cut(strings.TrimSuffix(string(got), "\n"), "\n")
	if !found || strings.Trim(head, "é") != "" || !strings.Contains(tail, "limit") || len(got) > store.MaxLogBytes {
		t.Errorf("%d bytes end with %q", len(got), tail)
	}
}

func logInPieces(t *testing.T, s store.Store) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var whole bytes.Buffer
	for i := range 40 {
		chunk := strings.Repeat(fmt.Sprintf("%d %x\n", i, rnd.Uint64()), 1+rnd.IntN(400))
		appendLog(t, s, logKey, 1, int64(whole.Len()), chunk)
		whole.WriteString(chunk)
	}
	for _, size := range []int{1 << 20, 5000, 777} {
		var got []byte
		for {
			piece, err := s.Side().ReadLog(t.Context(), logKey, int64(len(got)), size)
			must(t, err)
			if len(piece) == 0 {
				break
			}
			if len(piece) > size {
				t.Fatalf("a piece of %d bytes, asked for %d", len(piece), size)
			}
			got = append(got, piece...)
		}
		if !bytes.Equal(got, whole.Bytes()) {
			t.Errorf("in pieces of %d: %d bytes that differ from the %d written", size, len(got), whole.Len())
		}
	}
	for range 200 {
		from, size := rnd.IntN(whole.Len()), 1+rnd.IntN(9000)
		got, err := s.Side().ReadLog(t.Context(), logKey, int64(from), size)
		must(t, err)
		if want := whole.Bytes()[from:min(whole.Len(), from+size)]; !bytes.Equal(got, want) {
			t.Fatalf("%d bytes from %d: got %d bytes that differ", size, from, len(got))
		}
	}
}

func logsAreApart(t *testing.T, s store.Store) {
	ks := []store.LogKey{logKey, logKey, logKey, logKey, logKey}
	ks[1].Project, ks[2].Deployment, ks[3].Stage, ks[4].Attempt = "q", "e", "t", 2
	for i, k := range ks {
		appendLog(t, s, k, 1, 0, fmt.Sprint(i))
	}
	for i, k := range ks {
		wantLog(t, s, k, fmt.Sprint(i))
	}
}

func sideValues(t *testing.T, s store.Store) {
	put := func(project, kind, key string, at time.Time, value string) {
		must(t, s.Side().PutSide(t.Context(), project, kind, key, at, []byte(value)))
	}
	if _, _, ok, err := s.Side().GetSide(t.Context(), "p", "live", "a"); ok || err != nil {
		t.Errorf("a value that was never stored: %v, %v", ok, err)
	}
	large := strings.Repeat("live state ", 100_000)
	put("p", "live", "a", moment(1), "first")
	put("p", "live", "a", moment(2), large)
	put("p", "beat", "a", moment(3), "")
	put("q", "live", "a", moment(4), "of q")
	put("p", "live", "b", time.Time{}, "of b")
	for _, c := range []struct {
		project, kind, key string
		at                 time.Time
		value              string
	}{
		{"p", "live", "a", moment(2), large},
		{"p", "beat", "a", moment(3), ""},
		{"q", "live", "a", moment(4), "of q"},
		{"p", "live", "b", time.Time{}, "of b"},
	} {
		v, at, ok, err := s.Side().GetSide(t.Context(), c.project, c.kind, c.key)
		if !ok || err != nil || string(v) != c.value || !at.Equal(c.at) {
			t.Errorf("%s %s %s: %d bytes at %v, %v, %v", c.project, c.kind, c.key, len(v), at, ok, err)
		}
	}
}
