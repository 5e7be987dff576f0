package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	"github.com/penstock-cd/penstock/internal/client"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
)

func newAppLiveCommand(s streams) *cobra.Command {
	v := &verb{s: s}
	return v.leaf("live APP", "Show what runs: resources with their health, and where requests go", exactly(1), func(ctx context.Context, c *client.Client, args []string) error {
		res, err := c.Applications.GetLiveState(ctx, connect.NewRequest(&penstockv1.GetLiveStateRequest{ApplicationId: args[0]}))
		if err != nil {
			return err
		}
		l := res.Msg.LiveState
		if l == nil && v.forPeople() {
			return &statusError{code: exitNotFound, err: fmt.Errorf("nothing was observed of %s yet", args[0]), next: "is its agent online? penstock agent list"}
		}
		if l == nil {
			l = &penstockv1.LiveState{}
		}
		return v.object(l, args[0], func() { v.showLive(l) })
	})
}

func (v *verb) showLive(l *penstockv1.LiveState) {
	v.s.facts("Health", l.Health, "Observed", v.s.instant(l.At), "Digest", l.Digest)
	for _, t := range l.Traffic {
		fmt.Fprintln(v.s.Out)
		fmt.Fprintf(v.s.Out, "Route %s\n", plain(t.Route))
		rows := make([][]string, len(t.Groups))
		for i, g := range t.Groups {
			rows[i] = []string{g.Variant, percent(g.Percent), fmt.Sprintf("%d/%d", g.Healthy, g.Total), spreadText(g.Versions), g.Group}
		}
		v.s.table([]string{"VARIANT", "WEIGHT", "HEALTHY", "VERSIONS", "GROUP"}, rows)
	}
	if len(l.Resources) == 0 {
		return
	}
	fmt.Fprintln(v.s.Out)
	var rows [][]string
	for _, n := range treeOf(l.Resources) {
		r := n.resource
		rows = append(rows, []string{n.prefix + r.Kind + " " + r.Name, r.Health, r.Status, r.Variant, r.Version, v.s.ago(r.Created)})
	}
	v.s.table([]string{"RESOURCE", "HEALTH", "STATUS", "VARIANT", "VERSION", "AGE"}, rows)
	if l.Truncated > 0 {
		fmt.Fprintf(v.s.Out, "and %d more that were left out of the report\n", l.Truncated)
	}
}

func percent(p float64) string { return strconv.FormatFloat(p, 'f', -1, 64) + " %" }

// spreadText renders how healthy targets are spread over versions: v1×3 v2×1.
func spreadText(versions map[string]int32) string {
	var out []string
	for _, k := range sortedKeys(versions) {
		out = append(out, fmt.Sprintf("%s×%d", k, versions[k]))
	}
	return strings.Join(out, " ")
}

// trafficText is where requests go, on one line: canary 20 %, primary 80 %.
func trafficText(ts []*penstockv1.Traffic) string {
	var routes []string
	for _, t := range ts {
		var groups []string
		for _, g := range t.Groups {
			name := g.Variant
			if name == "" {
				name = g.Group
			}
			groups = append(groups, name+" "+percent(g.Percent))
		}
		routes = append(routes, strings.Join(groups, ", "))
	}
	// Most applications have one route, or several that are always written alike.
	same := true
	for _, r := range routes {
		same = same && r == routes[0]
	}
	if same && len(routes) > 0 {
		return routes[0]
	}
	return strings.Join(routes, "; ")
}

// node is a resource with the branch that leads to it.
type node struct {
	prefix   string
	resource *penstockv1.Resource
}

// treeOf orders resources as a tree. Whose parent is missing, or would close a
// circle, stands at the root, so that nothing is hidden.
func treeOf(rs []*penstockv1.Resource) []node {
	ids, children := map[string]bool{}, map[string][]*penstockv1.Resource{}
	for _, r := range rs {
		ids[r.Id] = true
	}
	for _, r := range rs {
		parent := r.Parent
		if !ids[parent] || parent == r.Id {
			parent = ""
		}
		children[parent] = append(children[parent], r)
	}
	var out []node
	seen := map[*penstockv1.Resource]bool{}
	var walk func(r *penstockv1.Resource, mark, indent string)
	walk = func(r *penstockv1.Resource, mark, indent string) {
		if seen[r] {
			return
		}
		seen[r] = true
		out = append(out, node{indent + mark, r})
		switch mark {
		case "├ ":
			indent += "│ "
		case "└ ":
			indent += "  "
		}
		if r.Id == "" {
			return
		}
		for i, c := range children[r.Id] {
			m := "├ "
			if i == len(children[r.Id])-1 {
				m = "└ "
			}
			walk(c, m, indent)
		}
	}
	for _, r := range children[""] {
		walk(r, "", "")
	}
	for _, r := range rs {
		walk(r, "", "") // only what a circle kept from the root is left
	}
	return out
}
