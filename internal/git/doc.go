// Package git gives the agent what it needs of a repository and nothing more:
// where a branch is (Remote, one small request and no process), and what is in a
// commit (Mirror, one bare repository on disk that is never checked out).
//
// Every error is an *Error: it names the repository, says what went wrong in a
// kind that errors.Is finds, and what a person can do. No credential appears in an
// error or on a command line.
package git

import (
	"context"
	"time"
)

// Signature is who wrote a commit, and when.
type Signature struct {
	Name, Email string
	// When is the time of the commit; the zero value means now.
	When time.Time
}

// Commit is one commit as the agent shows it.
type Commit struct {
	// Hash is the full object id.
	Hash string
	// Subject is the first paragraph of Message on one line.
	Subject string
	// Message is the whole message, trailers included, without trailing line breaks.
	Message string
	// Author and AuthorEmail are who wrote the change.
	Author, AuthorEmail string
	// Time is when the commit was made (the committer's time), in UTC.
	Time time.Time
	// Parents are full object ids; empty for the first commit.
	Parents []string
}

// Kind is what an entry of a directory is.
type Kind string

// The kinds of entries that git knows. A symlink or a submodule is listed, never followed.
const (
	KindFile       Kind = "file"
	KindExecutable Kind = "executable"
	KindDirectory  Kind = "directory"
	KindSymlink    Kind = "symlink"
	KindSubmodule  Kind = "submodule"
)

// Entry is one entry of a directory at a commit.
type Entry struct {
	// Name is the last element, Path the whole path from the root of the repository.
	Name, Path string
	Kind       Kind
	// Hash is the object id of the content, the tree or the submodule's commit.
	Hash string
}

// Change is one commit to be written, by the demo's git server or in memory.
type Change struct {
	// Branch is the short name of the branch that moves, such as "main".
	Branch string
	// Parent is the commit to build on; empty means the tip of the branch. Another
	// commit than the tip moves the branch as a force push does.
	Parent  string
	Message string
	// Files maps paths to their new content.
	Files map[string]string
	// Remove names files or directories to delete.
	Remove []string
	// Symlinks maps paths to what they point to.
	Symlinks map[string]string
	// Submodules maps paths to the commit they are pinned to.
	Submodules map[string]string
	Author     Signature
}

// Auth is how a repository is asked. The zero value asks without credentials.
type Auth struct {
	// Username and Password are for https. A password without a user name is sent
	// as user "git", which hosts accept for tokens.
	Username, Password string
	// SSHKeyFile is the private key for ssh; empty leaves it to ssh and its agent.
	SSHKeyFile string
	// SSHConfigFile replaces ssh's own configuration file.
	SSHConfigFile string
	// Tokens makes the https credentials where they expire; it wins over Password.
	Tokens TokenSource
	// A host's ssh key has to be known. SSHKnownHostsFile, when given, is the only file
	// that counts. Without it ssh's own files do, and SSHMoreHostsFile beside them.
	SSHKnownHostsFile, SSHMoreHostsFile string
	// SSHAcceptNew takes the key of an unknown host at first sight, and keeps it. One
	// that changed is refused all the same.
	SSHAcceptNew bool
}

// TokenSource makes https credentials that expire. Its errors are *Error. Safe for
// concurrent use.
type TokenSource interface {
	// Token returns credentials that are good for the next minutes.
	Token(ctx context.Context) (username, password string, err error)
	// Refused says that the host did not take a password: the next Token is a new one.
	Refused(password string)
}

// Source is one branch of one repository.
type Source struct {
	// URL is https://, http://, ssh://, user@host:path, file:// or an absolute path.
	URL string
	// Branch is the short name, such as "main".
	Branch string
	Auth   Auth
}
