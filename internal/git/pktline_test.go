package git

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

const (
	hashA = "1111111111111111111111111111111111111111"
	hashB = "2222222222222222222222222222222222222222"
)

func answer(lines ...string) string {
	var b []byte
	for _, l := range lines {
		b = appendPkt(b, l)
	}
	return string(b) + "0000"
}

func TestFindRef(t *testing.T) {
	tests := map[string]struct {
		in   string
		want string
		err  string
	}{
		"found":                 {in: answer(hashA + " refs/heads/main\n"), want: hashA},
		"exact name only":       {in: answer(hashB+" refs/heads/main-2\n", hashA+" refs/heads/main\n"), want: hashA},
		"attributes":            {in: answer(hashA + " refs/heads/main symref-target:refs/heads/x\n"), want: hashA},
		"no line break":         {in: answer(hashA + " refs/heads/main"), want: hashA},
		"sha-256":               {in: answer(strings.Repeat("ab", 32) + " refs/heads/main\n"), want: strings.Repeat("ab", 32)},
		"not there":             {in: answer(hashA + " refs/heads/other\n")},
		"empty repository":      {in: "0000"},
		"unborn":                {in: answer("unborn refs/heads/main\n")},
		"refused":               {in: answer("ERR no access\n"), err: "no access"},
		"nothing at all":        {in: "", err: "an empty answer"},
		"cut between packets":   {in: string(appendPkt(nil, hashA+" refs/heads/main\n")), err: "unexpected EOF"},
		"cut in a packet":       {in: "0040" + hashA, err: "unexpected EOF"},
		"a page":                {in: "<html>", err: "not git's line protocol"},
		"sign in the length":    {in: "+010abcdefghijkl", err: "not git's line protocol"},
		"length 3":              {in: "0003", err: "not git's line protocol"},
		"length above the most": {in: "ffff", err: "not git's line protocol"},
		"delimiter":             {in: "0001", err: "unexpected delimiter"},
		"no name":               {in: answer(hashA), err: "not an answer"},
		"no id":                 {in: answer("main refs/heads/main\n"), err: "not an answer"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := findRef(strings.NewReader(tt.in), "refs/heads/main")
			if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Fatalf("error %v, want %q", err, tt.err)
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestLsRefsRequest(t *testing.T) {
	got := string(lsRefsRequest("refs/heads/main"))
	want := "0014command=ls-refs\n0013agent=penstock\n0001001fref-prefix refs/heads/main\n0000"
	if got != want {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

func TestPktRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lines := rapid.SliceOf(rapid.StringN(0, 200, 800)).Draw(t, "lines")
		var b []byte
		for _, l := range lines {
			b = appendPkt(b, l)
		}
		r := bytes.NewReader(b)
		for _, l := range lines {
			kind, data, err := readPkt(r)
			if err != nil || kind != pktData || string(data) != l {
				t.Fatalf("read %v %q %v, want %q", kind, data, err, l)
			}
		}
		if _, _, err := readPkt(r); !errors.Is(err, io.EOF) {
			t.Fatalf("at the end: %v", err)
		}
	})
}

// FuzzFindRef holds that any answer gives a full object id, nothing, or an error,
// and that only what the server listed under exactly this name is returned.
func FuzzFindRef(f *testing.F) {
	f.Add([]byte(answer(hashA + " refs/heads/main\n")))
	f.Add([]byte(answer("ERR x")))
	f.Add([]byte("0000"))
	f.Add([]byte("fff0"))
	f.Add([]byte("0005"))
	f.Fuzz(func(t *testing.T, in []byte) {
		got, err := findRef(bytes.NewReader(in), "refs/heads/main")
		if err != nil && got != "" {
			t.Fatalf("both %q and %v", got, err)
		}
		if got != "" && (!isHash(got) || !bytes.Contains(in, []byte(got+" refs/heads/main"))) {
			t.Fatalf("made up %q", got)
		}
	})
}

// FuzzParseTree holds that whatever parses writes back to the same bytes' names.
func FuzzParseTree(f *testing.F) {
	f.Add([]byte("100644 a\x00" + strings.Repeat("\x01", 20) + "40000 b\x00" + strings.Repeat("\x02", 20)))
	f.Add([]byte("120000 l\x00"))
	f.Fuzz(func(t *testing.T, in []byte) {
		entries, err := parseTree(in, "d", 20)
		if err != nil {
			return
		}
		size := 0
		for _, e := range entries {
			if !isHash(e.Hash) || e.Name == "" || e.Kind == "" {
				t.Fatalf("entry %+v", e)
			}
			size += len(e.Name) + 20 + 2
		}
		if size > len(in) {
			t.Fatalf("%d bytes of entries out of %d", size, len(in))
		}
	})
}

func FuzzParseCommit(f *testing.F) {
	f.Add([]byte("tree " + hashA + "\nparent " + hashB + "\nauthor A B <a@b> 1 +0000\ncommitter C <c@d> 2 -0700\n\nsubject\n\nbody\n"))
	f.Add([]byte("author <>"))
	f.Fuzz(func(t *testing.T, in []byte) {
		c, err := parseCommit(hashA, in)
		if err == nil && (c.Hash != hashA || c.Time.IsZero() || strings.Contains(c.Subject, "\n")) {
			t.Fatalf("%+v", c)
		}
	})
}
