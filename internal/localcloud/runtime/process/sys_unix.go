//go:build unix

package process

import (
	"os"
	"os/exec"
	"syscall"
)

// exitKilled is the exit code of a process ended by SIGKILL: 128 + 9.
const exitKilled = 128 + int(syscall.SIGKILL)

// Signals go to the process group, whose id is the pid of its first process.
func terminateProcess(cmd *exec.Cmd) { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
func killProcess(cmd *exec.Cmd)      { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }

// exitCode is what a container runtime shows: the status, or 128 plus the
// signal that ended the process.
func exitCode(s *os.ProcessState) int {
	if w, ok := s.Sys().(syscall.WaitStatus); ok && w.Signaled() {
		return 128 + int(w.Signal())
	}
	return s.ExitCode()
}
