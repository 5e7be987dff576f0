package wire_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"github.com/penstock-cd/penstock/internal/deploy"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
	"github.com/penstock-cd/penstock/internal/wire"
)

// FuzzLiveState holds that any message becomes a live state that goes over the wire and back alike.
func FuzzLiveState(f *testing.F) {
	for _, l := range []deploy.LiveState{{}, {
		Digest: "d", Health: deploy.HealthHealthy, Resources: []deploy.Resource{{ID: "s", Fields: map[string]string{"a": "b"}}},
		Traffic: []deploy.Traffic{{Route: "r", Groups: []deploy.Share{{Group: "g", Percent: 20, Versions: map[string]int{"v": 1}}}}},
	}} {
		text, err := proto.Marshal(wire.LiveState(l))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var m, back penstockv1.LiveState
		if proto.Unmarshal(text, &m) != nil {
			return
		}
		l := wire.LiveStateFromWire(&m)
		again, err := proto.Marshal(wire.LiveState(l))
		if err == nil {
			err = proto.Unmarshal(again, &back)
		}
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(l, wire.LiveStateFromWire(&back)); diff != "" {
			t.Error(diff)
		}
	})
}
