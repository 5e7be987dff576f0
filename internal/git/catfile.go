package git

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/penstock-cd/penstock/internal/git/gitexec"
)

// query asks the reader process for one object by name.
type query struct {
	name     string
	contents bool
	limit    int64 // contents above it are skipped, in bytes
}

// reply is what the process said to one query.
type reply struct {
	missing bool
	hash    string
	kind    string
	size    int64
	data    []byte
}

// catFile is the one long-lived "git cat-file --batch-command" of a mirror. It sees
// objects and refs that are fetched while it runs. One batch of queries is in
// flight at a time; a process that dies is started again once.
type catFile struct {
	runner *gitexec.Runner
	dir    string
	turn   chan struct{} // holds one token: whose turn it is to talk
	proc   *catProcess
	closed bool
}

// catProcess is one run of the process.
type catProcess struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	stderr *tail
}

func newCatFile(runner *gitexec.Runner, dir string) *catFile {
	c := &catFile{runner: runner, dir: dir, turn: make(chan struct{}, 1)}
	c.turn <- struct{}{}
	return c
}

// errDied is a process that ended in the middle of an answer.
var errDied = errors.New("git cat-file ended")

// ask sends the queries together and returns one reply for each.
func (c *catFile) ask(ctx context.Context, queries ...query) ([]reply, error) {
	for _, q := range queries {
		if strings.ContainsAny(q.name, "\n\x00") {
			return nil, fmt.Errorf("%w: a line break in %q", ErrInvalid, q.name)
		}
	}
	select {
	case <-c.turn:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	defer func() { c.turn <- struct{}{} }()
	var err error
	for range 2 {
		var replies []reply
		if replies, err = c.try(ctx, queries); err == nil {
			return replies, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if !errors.Is(err, errDied) {
			break
		}
	}
	return nil, err
}

func (c *catFile) try(ctx context.Context, queries []query) ([]reply, error) {
	if c.closed {
		return nil, ErrClosed
	}
	if c.proc == nil {
		p, err := c.start()
		if err != nil {
			return nil, err
		}
		c.proc = p
	}
	p := c.proc
	stop := context.AfterFunc(ctx, p.kill)
	replies, err := p.talk(queries)
	if !stop() || err != nil {
		said := p.end()
		c.proc = nil
		if err != nil {
			return nil, fmt.Errorf("%w: %w: %w", errDied, err, &gitexec.ExitError{Command: "cat-file", Code: -1, Stderr: said})
		}
	}
	return replies, nil
}

// start runs without a context: the process outlives the call that needs it first.
func (c *catFile) start() (*catProcess, error) {
	cmd := c.runner.Command(context.Background(), c.dir, "cat-file", "--batch-command", "--buffer")
	p := &catProcess{cmd: cmd, stderr: &tail{}}
	cmd.Stderr = p.stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("git cat-file: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("git cat-file: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("git cat-file: %w", err)
	}
	p.in, p.out = in, bufio.NewReaderSize(out, 64<<10)
	return p, nil
}

// restart ends the process so that files it holds open are given back to the disk;
// the next question starts a new one.
func (c *catFile) restart() { c.stop(false) }

// close ends the process for good.
func (c *catFile) close() { c.stop(true) }

func (c *catFile) stop(forever bool) {
	<-c.turn
	if c.proc != nil {
		c.proc.end()
		c.proc = nil
	}
	c.closed = c.closed || forever
	c.turn <- struct{}{}
}

func (p *catProcess) kill() { _ = p.cmd.Process.Kill() }

// end stops the process and returns what it complained about.
func (p *catProcess) end() string {
	_ = p.in.Close()
	timer := time.AfterFunc(time.Second, p.kill) // it ends by itself at the end of its input
	defer timer.Stop()
	_, _ = io.Copy(io.Discard, p.out)
	_ = p.cmd.Wait()
	return p.stderr.String()
}

func (p *catProcess) talk(queries []query) ([]reply, error) {
	var b strings.Builder
	for _, q := range queries {
		verb := "info "
		if q.contents {
			verb = "contents "
		}
		b.WriteString(verb + q.name + "\n")
	}
	b.WriteString("flush\n")
	if _, err := io.WriteString(p.in, b.String()); err != nil {
		return nil, err
	}
	replies := make([]reply, len(queries))
	for i, q := range queries {
		r, err := p.read(q)
		if err != nil {
			return nil, err
		}
		replies[i] = r
	}
	return replies, nil
}

func (p *catProcess) read(q query) (reply, error) {
	line, err := p.out.ReadString('\n')
	if err != nil {
		return reply{}, err
	}
	line = strings.TrimSuffix(line, "\n")
	if line == q.name+" missing" {
		return reply{missing: true}, nil
	}
	fields := strings.Split(line, " ")
	if len(fields) != 3 || !isHash(fields[0]) {
		return reply{}, fmt.Errorf("unexpected answer %.80q", line)
	}
	size, err := strconv.ParseInt(fields[2], 10, 64)
	if err != nil || size < 0 {
		return reply{}, fmt.Errorf("unexpected answer %.80q", line)
	}
	r := reply{hash: fields[0], kind: fields[1], size: size}
	if !q.contents {
		return r, nil
	}
	if size > q.limit {
		_, err = io.CopyN(io.Discard, p.out, size+1)
		return r, err
	}
	r.data = make([]byte, size+1)
	if _, err := io.ReadFull(p.out, r.data); err != nil {
		return reply{}, err
	}
	r.data = r.data[:size]
	return r, nil
}

// tail keeps the last words of the process; they are written by another goroutine.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const tailLimit = 4 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if over := len(t.text) - tailLimit; over > 0 {
		t.text = t.text[over:]
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}
