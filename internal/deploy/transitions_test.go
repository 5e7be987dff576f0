package deploy_test

import (
	"os"
	"regexp"
	"sort"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/penstock-cd/penstock/internal/deploy"
)

// TestTransitionsAreDocumented keeps the table for people and the table in
// code equal.
func TestTransitionsAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/contributing/transitions.md")
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile(`(?m)^\| (\(none\)|[A-Z_]+) \| ([A-Z_]+) \| `)
	var documented, coded []string
	for _, m := range row.FindAllStringSubmatch(string(text), -1) {
		if m[1] == "DECLARED" || m[1] == "SNAPSHOT" || m[1] == "NEEDS_ATTENTION" {
			continue // the second table
		}
		documented = append(documented, strings.TrimPrefix(m[1], "(none)")+" → "+m[2])
	}
	for from, list := range deploy.Transitions {
		for _, to := range list {
			coded = append(coded, string(from)+" → "+string(to))
		}
	}
	sort.Strings(documented)
	sort.Strings(coded)
	if diff := cmp.Diff(coded, documented); diff != "" {
		t.Errorf("docs/contributing/transitions.md differs from deploy.Transitions (-code +document):\n%s", diff)
	}
}

func TestTerminalStatesHaveNoWayOut(t *testing.T) {
	for from, list := range deploy.Transitions {
		if from.Terminal() != (len(list) == 0) {
			t.Errorf("%s: terminal is %v but it may become %v", from, from.Terminal(), list)
		}
		for _, to := range list {
			if !from.CanBecome(to) {
				t.Errorf("%s.CanBecome(%s) is false", from, to)
			}
		}
	}
	if deploy.StatusSuccess.CanBecome(deploy.StatusRunning) {
		t.Error("a success may run again")
	}
}

func TestDisplay(t *testing.T) {
	for _, c := range []struct {
		status deploy.Status
		end    deploy.End
		want   string
	}{
		{deploy.StatusSuccess, deploy.EndDeclared, "SUCCESS"},
		{deploy.StatusFailure, deploy.EndNone, "FAILURE"},
		{deploy.StatusFailure, deploy.EndSnapshot, "ROLLED_BACK"},
		{deploy.StatusCancelled, deploy.EndSnapshot, "ROLLED_BACK"},
		{deploy.StatusCancelled, deploy.EndNeedsAttention, "NEEDS_ATTENTION"},
		{deploy.StatusRunning, deploy.EndNone, "RUNNING"},
	} {
		if got := deploy.Display(c.status, c.end); got != c.want {
			t.Errorf("Display(%s, %s) = %s, want %s", c.status, c.end, got, c.want)
		}
	}
}
