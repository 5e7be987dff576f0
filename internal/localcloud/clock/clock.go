// Package clock gives the local cloud its time. Every timer of the control planes goes through it, so that one place decides what "later" means
// and nothing polls. Real uses package time and is therefore virtual inside a testing/synctest bubble.
package clock

import "time"

// Clock tells the time and runs functions later.
type Clock interface {
	// Now returns the present instant.
	Now() time.Time
	// AfterFunc runs f on its own goroutine once d has passed. A d of zero or less runs f at once, still on its own goroutine.
	AfterFunc(d time.Duration, f func()) Timer
}

// Timer is a function that has been put off.
type Timer interface {
	// Stop prevents the function from running and reports whether it did.
	Stop() bool
}

// Real returns the clock of package time.
func Real() Clock { return realClock{} }

type realClock struct{}

func (realClock) Now() time.Time { return time.Now() }

func (realClock) AfterFunc(d time.Duration, f func()) Timer { return time.AfterFunc(d, f) }
