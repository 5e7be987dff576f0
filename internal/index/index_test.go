package index

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/store"
	"github.com/penstock-cd/penstock/internal/store/sqlite"
	"github.com/penstock-cd/penstock/internal/wire"
)

// whatever draws a value with all of its fields, such as JSON can carry.
func whatever[T any]() *rapid.Generator[T] {
	raw := rapid.Custom(func(t *rapid.T) json.RawMessage {
		return json.RawMessage(rapid.SampledFrom([]string{`null`, `{}`, `{"a":1}`}).Draw(t, "JSON"))
	})
	instant := rapid.Custom(func(t *rapid.T) time.Time {
		if rapid.Bool().Draw(t, "zero") {
			return time.Time{}
		}
		return time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "second"), rapid.Int64Range(0, 999_999_999).Draw(t, "nanosecond")).UTC()
	})
	return rapid.MakeCustom[T](rapid.MakeConfig{
		Types: map[reflect.Type]*rapid.Generator[any]{reflect.TypeFor[json.RawMessage](): raw.AsAny(), reflect.TypeFor[time.Time](): instant.AsAny()},
		Kinds: map[reflect.Kind]*rapid.Generator[any]{reflect.Float64: rapid.Float64Range(0, 100).AsAny()},
	})
}

func equal(t interface{ Errorf(string, ...any) }, what string, got, want store.Record) {
	for _, r := range []*store.Record{&got, &want} {
		slices.Sort(r.Tags)
		r.Tags = slices.Compact(r.Tags)
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// TestRecordFollowsFromItsBody holds that what stands beside a body is made of
// nothing else: whoever reads the body makes the same index and summary of it,
// so the two cannot differ by the way a deployment came to its state.
func TestRecordFollowsFromItsBody(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := whatever[deploy.Deployment]().Draw(t, "deployment")
		rec, err := Deployment(d)
		if err != nil {
			t.Fatal(err)
		}
		var back deploy.Deployment
		if err := json.Unmarshal(rec.Body, &back); err != nil {
			t.Fatal(err)
		}
		again, err := Deployment(back)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "deployment", again, rec)
		shown, err := wire.ReadDeploymentSummary(rec.Summary)
		if want := wire.Listed(back); err != nil || !proto.Equal(shown, want) {
			t.Errorf("the summary is %v, %v, want %v", shown, err, want)
		}
		a := whatever[deploy.Application]().Draw(t, "application")
		health := rapid.SampledFrom([]string{"", "HEALTHY", "UNHEALTHY"}).Draw(t, "health")
		if rec, err = Application(a, health); err != nil {
			t.Fatal(err)
		}
		var app deploy.Application
		if err := json.Unmarshal(rec.Body, &app); err != nil {
			t.Fatal(err)
		}
		if again, err = Application(app, rec.Index["health"]); err != nil {
			t.Fatal(err)
		}
		equal(t, "application", again, rec)
	})
}

// TestSummaryOfForeignBytes: a reason may carry what a tool printed, in no
// encoding at all. The body takes it, so the summary has to.
func TestSummaryOfForeignBytes(t *testing.T) {
	d := deploy.Deployment{ID: "d", Status: deploy.StatusFailure, Failed: deploy.Why(deploy.ReasonStepFailed, "detail", "caf\xe9")}
	rec, err := Deployment(d)
	if err != nil {
		t.Fatal(err)
	}
	shown, err := wire.ReadDeploymentSummary(rec.Summary)
	if err != nil || len(shown.Failed.Args) != 1 || !strings.HasPrefix(fmt.Sprint(shown.Failed.Args), "map[detail:caf") {
		t.Errorf("%v, %v", shown, err)
	}
}

