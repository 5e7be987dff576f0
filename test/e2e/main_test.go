//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// penstock is the program under test: TestMain builds it once, before any test runs, or takes the one that PENSTOCK_BIN names.
var penstock string

func TestMain(m *testing.M) { os.Exit(runAll(m)) }

func runAll(m *testing.M) int {
	if penstock = os.Getenv("PENSTOCK_BIN"); penstock != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "penstock-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	penstock = filepath.Join(dir, "penstock")
	build := exec.Command("go", "build", "-trimpath", "-o", penstock, "./cmd/penstock")
	build.Dir = filepath.Join("..", "..")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the program: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}
