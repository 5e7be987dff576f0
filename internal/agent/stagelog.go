package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/penstock-cd/penstock/internal/change"
	"github.com/penstock-cd/penstock/internal/client"
	"github.com/penstock-cd/penstock/internal/deploy"
)

// Bounds of stage logs.
const (
	logEvery    = 200 * time.Millisecond
	logChunk    = 64 << 10
	logBuffer   = 1 << 20 // more than this unsent, and lines are dropped and counted
	logLine     = 8 << 10
	logGoodbye  = 2 * time.Second // how long the end of a stage waits for its log
	minMaskable = 4               // shorter values would mask half the log
)

// stageLog collects the lines of one stage attempt and sends them in chunks.
// Each line is one JSON object: {"t": time, "l": level, "m": message}. Writing
// never waits; sending is the business of run.
type stageLog struct {
	send  func(ctx context.Context, c client.LogChunk) (full bool, err error)
	chunk client.LogChunk // names the log
	masks *strings.Replacer

	sending chan struct{} // one token: who holds it sends
	dirty   chan struct{}

	mu      sync.Mutex
	buf     []byte
	unsent  []byte // a chunk on its way: repeated as it is until it was taken
	offset  int64
	dropped int
	full    bool
}

func newStageLog(c client.LogChunk, masks *strings.Replacer, send func(context.Context, client.LogChunk) (bool, error)) *stageLog {
	return &stageLog{send: send, chunk: c, masks: masks, sending: make(chan struct{}, 1), dirty: make(chan struct{}, 1)}
}

// masker replaces secrets, and each line of a secret of several lines.
func masker(secrets []string) *strings.Replacer {
	var pairs []string
	for _, s := range secrets {
		for _, part := range append([]string{s}, strings.Split(s, "\n")...) {
			if part = strings.TrimSpace(part); len(part) >= minMaskable {
				pairs = append(pairs, part, change.Masked)
			}
		}
	}
	return strings.NewReplacer(pairs...)
}

// Logf implements platform.LogSink.
func (l *stageLog) Logf(level slog.Level, format string, args ...any) {
	l.write(level, fmt.Sprintf(format, args...), "")
}

// begin writes the line that a step begins with: readers fold what follows it.
func (l *stageLog) begin(name string, step, of int) {
	l.write(slog.LevelInfo, fmt.Sprintf("step %d of %d: %s", step+1, of, name), name)
}

func (l *stageLog) write(level slog.Level, msg, group string) {
	line, err := json.Marshal(struct {
		T time.Time `json:"t"`
		L string    `json:"l"`
		M string    `json:"m"`
		G string    `json:"g,omitempty"`
	}{time.Now().UTC(), level.String(), clip(l.masks.Replace(msg), logLine), group})
	if err != nil {
		return // none of the three can fail
	}
	l.mu.Lock()
	if !l.full {
		if len(l.buf)+len(line) > logBuffer {
			l.dropped++
		} else {
			l.buf = append(append(l.buf, line...), '\n')
		}
	}
	l.mu.Unlock()
	kick(l.dirty)
}

// run sends what was written every logEvery, or sooner when much was, until the
// context ends.
func (l *stageLog) run(ctx context.Context, tries *retries) {
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
			return
		case <-l.dirty:
		}
		if !l.large() {
			sleep(ctx, logEvery, nil, nil)
		}
		for ctx.Err() == nil {
			err := l.flush(ctx)
			if err == nil {
				tries.reset()
				break
			}
			sleep(ctx, tries.next(0), nil, nil)
		}
	}
}

func (l *stageLog) large() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.buf) >= logChunk
}

// flush sends everything that was written so far. What the server refuses for
// good (the epoch is over, the deployment ended) is dropped.
func (l *stageLog) flush(ctx context.Context) error {
	select {
	case l.sending <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-l.sending }()
	for {
		c, ok := l.next()
		if !ok {
			return nil
		}
		callCtx, cancel := context.WithTimeout(ctx, callLimit)
		full, err := l.send(callCtx, c)
		cancel()
		switch deploy.CodeOf(err) {
		case "":
		case deploy.CodeRefused, deploy.CodeNotFound, deploy.CodeInvalid, deploy.CodeTooLarge:
			full = true
		default:
			return err
		}
		l.taken(full)
	}
}

// next cuts the next chunk, whole lines only.
func (l *stageLog) next() (client.LogChunk, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.unsent == nil {
		if l.dropped > 0 {
			line, err := json.Marshal(map[string]any{"t": time.Now().UTC(), "l": "WARN", "m": fmt.Sprintf("%d lines were left out: more was written than could be sent", l.dropped)})
			if err == nil {
				l.buf = append(append(l.buf, line...), '\n')
			}
			l.dropped = 0
		}
		n := len(l.buf)
		if n == 0 || l.full {
			return client.LogChunk{}, false
		}
		if n > logChunk {
			if n = strings.LastIndexByte(string(l.buf[:logChunk]), '\n') + 1; n == 0 {
				n = strings.IndexByte(string(l.buf), '\n') + 1
			}
		}
		l.unsent, l.buf = l.buf[:n:n], l.buf[n:]
	}
	c := l.chunk
	c.Offset, c.Data = l.offset, l.unsent
	return c, true
}

func (l *stageLog) taken(full bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.offset += int64(len(l.unsent))
	l.unsent, l.full = nil, full
	if full {
		l.buf, l.dropped = nil, 0
	}
}

// clip bounds a text, whole characters only.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}
