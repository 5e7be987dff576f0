// Package piped brings an agent's configuration to the agent: from a file, the
// command line, an SSM parameter or a secret, with the key and the address of
// the control plane resolved.
package piped

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/spec"
)

// Source says where the configuration is; exactly one field is set.
type Source struct {
	File            string // path
	Data            string // the content itself in base64
	AWSSSMParameter string // name or ARN of an SSM parameter, its value plain or base64
	AWSSecret       string // name or ARN of a Secrets Manager secret, its value plain or base64
}

// Store reads values of a cloud's secret stores.
type Store interface {
	Parameter(ctx context.Context, name string) ([]byte, error)
	Secret(ctx context.Context, id string) ([]byte, error)
}

// Options say how a configuration is read.
type Options struct {
	// Store is asked for SSM parameters and secrets; it may be nil when the source is neither.
	Store Store
	// Insecure permits plain http to a control plane on another machine.
	Insecure bool
	// Kinds are platforms beyond the built-in ones.
	Kinds []spec.KindInfo
}

// Config is a configuration that an agent can begin with.
type Config struct {
	Piped    *spec.Piped
	Warnings spec.Warnings
	Key      spec.Secret // of the agent
	URL      string      // of the control plane, with scheme, without a slash at the end
}

// Read reads, decodes and resolves a configuration. Mistakes in the content are spec.Errors.
func Read(ctx context.Context, src Source, opt Options) (*Config, error) {
	name, data, err := content(ctx, src, opt.Store)
	if err != nil {
		return nil, err
	}
	p, warnings, err := spec.ReadPiped(name, data, opt.Kinds...)
	if err != nil {
		return nil, err
	}
	key, err := agentKey(p)
	if err != nil {
		return nil, err
	}
	address, err := Address(p.APIAddress, opt.Insecure)
	if err != nil {
		return nil, fmt.Errorf("%s: spec.apiAddress: %w", name, err)
	}
	return &Config{Piped: p, Warnings: warnings, Key: key, URL: address}, nil
}

// content reads the bytes of a source and the name that messages give them.
func content(ctx context.Context, src Source, store Store) (name string, data []byte, err error) {
	given := 0
	for _, v := range []string{src.File, src.Data, src.AWSSSMParameter, src.AWSSecret} {
		if v != "" {
			given++
		}
	}
	if given != 1 {
		return "", nil, deploy.Errorf(deploy.CodeInvalid, "give the agent's configuration in exactly one way: --config-file, --config-data, --config-aws-ssm-parameter or --config-aws-secret (%d were given)", given)
	}
	switch {
	case src.File != "":
		data, err = os.ReadFile(src.File)
		return src.File, data, wrap("read configuration", err)
	case src.Data != "":
		data, err = base64.StdEncoding.DecodeString(squeeze(src.Data))
		if err != nil {
			return "", nil, deploy.Errorf(deploy.CodeInvalid, "--config-data is not base64: encode the file with base64 -w0")
		}
		return "--config-data", data, nil
	case store == nil:
		return "", nil, errors.New("read configuration: no secret store is available")
	case src.AWSSSMParameter != "":
		data, err = store.Parameter(ctx, src.AWSSSMParameter)
		return "ssm:" + src.AWSSSMParameter, maybeBase64(data), wrap("read configuration", err)
	}
	data, err = store.Secret(ctx, src.AWSSecret)
	return "secret:" + src.AWSSecret, maybeBase64(data), wrap("read configuration", err)
}

// maybeBase64 decodes a value that is base64. A configuration in the clear has
// colons and so never is.
func maybeBase64(data []byte) []byte {
	if plain, err := base64.StdEncoding.DecodeString(squeeze(string(data))); err == nil && len(plain) > 0 {
		return plain
	}
	return data
}

// agentKey reads the key; a line break at the end of the file does not belong to it.
func agentKey(p *spec.Piped) (spec.Secret, error) {
	data := []byte(p.PipedKeyData.Reveal())
	from := "pipedKeyData"
	if p.PipedKeyFile != "" {
		from = p.PipedKeyFile
		var err error
		if data, err = os.ReadFile(p.PipedKeyFile); err != nil {
			return "", fmt.Errorf("read the agent's key: %w", err)
		}
	}
	key := spec.Secret(bytes.TrimSpace(data))
	if key == "" {
		return "", deploy.Errorf(deploy.CodeInvalid, "%s: the agent's key is empty; make one on the agents page", from)
	}
	if strings.ContainsFunc(key.Reveal(), func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", deploy.Errorf(deploy.CodeInvalid, "%s: the agent's key holds blanks or characters that no key has; copy it again", from)
	}
	return key, nil
}

// Address turns an apiAddress (host:port, or a URL) into the URL of the control
// plane: https, or http for this machine itself. Plain http to another machine
// would show the key to the network and is refused unless insecure.
func Address(api string, insecure bool) (string, error) {
	u, err := url.Parse(api)
	if !strings.Contains(api, "://") {
		u, err = url.Parse("//" + api)
	}
	if err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", deploy.Errorf(deploy.CodeInvalid, "%q is not host:port or a URL", api)
	}
	local := loopback(u.Hostname())
	switch {
	case u.Scheme == "" && (local || insecure):
		u.Scheme = "http"
	case u.Scheme == "":
		u.Scheme = "https"
	case u.Scheme != "http" && u.Scheme != "https":
		return "", deploy.Errorf(deploy.CodeInvalid, "%q: only http and https are spoken", api)
	}
	if u.Scheme == "http" && !local && !insecure {
		return "", deploy.Errorf(deploy.CodeInvalid, "%q: plain http would show the agent's key to the network; use https, or --insecure if the way is protected otherwise", api)
	}
	address := strings.TrimRight(u.String(), "/")
	if _, err := url.Parse(address); err != nil { // an IPv6 address without brackets
		return "", deploy.Errorf(deploy.CodeInvalid, "%q is not host:port or a URL", api)
	}
	return address, nil
}

func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

func squeeze(s string) string { return strings.Join(strings.Fields(s), "") }

func wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", op, err)
}
