package gitexec

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

var (
	// ErrMissing means that there is no git binary where it was looked for.
	ErrMissing = errors.New("git is not installed or not in PATH: install git 2.36 or newer")
	// ErrTooOld means that the git binary lacks what is needed of it.
	ErrTooOld = errors.New("git is too old: install git 2.36 or newer")
)

// Version is a version of git: major and minor.
type Version struct{ Major, Minor int }

// Minimum is the oldest git that works: 2.36 brought cat-file --batch-command.
func Minimum() Version { return Version{2, 36} }

// Less reports whether v is older than w.
func (v Version) Less(w Version) bool {
	return v.Major < w.Major || v.Major == w.Major && v.Minor < w.Minor
}

// String is the version as people write it.
func (v Version) String() string { return fmt.Sprintf("%d.%d", v.Major, v.Minor) }

// CheckVersion asks the binary for its version. The error is ErrMissing or
// ErrTooOld where that is the reason.
func (r *Runner) CheckVersion(ctx context.Context) (Version, error) {
	out, err := r.Run(ctx, "", nil, "version")
	if err != nil {
		return Version{}, err
	}
	v, err := ParseVersion(string(out))
	if err != nil {
		return Version{}, err
	}
	if v.Less(Minimum()) {
		return v, fmt.Errorf("%w (%s is %s)", ErrTooOld, r.path, v)
	}
	return v, nil
}

// ParseVersion reads the answer of "git version", with whatever a vendor appended.
func ParseVersion(s string) (Version, error) {
	fields := strings.Fields(s)
	if len(fields) < 3 || fields[0] != "git" || fields[1] != "version" {
		return Version{}, fmt.Errorf("unexpected answer %q of git version: is another program named git?", strings.TrimSpace(s))
	}
	parts := strings.SplitN(fields[2], ".", 3)
	if len(parts) < 2 {
		return Version{}, fmt.Errorf("unexpected git version %q", fields[2])
	}
	major, err1 := strconv.Atoi(parts[0])
	minor, err2 := strconv.Atoi(parts[1])
	if err1 != nil || err2 != nil {
		return Version{}, fmt.Errorf("unexpected git version %q", fields[2])
	}
	return Version{major, minor}, nil
}
