package wire_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"pgregory.net/rapid"

	"github.com/penstock-cd/penstock/internal/deploy"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
	"github.com/penstock-cd/penstock/internal/wire"
)

var instants = rapid.Map(rapid.Int64Range(-1<<33, 1<<34), func(s int64) time.Time { return time.Unix(s, s&0xfffff).UTC() })

// sent carries a message over the wire.
func sent[M proto.Message](t testing.TB, m, into M) M {
	t.Helper()
	b, err := proto.Marshal(m)
	if err == nil {
		err = proto.Unmarshal(b, into)
	}
	if err != nil {
		t.Fatal(err)
	}
	return into
}

func TestTimeSurvivesTheWire(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := instants.Draw(t, "at")
		if got := wire.TimeFromWire(wire.Time(at)); !got.Equal(at) {
			t.Errorf("%v became %v", at, got)
		}
	})
	if wire.Time(time.Time{}) != nil || !wire.TimeFromWire(nil).IsZero() {
		t.Error("the zero time is not absent")
	}
}

func TestReasonSurvivesTheWire(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := deploy.Reason{Code: rapid.StringMatching(`[A-Z_]{1,20}`).Draw(rt, "code"), Args: rapid.MapOfN(rapid.StringMatching(`[a-z]{1,8}`), rapid.String(), 1, 5).Draw(rt, "args")}
		got := wire.ReasonFromWire(sent(t, wire.Reason(r), &penstockv1.Reason{}))
		if diff := cmp.Diff(r, got); diff != "" {
			rt.Error(diff)
		}
	})
	if wire.Reason(deploy.Reason{}) != nil {
		t.Error("no reason is not absent")
	}
	if got := wire.ReasonFromWire(nil); !got.IsZero() {
		t.Errorf("an absent reason became %v", got)
	}
	if got := wire.Reason(deploy.Why(deploy.ReasonCancelled, "by", "ann")).Text; got != "cancelled by ann" {
		t.Errorf("sentence %q", got)
	}
}

func TestCommitSurvivesTheWire(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c := deploy.Commit{
			Hash: rapid.StringMatching(`[0-9a-f]{40}`).Draw(rt, "hash"), Subject: rapid.String().Draw(rt, "subject"), Author: rapid.String().Draw(rt, "author"),
			Time: instants.Draw(rt, "time"), URL: rapid.StringMatching(`https://[a-z/]{0,20}`).Draw(rt, "url"),
		}
		if diff := cmp.Diff(c, wire.CommitFromWire(sent(t, wire.Commit(c), &penstockv1.Commit{}))); diff != "" {
			rt.Error(diff)
		}
	})
	if wire.Commit(deploy.Commit{Subject: "x"}) != nil {
		t.Error("a commit without a hash is not absent")
	}
}

// fill sets every field of a value to something.
func fill(v reflect.Value, depth int) {
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(time.Unix(1e9, 0).UTC()))
		return
	case json.RawMessage:
		v.Set(reflect.ValueOf(json.RawMessage(`{"a":1}`)))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString("text")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(7)
	case reflect.Float64:
		v.SetFloat(7)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), depth+1)
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), depth+1)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), depth+1)
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		key, val := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key, depth+1)
		fill(val, depth+1)
		v.SetMapIndex(key, val)
	default:
		panic(v.Kind().String())
	}
}

// unset lists the fields of a message, and of those in it, that hold nothing.
func unset(m protoreflect.Message, path string) []string {
	var out []string
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		name := path + string(f.Name())
		switch {
		case !m.Has(f):
			out = append(out, name)
		case f.IsList() && f.Message() != nil:
			out = append(out, unset(m.Get(f).List().Get(0).Message(), name+".")...)
		case !f.IsMap() && f.Message() != nil && f.Message().ParentFile().Package() == "penstock.v1":
			out = append(out, unset(m.Get(f).Message(), name+".")...)
		}
	}
	return out
}

func TestNothingOfAValueIsLeftBehind(t *testing.T) {
	var d deploy.Deployment
	fill(reflect.ValueOf(&d).Elem(), 0)
	var a deploy.Application
	fill(reflect.ValueOf(&a).Elem(), 0)
	a.Drift.Stale = false // a stale one is not shown
	var e deploy.Event
	fill(reflect.ValueOf(&e).Elem(), 0)
	var o deploy.LedgerObject
	fill(reflect.ValueOf(&o).Elem(), 0)
	var l deploy.LiveState
	fill(reflect.ValueOf(&l).Elem(), 0)
	for name, x := range map[string]struct {
		m    proto.Message
		want []string // what the server adds from beside the record
	}{
		"deployment":  {wire.Deployment(d), []string{"own", "stages.waiting", "stages.waiting_since"}},
		"application": {wire.Application(a), []string{"live_at", "agent_name", "agent_online", "badge_path"}},
		"event":       {wire.Event(e), []string{"seq", "stream_kind", "stream_id"}},
		"ledger":      {wire.Ledger(o), nil},
		"live state":  {wire.LiveState(l), nil},
	} {
		got := map[string]bool{}
		for _, f := range unset(x.m.ProtoReflect(), "") {
			got[f] = true
		}
		want := map[string]bool{}
		for _, f := range x.want {
			want[f] = true
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: fields without a value (-want +got):\n%s", name, diff)
		}
	}
}

func TestAnEmptyRecordIsRendered(t *testing.T) {
	d := wire.Deployment(deploy.Deployment{})
	if d.Plan != nil || d.Cancel != nil || d.Reason != nil || d.TriggeredAt != nil || len(d.Stages) != 0 {
		t.Errorf("%v", d)
	}
	a := wire.Application(deploy.Application{})
	if a.LastGood != nil || a.Hold != nil || a.Head != nil || a.SyncState != "UNKNOWN" || a.Health != "UNKNOWN" {
		t.Errorf("%v", a)
	}
}
