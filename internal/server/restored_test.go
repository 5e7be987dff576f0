package server

import (
	"context"
	"errors"
	"testing"

	"connectrpc.com/connect"

	"github.com/penstock-cd/penstock/internal/deploy"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
	"github.com/penstock-cd/penstock/internal/store"
)

// dying is a store over which a server dies at its second write to the system's records: the first prepares the project.
type dying struct {
	store.Store
	writes int
}

var errDied = errors.New("the server died")

func (d *dying) Update(ctx context.Context, project string, f func(store.Tx) error) error {
	if project == store.System {
		if d.writes++; d.writes == 2 {
			return errDied
		}
	}
	return d.Store.Update(ctx, project, f)
}

// Whoever carries a deployment of a restored record on is told to look first, and a server that dies while it voids leases
// leaves none behind that the next one would extend.
func TestARestoredRecordIsMarked(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		id, key := r.agent("a")
		p := r.join(id, key, "one")
		_, d := p.running("web", "d1")
		r.end()
		r.st.incarnation = "another"
		r.opt.Registry = nil
		broken := r.opt
		broken.Store = &dying{Store: r.st}
		if _, err := New(r.Context(), broken); !errors.Is(err, errDied) {
			r.Fatalf("a server over a store that fails: %v", err)
		}
		r.start()
		_, err := p.link.Renew(r.Context(), connect.NewRequest(&penstockv1.RenewRequest{SessionId: p.session}))
		wantCode(r, "renew", err, deploy.CodeUnauthorized, reasonSessionOver)
		p.hello("one")
		a := p.work().Assignments
		if len(a) != 1 || a[0].DeploymentId != d {
			r.Fatalf("assignments %v, want %s", a, d)
		}
		marked := false
		for _, e := range a[0].Journal {
			marked = marked || e.Key == deploy.JournalRestored && e.Value == `"another"`
		}
		if !marked {
			r.Errorf("the journal %v has no word of the restoration", a[0].Journal)
		}
	})
}
