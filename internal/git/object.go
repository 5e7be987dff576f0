package git

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"
)

// errObject is an object that does not have git's form.
var errObject = errors.New("malformed object")

// parseTree reads the raw form of a tree object. dir is the tree's path and
// hashLen the length of a binary object id: 20, or 32 in a SHA-256 repository.
func parseTree(data []byte, dir string, hashLen int) ([]Entry, error) {
	var entries []Entry
	for len(data) > 0 {
		head, rest, ok := bytes.Cut(data, []byte{0})
		mode, name, ok2 := bytes.Cut(head, []byte{' '})
		if !ok || !ok2 || len(name) == 0 || len(rest) < hashLen {
			return nil, fmt.Errorf("%w: tree", errObject)
		}
		kind, err := kindOf(string(mode))
		if err != nil {
			return nil, err
		}
		entries = append(entries, Entry{
			Name: string(name), Path: path.Join(dir, string(name)), Kind: kind, Hash: hex.EncodeToString(rest[:hashLen]),
		})
		data = rest[hashLen:]
	}
	return entries, nil
}

func kindOf(mode string) (Kind, error) {
	switch mode {
	case "100644", "100664": // the second was written by very old versions
		return KindFile, nil
	case "100755":
		return KindExecutable, nil
	case "40000":
		return KindDirectory, nil
	case "120000":
		return KindSymlink, nil
	case "160000":
		return KindSubmodule, nil
	}
	return "", fmt.Errorf("%w: mode %q", errObject, mode)
}

// parseCommit reads the raw form of a commit object.
func parseCommit(hash string, data []byte) (Commit, error) {
	head, message, _ := strings.Cut(strings.ToValidUTF8(string(data), "\uFFFD"), "\n\n")
	c := Commit{Hash: hash, Message: strings.TrimRight(message, "\n")}
	for line := range strings.Lines(head + "\n") {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		var err error
		switch key {
		case "parent":
			c.Parents = append(c.Parents, value)
		case "author":
			c.Author, c.AuthorEmail, _, err = parseSignature(value)
		case "committer":
			_, _, c.Time, err = parseSignature(value)
		}
		if err != nil {
			return Commit{}, err
		}
	}
	if c.Time.IsZero() {
		return Commit{}, fmt.Errorf("%w: commit without a committer", errObject)
	}
	c.Subject = Subject(c.Message)
	return c, nil
}

// Subject is the first paragraph of a commit message on one line.
func Subject(message string) string {
	first, _, _ := strings.Cut(strings.TrimLeft(message, "\n"), "\n\n")
	return strings.Join(strings.Fields(first), " ")
}

func parseSignature(s string) (name, email string, when time.Time, err error) {
	open, end := strings.Index(s, "<"), strings.LastIndex(s, ">")
	if open < 0 || end < open {
		return "", "", time.Time{}, fmt.Errorf("%w: signature", errObject)
	}
	stamp := strings.Fields(s[end+1:])
	if len(stamp) == 0 {
		return "", "", time.Time{}, fmt.Errorf("%w: signature without a time", errObject)
	}
	seconds, err := strconv.ParseInt(stamp[0], 10, 64)
	if err != nil {
		return "", "", time.Time{}, fmt.Errorf("%w: signature without a time", errObject)
	}
	return strings.TrimSpace(s[:open]), s[open+1 : end], time.Unix(seconds, 0).UTC(), nil
}

// CleanPath checks a path inside a repository and brings it to the form that git
// stores; "" and "." are the root. Absolute paths, ".." and line breaks are refused.
func CleanPath(p string) (string, error) {
	switch {
	case path.IsAbs(p):
		return "", fmt.Errorf("%w: %q is absolute; paths start at the root of the repository", ErrInvalid, p)
	case strings.ContainsAny(p, "\n\x00"):
		return "", fmt.Errorf("%w: %q holds a line break", ErrInvalid, p)
	}
	clean := path.Clean(p)
	if clean == ".." || strings.HasPrefix(clean, "../") {
		return "", fmt.Errorf("%w: %q leaves the repository", ErrInvalid, p)
	}
	if clean == "." {
		return "", nil
	}
	return clean, nil
}
