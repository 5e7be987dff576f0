package spec

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxProblems is how many errors, and how many warnings, are kept of one file. A file of a megabyte can be wrong in a
// hundred thousand places; nobody reads more than the first page.
const maxProblems = 100

// maxQuoted is how many characters of a value from the file are repeated in a message.
const maxQuoted = 60

// Error is one problem at one place of a file.
type Error struct {
	// File is the name the caller gave the bytes, for display.
	File string
	// Line and Column count from 1; a column counts characters, not bytes. Both are 0 only when the problem has no place.
	Line, Column int
	// Path is the place inside the document, such as spec.pipeline.stages[1].with.duration. Empty for syntax errors.
	Path string
	// Message says what is wrong.
	Message string
	// Hint says what to do about it; it may be empty.
	Hint string
}

// Error gives the problem on one line: file:line:column: path: message (hint).
func (e Error) Error() string {
	var b strings.Builder
	if e.File != "" {
		b.WriteString(e.File + ":")
	}
	if e.Line > 0 {
		fmt.Fprintf(&b, "%d:%d:", e.Line, e.Column)
	}
	if b.Len() > 0 {
		b.WriteByte(' ')
	}
	if e.Path != "" {
		b.WriteString(e.Path + ": ")
	}
	b.WriteString(e.Message)
	if e.Hint != "" {
		b.WriteString(" (" + e.Hint + ")")
	}
	return b.String()
}

// Excerpt gives the line of src that the problem is on, with a caret below the column. It is empty when src has no such
// line. A long line is cut around the column.
func (e Error) Excerpt(src []byte) string {
	line, ok := lineOf(src, e.Line)
	if !ok {
		return ""
	}
	const before, width = 60, 120
	runes := []rune(strings.ToValidUTF8(line, "�"))
	column := min(max(e.Column-1, 0), len(runes))
	start := 0
	if column > width-before/2 {
		start = column - before
	}
	end := min(start+width, len(runes))
	var text, pad strings.Builder
	for i, r := range runes[start:end] {
		if r != '\t' && r < ' ' {
			r = '?'
		}
		text.WriteRune(r)
		switch {
		case start+i >= column:
		case r == '\t':
			pad.WriteByte('\t')
		default:
			pad.WriteByte(' ')
		}
	}
	gutter := fmt.Sprintf("%5d | ", e.Line)
	return gutter + text.String() + "\n" + strings.Repeat(" ", len(gutter)-2) + "| " + pad.String() + "^\n"
}

// lineOf returns line number n of src, counted from 1, without its line break.
func lineOf(src []byte, n int) (string, bool) {
	if n < 1 {
		return "", false
	}
	text := normalBreaks(strings.TrimPrefix(string(src), "\ufeff"))
	for ; n > 1; n-- {
		i := strings.IndexByte(text, '\n')
		if i < 0 {
			return "", false
		}
		text = text[i+1:]
	}
	line, _, _ := strings.Cut(text, "\n")
	return line, true
}

// normalBreaks replaces every line break that YAML knows by a newline, so that lines are counted as the parser counts them.
func normalBreaks(s string) string {
	return strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u0085", "\n", "\u2028", "\n", "\u2029", "\n").Replace(s)
}

// Errors is every problem found in one or more files, in the order of the lines.
type Errors []Error

// Error gives one problem per line.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, one := range e {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// Detail is like Error and shows below each problem the line it is on. The function source gives the content of a file by
// the name it was decoded under, or nil.
func (e Errors) Detail(source func(file string) []byte) string {
	var b strings.Builder
	for _, one := range e {
		b.WriteString(one.Error() + "\n")
		b.WriteString(one.Excerpt(source(one.File)))
	}
	return b.String()
}

// Warnings are remarks about files that are accepted: unknown keys where they are tolerated, and configuration that is
// understood but has no effect in this version.
type Warnings []Error

// String gives one warning per line.
func (w Warnings) String() string { return Errors(w).Error() }

// Join puts the problems of several decoding steps into one list ordered by place. An error that is not of this package
// becomes a problem without a place. Join returns nil when every argument is nil.
func Join(errs ...error) error {
	var all Errors
	for _, err := range errs {
		var list Errors
		var one Error
		switch {
		case err == nil:
		case errors.As(err, &list):
			all = append(all, list...)
		case errors.As(err, &one):
			all = append(all, one)
		default:
			all = append(all, Error{Message: err.Error()})
		}
	}
	return finished(all)
}

// finished orders problems and turns an empty list into a nil error.
func finished(all Errors) error {
	if len(all) == 0 {
		return nil
	}
	sortProblems(all)
	return all
}

// sortProblems orders by file, line and column, keeping the order of finding for one place.
func sortProblems(list []Error) {
	slices.SortStableFunc(list, func(a, b Error) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}

// problems collects up to maxProblems and counts the rest.
type problems struct {
	list    []Error
	dropped int
}

func (p *problems) full() bool { return len(p.list) >= maxProblems }

func (p *problems) add(e Error) {
	if p.full() {
		p.dropped++
		return
	}
	p.list = append(p.list, e)
}

// sorted gives the collected problems in order; a last entry says how many were left out.
func (p *problems) sorted() []Error {
	out := slices.Clone(p.list)
	sortProblems(out)
	if p.dropped > 0 {
		last := out[len(out)-1]
		out = append(out, Error{File: last.File, Line: last.Line, Column: last.Column, Message: fmt.Sprintf("and %d more problems", p.dropped)})
	}
	return out
}

// quote shows a value of the file in a message, shortened.
func quote(s string) string {
	if utf8.RuneCountInString(s) > maxQuoted {
		s = string([]rune(s)[:maxQuoted]) + "…"
	}
	return fmt.Sprintf("%q", s)
}
