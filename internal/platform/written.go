package platform

import "time"

// Written is when something was last written by a call that takes no token: its
// answer may never come, and it may still take effect then, over a later write.
// It is a part of a record in the journal, kept before each write and behind it.
type Written struct {
	At      time.Time `json:"at"`                // of the last write
	Writing bool      `json:"writing,omitempty"` // it is on its way, or its answer never came: what was before may still be read
	// Doubt is the instant of the newest write whose answer never came, whatever was written since: it may still take effect.
	Doubt time.Time `json:"doubt,omitzero"`
}

// Again is what a new write at an instant begins with: what is in doubt stays so.
func (w Written) Again(at time.Time) Written {
	next := Written{At: at, Doubt: w.Doubt}
	if w.Writing {
		next.Doubt = w.At
	}
	return next
}

// Settled is when the last write has had its settle time, and no earlier one,
// which may come as late as that, can come behind it any more.
func (w Written) Settled(settle, late time.Duration) time.Time {
	until := w.At.Add(settle)
	if last := w.Doubt.Add(late); !w.Doubt.IsZero() && last.After(until) {
		return last
	}
	return until
}
