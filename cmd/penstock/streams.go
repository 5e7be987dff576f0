package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
	"golang.org/x/term"
)

// streams is the world around a command, so that tests run commands in their
// own process. Getenv and Now are never nil.
type streams struct {
	In       io.Reader
	Out, Err io.Writer
	Getenv   func(string) string
	Now      func() time.Time
	// Dir is where relative file names begin; empty is the process's own.
	Dir string
	// Width is the number of columns when Out is a terminal, 0 when it is not.
	Width int
	// Password asks for a password without echo; nil when nobody can be asked.
	Password func(prompt string) (string, error)
}

// processStreams are those of this process.
func processStreams() streams {
	s := streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Getenv: os.Getenv, Now: time.Now}
	if out := int(os.Stdout.Fd()); term.IsTerminal(out) {
		if w, _, err := term.GetSize(out); err == nil && w > 0 {
			s.Width = w
		}
	}
	if in := int(os.Stdin.Fd()); term.IsTerminal(in) {
		s.Password = func(prompt string) (string, error) {
			fmt.Fprint(os.Stderr, prompt)
			b, err := term.ReadPassword(in)
			fmt.Fprintln(os.Stderr)
			return string(b), err
		}
	}
	return s
}

// path resolves a file name of the command line.
func (s streams) path(name string) string {
	if s.Dir == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(s.Dir, name)
}

// colour tells whether words may be coloured (https://no-color.org).
func (s streams) colour() bool {
	return s.Width > 0 && s.Getenv("NO_COLOR") == "" && s.Getenv("TERM") != "dumb"
}

// redraws tells whether what was printed can be printed over.
func (s streams) redraws() bool { return s.Width > 0 && s.Getenv("TERM") != "dumb" }

// readSecret reads one line of In, for --password-stdin.
func (s streams) readSecret() (string, error) {
	data, err := io.ReadAll(io.LimitReader(s.In, 4097))
	if err != nil {
		return "", fmt.Errorf("read password: %w", err)
	}
	text := strings.TrimRight(string(data), "\r\n")
	if text == "" || len(data) > 4096 {
		return "", errors.New("read password: standard input is empty, or longer than 4096 bytes")
	}
	return text, nil
}

// paint colours a word by what it means; words without a meaning stay plain.
// Only the 16 colours of every terminal are used, so nothing has to be converted.
func (s streams) paint(word string) string { return s.paintAs(word, word) }

// paintAs colours text as a word with a meaning would be.
func (s streams) paintAs(word, text string) string {
	if !s.colour() {
		return text
	}
	colour := ""
	switch word {
	case "SUCCESS", "SYNCED", "HEALTHY", "online", "✔":
		colour = "2"
	case "FAILURE", "UNHEALTHY", "INVALID_CONFIG", "NEEDS_ATTENTION", "error", "✘", "disabled":
		colour = "1"
	case "ROLLED_BACK", "ROLLING_BACK", "OUT_OF_SYNC", "warning", "CANCELLED":
		colour = "3"
	case "RUNNING", "DEPLOYING", "PROGRESSING", "PLANNED", "▸":
		colour = "6"
	case "PENDING", "SKIPPED", "NOT_STARTED_YET", "UNKNOWN", "offline", "·":
		colour = "8"
	default:
		return text
	}
	return lipgloss.NewStyle().Foreground(lipgloss.Color(colour)).Render(text)
}

// plain makes text of others safe to print on one line: no control characters,
// so that nothing in a commit subject or a log can move the cursor or forge a line.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case r < ' ' || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069:
			return '�'
		}
		return r
	}, text)
}
