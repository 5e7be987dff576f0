package main

import (
	"testing"
	"time"
)

func TestCoveredIsTheUnionWithinBounds(t *testing.T) {
	at := func(s int) time.Time { return time.Unix(int64(s), 0) }
	spans := []span{{at(8), at(20)}, {at(-5), at(1)}, {at(2), at(5)}, {at(3), at(4)}, {at(4), at(6)}, {at(30), at(40)}}
	if got := covered(spans, at(0), at(10)); got != 7*time.Second { // 0–1, 2–6, 8–10
		t.Errorf("covered: %s, want 7s", got)
	}
	if got := covered(nil, at(0), at(10)); got != 0 {
		t.Errorf("covered by nothing: %s", got)
	}
}

func TestMedianIsTheLowerMiddle(t *testing.T) {
	if got := median("x", "s", 1, []float64{4, 1, 3, 2}).Value; got != 2 {
		t.Errorf("median: %v, want 2", got)
	}
	if missed, err := tell([]figure{median("nothing", "s", 1, []float64{}), {Name: "low", Value: 0.5, target: 1}, {Name: "high", Value: 1, target: 1}}); missed != 2 || err != nil {
		t.Errorf("missed %d, %v; want the empty and the high one", missed, err)
	}
}

func TestFirstRequestBehindAMoment(t *testing.T) {
	at := func(s int) time.Time { return time.Unix(int64(s), 0) }
	r := &recorder{spans: []span{{at(1), at(2)}, {at(7), at(8)}, {at(5), at(9)}}}
	if got, ok := r.first(at(3)); !ok || !got.Equal(at(5)) {
		t.Errorf("first: %v %v", got, ok)
	}
	if _, ok := r.first(at(8)); ok {
		t.Error("there is no request behind the last one")
	}
}
