//go:build !unix

package launch

import (
	"fmt"
	"os"
	"path/filepath"
)

// lock opens the lock file; this system has no lock that ends with the
// process, so the operator sees to it that one server runs.
func lock(dir string) (func() error, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make %s: %w", dir, err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "server.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return f.Close, nil
}
