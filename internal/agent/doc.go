// Package agent is the process that runs next to the workloads: it polls git,
// makes plans, runs steps on platforms, guards what is in the middle of a
// change and reports what it sees. It keeps no record of its own; what is due
// comes from the control plane and what became of it goes back there, over
// outbound connections only.
//
// # Who owns which goroutine
//
// Run starts, and waits for, all of these:
//
//	session   says Hello, renews the lease, stops writes when it cannot   (session.go, gate.go)
//	waker     holds the stream of wake-ups                                (work.go)
//	work      fetches what is due and starts and stops the three below    (work.go)
//	worker    one for each assigned deployment                            (worker.go, step.go, guard.go, plan.go)
//	poller    one for each repository                                     (poller.go)
//	live      one for each application whose live state is reported       (live.go)
//
// # When it may write
//
// A step that writes begins only while the gate is open: the lease has at
// least the time of one call left by this machine's own monotonic clock, what
// is due was fetched under it, and the time that an earlier holder may need is
// over. So no call of this process is at work after its lease.
package agent
