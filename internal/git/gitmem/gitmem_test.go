package gitmem_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/penstock-cd/penstock/internal/git"
	"github.com/penstock-cd/penstock/internal/git/gitmem"
)

func commit(t *testing.T, r *gitmem.Repo, content string) string {
	t.Helper()
	sha, err := r.Commit(git.Change{Branch: "main", Message: "m " + content, Files: map[string]string{"a": content}})
	if err != nil {
		t.Fatal(err)
	}
	return sha
}

func TestVirtualTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := gitmem.New(gitmem.Options{Latency: 30 * time.Millisecond})
		begin := time.Now()
		sha := commit(t, r, "1")
		m := r.Mirror("main")
		if head, err := m.Head(t.Context()); err != nil || head != sha {
			t.Fatal(head, err)
		}
		if _, err := m.Fetch(t.Context()); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(begin); d != 60*time.Millisecond {
			t.Errorf("two requests took %v", d)
		}
		c, err := m.Commit(t.Context(), sha)
		if err != nil || !c.Time.Equal(begin.Truncate(time.Second)) {
			t.Errorf("%v, %v", c.Time, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		if _, err := m.Head(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		if diff := cmp.Diff(gitmem.Requests{Heads: 1, Fetches: 1}, r.Requests()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestHostTrouble(t *testing.T) {
	ctx := t.Context()
	r := gitmem.New(gitmem.Options{Name: "shop"})
	m := r.Mirror("main")
	if _, err := m.Head(ctx); !errors.Is(err, git.ErrBranchMissing) {
		t.Errorf("%v", err)
	}
	one := commit(t, r, "1")
	if _, err := m.Fetch(ctx); err != nil {
		t.Fatal(err)
	}
	two := commit(t, r, "2")
	r.AnswerOld(2)
	for _, want := range []string{one, one, two} {
		if head, err := m.Head(ctx); err != nil || head != want {
			t.Errorf("%q, %v", head, err)
		}
	}
	r.Fail(git.ErrUnreachable)
	_, err1 := m.Head(ctx)
	_, err2 := m.Fetch(ctx)
	if !errors.Is(err1, git.ErrUnreachable) || !errors.Is(err2, git.ErrUnreachable) {
		t.Errorf("%v, %v", err1, err2)
	}
	if got, err := m.ReadFile(ctx, one, "a"); err != nil || string(got) != "1" {
		t.Errorf("reading while the host is down: %q, %v", got, err)
	}
	r.Fail(nil)
	if head, err := m.Fetch(ctx); err != nil || head != two {
		t.Errorf("%q, %v", head, err)
	}
	m.Forget(one)
	if _, err := m.ChangedPaths(ctx, one, two); !errors.Is(err, git.ErrUnknownCommit) {
		t.Errorf("%v", err)
	}
	r.DeleteBranch("main")
	if _, err := m.Fetch(ctx); !errors.Is(err, git.ErrBranchMissing) {
		t.Errorf("%v", err)
	}
}

// The same change at the same time gives the same id, so that scenarios repeat.
func TestIdsRepeat(t *testing.T) {
	at := time.Unix(1_700_000_000, 0)
	ids := map[string]bool{}
	for range 2 {
		r := gitmem.New(gitmem.Options{Now: func() time.Time { return at }})
		commit(t, r, "1")
		ids[commit(t, r, "2")] = true
	}
	if len(ids) != 1 {
		t.Errorf("%v", ids)
	}
}
