package agent

// Connected reports whether the lease of this process runs: it may write. It
// is what a readiness check asks.
func (a *Agent) Connected() bool { return a.gate.covers() }
