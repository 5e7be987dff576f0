package platform

import "github.com/penstock-cd/penstock/internal/spec"

// FileClaim is one thing that an application would write, as far as its files tell: two applications that claim the same one
// work against each other.
type FileClaim struct {
	// Kind and Name say what it is, for people and for comparison: service, main/shop.
	Kind, Name string
	// Scope is the account and region when the files tell; empty when they do not.
	Scope string
	// Shared says that applications of one environment may have it in common.
	Shared bool
	// At is the place in the application file that names it.
	At spec.Node
}

// Claimant is a platform that can tell from files alone what an application would write.
type Claimant interface {
	// FileClaims lists what the application claims. It is pure.
	FileClaims(app *spec.Application, d Desired) []FileClaim
}
