//go:build !unix

package git

// lockFile locks nothing where there is no flock: the rule that each agent process
// has its own directory is then kept by the configuration alone.
func lockFile(string) (unlock func(), err error) { return func() {}, nil }
