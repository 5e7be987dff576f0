//go:build !unix

package process

import (
	"os"
	"os/exec"
)

// exitKilled is the exit code of a container that was killed.
const exitKilled = 137

// Without process groups and SIGTERM a process can only be killed.
func terminateProcess(cmd *exec.Cmd) { _ = cmd.Process.Kill() }
func killProcess(cmd *exec.Cmd)      { _ = cmd.Process.Kill() }
func isolate(*exec.Cmd)              {}

func exitCode(s *os.ProcessState) int { return s.ExitCode() }
