package sqlite

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/penstock-cd/penstock/internal/store"
	"github.com/penstock-cd/penstock/internal/store/storetest"
)

func memory(t testing.TB) *Store {
	t.Helper()
	s, err := OpenMemory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func open(t testing.TB, dir string, o Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestSuite(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	storetest.Run(t, func(t *testing.T) store.Store { return memory(t) })
}

func TestReopen(t *testing.T) {
	dir := t.TempDir()
	storetest.Reopen(t, func(t *testing.T) store.Store { return open(t, dir, Options{}) })
}
