package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/penstock-cd/penstock/internal/deploy"
)

// Names of the environment variables that choose server, credential and file.
const (
	EnvServer = "PENSTOCK_SERVER"
	EnvToken  = "PENSTOCK_TOKEN"
	EnvConfig = "PENSTOCK_CONFIG"
)

// Login is one stored login.
type Login struct {
	Server    string    `json:"server"`
	Project   string    `json:"project,omitempty"`
	User      string    `json:"user,omitempty"`
	Token     string    `json:"token,omitempty"`
	ExpiresAt time.Time `json:"expiresAt,omitzero"`
}

// Logins is the content of the file of logins.
type Logins struct {
	Current  string           `json:"current,omitempty"`
	Contexts map[string]Login `json:"contexts,omitempty"`
}

// LoginsPath is where logins are kept: PENSTOCK_CONFIG, or penstock/config.json
// in the user's configuration folder.
func LoginsPath(getenv func(string) string) (string, error) {
	if p := getenv(EnvConfig); p != "" {
		return p, nil
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("find the folder for logins (set %s to a file instead): %w", EnvConfig, err)
	}
	return filepath.Join(dir, "penstock", "config.json"), nil
}

// LoadLogins reads the file of logins; a missing one is empty. A file that
// others can read is refused: its tokens must be taken for known.
func LoadLogins(file string) (Logins, error) {
	l := Logins{Contexts: map[string]Login{}}
	info, err := os.Stat(file)
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	if err != nil {
		return l, fmt.Errorf("read logins: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 && runtime.GOOS != "windows" {
		return l, deploy.Errorf(deploy.CodeInvalid, "read logins: others can read %s (mode %04o); run: chmod 600 %s, then log in again", file, info.Mode().Perm(), file)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return l, fmt.Errorf("read logins: %w", err)
	}
	if err := json.Unmarshal(data, &l); err != nil {
		return l, deploy.Errorf(deploy.CodeInvalid, "read logins: %s is damaged (%v); remove it and log in again", file, err)
	}
	if l.Contexts == nil {
		l.Contexts = map[string]Login{}
	}
	return l, nil
}

// SaveLogins writes the file of logins with mode 0600, as a whole or not at all.
func SaveLogins(file string, l Logins) error {
	data, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		return err
	}
	dir := filepath.Dir(file)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("save logins: %w", err)
	}
	f, err := os.CreateTemp(dir, ".config-*") // mode 0600
	if err != nil {
		return fmt.Errorf("save logins: %w", err)
	}
	_, err = f.Write(append(data, '\n'))
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		return fmt.Errorf("save logins: %w", errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}

// Choice is what the command line and the environment say about whom to talk to.
type Choice struct {
	Context, Server string // flags
	Getenv          func(string) string
	Insecure        bool
	Now             time.Time
}

// Choose finds server and credential. A flag wins over the environment, the
// environment over the stored logins. A stored token goes to its own server
// only: naming another one by flag or variable never sends it there.
func (l Logins) Choose(c Choice) (Login, error) {
	if c.Context != "" && c.Server != "" {
		return Login{}, deploy.Errorf(deploy.CodeInvalid, "--context and --server exclude each other")
	}
	if c.Context != "" {
		return l.stored(c.Context, c.Now)
	}
	server, token := c.Server, c.Getenv(EnvToken)
	if server == "" {
		server = c.Getenv(EnvServer)
	}
	if server == "" {
		x, err := l.stored(l.Current, c.Now)
		if token != "" && x.Server != "" {
			return Login{Server: x.Server, Token: token}, nil
		}
		return x, err
	}
	server, err := ParseServer(server, c.Insecure)
	if err != nil {
		return Login{}, err
	}
	if token != "" {
		return Login{Server: server, Token: token}, nil
	}
	name, ok := l.of(server)
	if !ok {
		return Login{Server: server}, deploy.Errorf(deploy.CodeUnauthorized, "there is no login for %s and %s is not set", server, EnvToken)
	}
	return l.stored(name, c.Now)
}

// of finds the login of a server, the current one first.
func (l Logins) of(server string) (string, bool) {
	if l.Contexts[l.Current].Server == server {
		return l.Current, true
	}
	best := ""
	for name, x := range l.Contexts {
		if x.Server == server && (best == "" || name < best) {
			best = name
		}
	}
	return best, best != ""
}

func (l Logins) stored(name string, now time.Time) (Login, error) {
	x, ok := l.Contexts[name]
	switch {
	case name == "":
		return x, deploy.Errorf(deploy.CodeUnauthorized, "nobody is logged in and %s is not set", EnvServer)
	case !ok:
		return x, &deploy.Error{Code: deploy.CodeUnauthorized, Object: name, Message: "there is no login of this name"}
	case !x.ExpiresAt.IsZero() && !x.ExpiresAt.After(now):
		return x, &deploy.Error{Code: deploy.CodeUnauthorized, Object: name, Message: "the login expired on " + x.ExpiresAt.UTC().Format("2006-01-02 15:04 UTC")}
	}
	return x, nil
}