func TestPeople(t *testing.T) {
	approval := func(status deploy.StageStatus) []deploy.Stage {
		return []deploy.Stage{{PlanStage: deploy.PlanStage{ID: "ok", Type: deploy.StageApproval, Approvers: []string{"Mori", "ann"}}, Status: status}}
	}
	by := deploy.Trigger{By: "Bob", Commit: deploy.Commit{Author: " Ann Lee ", Email: "Ann@Example.com"}}
	for name, x := range map[string]struct {
		d    deploy.Deployment
		want []string
	}{
		"nobody":            {deploy.Deployment{}, nil},
		"starter, author":   {deploy.Deployment{Trigger: by}, []string{"bob", "ann lee", "ann@example.com", "ann"}},
		"awaited":           {deploy.Deployment{Status: deploy.StatusRunning, Stages: approval(deploy.StageRunning)}, []string{"mori", "ann"}},
		"not yet awaited":   {deploy.Deployment{Status: deploy.StatusRunning, Stages: approval(deploy.StageNotStarted)}, nil},
		"no longer awaited": {deploy.Deployment{Status: deploy.StatusCancelled, Stages: approval(deploy.StageRunning)}, nil},
	} {
		if diff := cmp.Diff(x.want, peopleOf(x.d)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestWorstFirst orders applications as the sort by attention does.
func TestWorstFirst(t *testing.T) {
	order := [][3]string{
		{"SYNCED", "HEALTHY", "NEEDS_ATTENTION"},
		{"SYNCED", "UNHEALTHY", "SUCCESS"},
		{"SYNCED", "HEALTHY", "ROLLED_BACK"},
		{"OUT_OF_SYNC", "HEALTHY", "SUCCESS"},
		{"DEPLOYING", "HEALTHY", "RUNNING"},
		{"SYNCED", "UNKNOWN", "SUCCESS"},
		{"SYNCED", "HEALTHY", "SUCCESS"},
	}
	for i, o := range order {
		if got := attention(o[0], o[1], o[2]); got != fmt.Sprint(i) {
			t.Errorf("%v has rank %s, want %d", o, got, i)
		}
	}
	if got := attention("INVALID_CONFIG", "HEALTHY", "SUCCESS"); got != "2" {
		t.Errorf("a file with an error has rank %s", got)
	}
}

func TestTextIsBounded(t *testing.T) {
	long := strings.Repeat("é", maxText)
	got := textOf(deploy.Ref{Name: "x" + long})
	if len(got) > maxText || !strings.HasPrefix("x"+long, got) {
		t.Errorf("%d bytes that end with %q", len(got), got[len(got)-3:])
	}
	a := textOf(deploy.Ref{Name: "Web", Path: "P", Labels: map[string]string{"team": "a", "env": "B"}})
	if a != "web\np\nenv=b\nteam=a" {
		t.Errorf("text %q", a)
	}
}

// TestDiffersNames changes each thing that is kept beside a body.
func TestDiffersNames(t *testing.T) {
	st, err := sqlite.OpenMemory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	d := deploy.Deployment{ID: "d", App: deploy.Ref{ID: "a", Name: "web", Labels: map[string]string{"env": "prod"}}, Status: deploy.StatusRunning, Trigger: deploy.Trigger{By: "ann"}}
	for name, x := range map[string]struct {
		change func(*store.Record)
		want   []string
	}{
		"nothing":  {func(*store.Record) {}, nil},
		"a column": {func(r *store.Record) { r.Index["display"] = "SUCCESS" }, []string{"display"}},
		"summary":  {func(r *store.Record) { r.Summary = nil }, []string{"summary"}},
		"a tag":    {func(r *store.Record) { r.Tags = r.Tags[1:] }, []string{"tags"}},
		"one more": {func(r *store.Record) { r.Tags = append(r.Tags, TagWho+"bob") }, []string{"tags"}},
	} {
		err := st.Update(t.Context(), "p", func(tx store.Tx) error {
			want, err := Deployment(d)
			if err != nil {
				return err
			}
			kept, err := Deployment(d)
			if err != nil {
				return err
			}
			x.change(&kept)
			if err := tx.Put(store.Deployments, kept); err != nil {
				return err
			}
			got, err := Differs(tx, store.Deployments, want)
			if diff := cmp.Diff(x.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}

func TestCurrent(t *testing.T) {
	st, err := sqlite.OpenMemory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	err = st.Update(t.Context(), store.System, func(tx store.Tx) error {
		if ok, err := Current(tx, "p"); ok || err != nil {
			t.Errorf("a project that nobody indexed: %v, %v", ok, err)
		}
		if err := MarkCurrent(tx, "p"); err != nil {
			return err
		}
		if ok, err := Current(tx, "p"); !ok || err != nil {
			t.Errorf("a project that was indexed: %v, %v", ok, err)
		}
		if ok, err := Current(tx, "q"); ok || err != nil {
			t.Errorf("another project: %v, %v", ok, err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
