package client

import (
	"net/url"
	"testing"

	"google.golang.org/protobuf/proto"

	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
)

// FuzzServer holds that an address is read again alike and never sends a credential in the clear to another machine.
func FuzzServer(f *testing.F) {
	for _, s := range []string{"host:443", "host", "http://127.0.0.1:1/", "http://h", "localhost", "[::1]:8080", "u@h", "h?x", "ftp://h", "https://", "%", " h ", "https://h/a/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := ParseServer(text, false)
		if err != nil {
			return
		}
		u, err := url.Parse(got)
		if err != nil || u.Hostname() == "" || u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
			t.Errorf("%q became %q: %v", text, got, err)
		}
		if again, err := ParseServer(got, false); err != nil || again != got {
			t.Errorf("%q became %q, which becomes %q: %v", text, got, again, err)
		}
	})
}

// FuzzWork holds that any answer of a server is work or an error that an agent can say.
func FuzzWork(f *testing.F) {
	for _, m := range []*penstockv1.GetWorkResponse{
		{},
		{Applications: []*penstockv1.WatchedApplication{{Application: `{"id":"a"}`}}},
		{Assignments: []*penstockv1.Assignment{{Deployment: `{"id":"d","plan":{"stages":[{}]}}`, Journal: []*penstockv1.JournalEntry{{Key: "k", Value: "x"}}}}},
		{Assignments: []*penstockv1.Assignment{{Deployment: `[]`}}},
		{Repositories: []*penstockv1.RepositoryWork{{Applications: []string{"{"}}}},
	} {
		text, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var m penstockv1.GetWorkResponse
		if proto.Unmarshal(text, &m) != nil {
			return
		}
		w, err := workFromWire(&m)
		if err == nil && (len(w.Assignments) != len(m.Assignments) || len(w.Applications) != len(m.Applications)) {
			t.Errorf("%d assignments of %d, %d applications of %d", len(w.Assignments), len(m.Assignments), len(w.Applications), len(m.Applications))
		}
	})
}
