package server

import (
	"errors"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/index"
	"github.com/penstock-cd/penstock/internal/store"
)

// wantListsTrue holds, at the end of every test, that what lists read of each
// record is what its body says.
func (r *rig) wantListsTrue() {
	r.Helper()
	projects := []string{}
	err := r.srv.eachProject(r.Context(), func(p string) error { projects = append(projects, p); return nil })
	for _, project := range projects {
		err = errors.Join(err, r.st.View(r.Context(), project, func(tx store.Tx) error {
			return errors.Join(listsTrue(r, tx, store.Deployments, func(d deploy.Deployment, _ string) (store.Record, error) { return index.Deployment(d) }),
				listsTrue(r, tx, store.Applications, index.Application))
		}))
	}
	if err != nil {
		r.Error(err)
	}
}

func listsTrue[T any](r *rig, tx store.Tx, c store.Collection, made func(T, string) (store.Record, error)) error {
	recs, err := listAll(tx, c, store.Query{})
	for _, rec := range recs {
		var v T
		if err := decodeBody(rec, &v); err != nil {
			return err
		}
		want, err := made(v, rec.Index["health"])
		if err != nil {
			return err
		}
		differs, err := index.Differs(tx, c, want)
		if err != nil {
			return err
		}
		if len(differs) > 0 {
			r.Errorf("%s %s: lists read another %v than its body says", c.Name, rec.Key, differs)
		}
	}
	return err
}
