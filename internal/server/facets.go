package server

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/penstock-cd/penstock/internal/deploy"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
	"github.com/penstock-cd/penstock/internal/index"
	"github.com/penstock-cd/penstock/internal/store"
)

// Bounds of a filter.
const (
	maxFilterValues = 100
	maxFilterText   = 200
	maxLabelFacets  = 100
)

// filter is one choice of a list: the facet that a person sees, the column it
// is kept in, and what was chosen.
type filter struct {
	name, column string
	chosen       []string
}

// listing is a list request in the words of the store.
type listing struct {
	c       store.Collection
	filters []filter    // one for each facet, chosen or not
	narrow  store.Query // conditions that are no facets: words, labels, favourites, ...
	there   []string    // facet values that every record has that was not deleted, of the last filter
}

// newListing checks the sizes of what was sent.
func newListing(c store.Collection, text string, labels map[string]string, filters ...filter) (listing, error) {
	l := listing{c: c, filters: filters}
	if len(text) > maxFilterText || len(labels) > maxFilterValues {
		return l, deploy.Errorf(deploy.CodeInvalid, "a search has at most %d bytes and %d labels", maxFilterText, maxFilterValues)
	}
	for _, f := range filters {
		if len(f.chosen) > maxFilterValues {
			return l, deploy.Errorf(deploy.CodeInvalid, "%s has at most %d values", f.name, maxFilterValues)
		}
	}
	if words := strings.Fields(lower(text)); len(words) > 0 {
		l.narrow.Contains = map[string][]string{"text": words}
	}
	for k, v := range labels {
		l.narrow.Tags = append(l.narrow.Tags, index.TagLabel+k+"="+v)
	}
	slices.Sort(l.narrow.Tags)
	return l, nil
}

// where is the query with all filters.
func (l listing) where() store.Query {
	q := l.narrow
	q.Where = map[string][]string{}
	for k, v := range l.narrow.Where {
		q.Where[k] = v
	}
	for _, f := range l.filters {
		if len(f.chosen) > 0 {
			q.Where[f.column] = f.chosen
		}
	}
	return q
}

// count counts what the filters let through, and with facets the choices of
// each filter under all others.
func (b *book) count(l listing, facets bool) (total int, out []*penstockv1.Facet, err error) {
	if !facets {
		q := l.where()
		if len(l.there) > 0 && len(q.Where[l.filters[len(l.filters)-1].column]) == 0 {
			q.Where[l.filters[len(l.filters)-1].column] = l.there
		}
		total, err = b.Count(l.c, q)
		return total, nil, err
	}
	columns := make([]string, len(l.filters))
	for i, f := range l.filters {
		columns[i] = f.column
	}
	q := l.narrow
	if len(l.there) > 0 {
		q.Where = map[string][]string{columns[len(columns)-1]: l.there}
		for k, v := range l.narrow.Where {
			q.Where[k] = v
		}
	}
	tally, err := b.Tally(l.c, q, columns)
	if err != nil {
		return 0, nil, err
	}
	total, counts := spread(l.filters, tally)
	for i, f := range l.filters {
		out = append(out, facet(f.name, counts[i]))
	}
	return total, out, nil
}

// spread adds up the combinations: a record counts for a choice when all other
// filters let it through.
func spread(filters []filter, tally []store.Tally) (total int, counts []map[string]int) {
	counts = make([]map[string]int, len(filters))
	for i := range counts {
		counts[i] = map[string]int{}
	}
	for _, t := range tally {
		miss, misses := -1, 0
		for i, f := range filters {
			if !wants(f.chosen, t.Values[i]) {
				miss = i
				misses++
			}
		}
		switch misses {
		case 0:
			total += t.N
			for i := range filters {
				counts[i][t.Values[i]] += t.N
			}
		case 1:
			counts[miss][t.Values[miss]] += t.N
		}
	}
	return total, counts
}

func facet(name string, counts map[string]int) *penstockv1.Facet {
	f := &penstockv1.Facet{Name: name}
	for v, n := range counts {
		if n > 0 {
			f.Values = append(f.Values, &penstockv1.FacetValue{Value: v, Count: int32(n)})
		}
	}
	slices.SortFunc(f.Values, func(a, b *penstockv1.FacetValue) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Value, b.Value))
	})
	return f
}

// labelFacet counts the labels of what all filters let through: labels are all
// of, so each count is what adding the label would leave.
func (b *book) labelFacet(l listing) (*penstockv1.Facet, error) {
	tags, err := b.TallyTags(l.c, l.where(), index.TagLabel, maxLabelFacets)
	if err != nil {
		return nil, err
	}
	f := &penstockv1.Facet{Name: "label"}
	for _, t := range tags {
		f.Values = append(f.Values, &penstockv1.FacetValue{Value: strings.TrimPrefix(t.Values[0], index.TagLabel), Count: int32(t.N)})
	}
	return f, nil
}

// nameAgents gives the choices of agents their names.
func (b *book) nameAgents(facets []*penstockv1.Facet) error {
	for _, f := range facets {
		if f.Name != "agent_id" {
			continue
		}
		for _, v := range f.Values {
			a, err := load[agentRecord](b, store.Agents, v.Value, "agent")
			if err != nil && deploy.CodeOf(err) != deploy.CodeNotFound {
				return err
			}
			v.Title = a.Name
		}
	}
	return nil
}

// choice is a filter of at most one value.
func choice(v *bool) []string {
	if v == nil {
		return nil
	}
	return []string{strconv.FormatBool(*v)}
}
