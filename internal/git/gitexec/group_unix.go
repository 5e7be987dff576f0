//go:build unix

package gitexec

import (
	"os/exec"
	"syscall"
)

// ownGroup makes a cancelled command take its helpers (git-remote-https, ssh,
// index-pack) with it. SIGTERM comes first: git then removes its lock files.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
}

// killGroup ends helpers that outlived their command, so that none of them goes on writing.
func killGroup(cmd *exec.Cmd) {
	if cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
}
