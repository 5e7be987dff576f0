//go:build !unix

package gitexec

import "os/exec"

// ownGroup has nothing to set where there are no process groups.
func ownGroup(*exec.Cmd) {}

// killGroup relies on the command ending its own helpers.
func killGroup(*exec.Cmd) {}
