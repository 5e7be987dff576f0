// Package gitexec runs the git binary in a closed environment: nothing of the
// machine's or the user's git configuration, no hooks, no prompts, no transports
// but https, http, ssh and file. It is shared by the mirror that the agent reads
// and by the git server of the demo and the tests, so that both behave the same
// on every machine.
package gitexec

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

const (
	// stderrLimit bounds what is kept of a command's error output, in bytes: git
	// says what matters in its first lines.
	stderrLimit = 16 << 10
	// stdoutLimit bounds the output that Run holds in memory, in bytes. Long
	// listings go through Stream.
	stdoutLimit = 64 << 20
	// stopDelay is how long a cancelled command may take to remove its lock files
	// before it is killed.
	stopDelay = 3 * time.Second
)

// Setting is one git configuration value given to every command.
type Setting struct{ Key, Value string }

// Runner runs git. The zero value is not usable; call New.
type Runner struct {
	path string
	env  []string
}

// Options say which git runs and with what. Settings and Env travel in the
// environment of the command and never on its command line, which every user of
// the machine could read.
type Options struct {
	// Path is the git binary; empty means "git" found in PATH.
	Path string
	// Settings are added to the built-in ones and win over them.
	Settings []Setting
	// Env holds further "NAME=value" pairs.
	Env []string
}

// New returns a runner. It starts nothing; call CheckVersion before relying on it.
func New(o Options) *Runner {
	path := o.Path
	if path == "" {
		path = "git"
	}
	return &Runner{path: path, env: environment(o)}
}

// environment is built from an allow-list, because a variable such as GIT_DIR or
// GIT_SSH_COMMAND of the surrounding shell would silently redirect a command.
func environment(o Options) []string {
	env := inherited()
	env = append(env,
		"LC_ALL=C",
		"GIT_CONFIG_NOSYSTEM=1",
		"GIT_CONFIG_SYSTEM="+os.DevNull,
		"GIT_CONFIG_GLOBAL="+os.DevNull,
		"GIT_TERMINAL_PROMPT=0",
		"GIT_ASKPASS=",
		"GIT_ALLOW_PROTOCOL=https:http:ssh:file",
		"GIT_NO_REPLACE_OBJECTS=1",
		"GIT_OPTIONAL_LOCKS=0",
		"GIT_SSH_VARIANT=ssh",
	)
	settings := append(baseSettings(), o.Settings...)
	env = append(env, "GIT_CONFIG_COUNT="+strconv.Itoa(len(settings)))
	for i, s := range settings {
		n := strconv.Itoa(i)
		env = append(env, "GIT_CONFIG_KEY_"+n+"="+s.Key, "GIT_CONFIG_VALUE_"+n+"="+s.Value)
	}
	return append(env, o.Env...)
}

// inherited keeps what a command needs from the process: where programs, the
// home directory, proxies, certificates and the SSH agent are.
func inherited() []string {
	names := []string{
		"PATH", "HOME", "TMPDIR", "USER", "SSH_AUTH_SOCK",
		"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY",
		"http_proxy", "https_proxy", "no_proxy", "all_proxy",
		"SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO", "GIT_SSL_CAPATH",
	}
	var env []string
	for _, name := range names {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}

func baseSettings() []Setting {
	return []Setting{
		{"core.hooksPath", os.DevNull},
		{"core.fsmonitor", "false"},
		{"core.quotePath", "false"},
		{"credential.helper", ""},
		{"gc.auto", "0"},
		{"maintenance.auto", "false"},
		{"protocol.version", "2"},
		{"advice.detachedHead", "false"},
	}
}

// ExitError is a command that ended with a status other than zero.
type ExitError struct {
	// Command is the subcommand, such as "fetch".
	Command string
	// Code is the exit status, -1 when the process was killed.
	Code int
	// Stderr is what the command wrote there, trimmed, at most 16 KiB.
	Stderr string
}

// Error says which command failed and gives git's own words.
func (e *ExitError) Error() string {
	if e.Stderr == "" {
		return fmt.Sprintf("git %s: exit status %d", e.Command, e.Code)
	}
	return fmt.Sprintf("git %s: %s", e.Command, e.Stderr)
}

// Command prepares a command in its own process group. gitDir is passed as
// --git-dir, so that a damaged repository is never mistaken for a directory
// inside another one; empty means no repository. A cancelled context asks the
// whole group to end, and kills it after three seconds.
func (r *Runner) Command(ctx context.Context, gitDir string, args ...string) *exec.Cmd {
	if gitDir != "" {
		args = append([]string{"--git-dir=" + gitDir}, args...)
	}
	cmd := exec.CommandContext(ctx, r.path, args...)
	cmd.Env = r.env
	cmd.WaitDelay = stopDelay
	ownGroup(cmd)
	return cmd
}

// Run runs one command to its end and returns its standard output, at most 64 MiB.
func (r *Runner) Run(ctx context.Context, gitDir string, stdin io.Reader, args ...string) ([]byte, error) {
	stdout := &limited{max: stdoutLimit, strict: true}
	stderr := &limited{max: stderrLimit}
	cmd := r.Command(ctx, gitDir, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, stdout, stderr
	err := cmd.Run()
	if ctx.Err() != nil {
		killGroup(cmd)
	}
	if err != nil {
		return stdout.Bytes(), failure(ctx, args[0], err, stderr)
	}
	return stdout.Bytes(), nil
}

// Stream runs one command and hands its standard output to read as it comes.
// When read fails, the command is stopped and that error is returned.
func (r *Runner) Stream(ctx context.Context, gitDir string, read func(io.Reader) error, args ...string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stderr := &limited{max: stderrLimit}
	cmd := r.Command(ctx, gitDir, args...)
	cmd.Stderr = stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("git %s: %w", args[0], err)
	}
	if err := cmd.Start(); err != nil {
		return failure(ctx, args[0], err, stderr)
	}
	readErr := read(out)
	if readErr != nil {
		cancel()
	}
	err = cmd.Wait()
	if ctx.Err() != nil {
		killGroup(cmd)
	}
	if readErr != nil {
		return readErr
	}
	if err != nil {
		return failure(ctx, args[0], err, stderr)
	}
	return nil
}

func failure(ctx context.Context, command string, err error, stderr *limited) error {
	if cause := context.Cause(ctx); cause != nil {
		return fmt.Errorf("git %s: %w", command, cause)
	}
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%w (%w)", ErrMissing, err)
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return &ExitError{Command: command, Code: exit.ExitCode(), Stderr: strings.TrimSpace(stderr.String())}
	}
	return fmt.Errorf("git %s: %w", command, err)
}

// limited is a buffer that stops growing at max. A strict one fails the write, so
// that a truncated answer is never taken for a whole one.
type limited struct {
	bytes.Buffer
	max    int
	strict bool
}

func (l *limited) Write(p []byte) (int, error) {
	room := l.max - l.Len()
	if len(p) <= room {
		return l.Buffer.Write(p)
	}
	if l.strict {
		return 0, fmt.Errorf("more than %d bytes of output", l.max)
	}
	if room > 0 {
		_, _ = l.Buffer.Write(p[:room])
	}
	return len(p), nil
}
