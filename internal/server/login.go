package server

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"connectrpc.com/connect"
	"golang.org/x/crypto/argon2"
	"golang.org/x/time/rate"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/penstock-cd/penstock/internal/deploy"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
	"github.com/penstock-cd/penstock/internal/policy"
	"github.com/penstock-cd/penstock/internal/store"
)

// argon2id parameters (RFC 9106, second recommended option, with less memory
// because the login is a rare event on a small machine).
const (
	argonTime    = 3
	argonMemory  = 32 << 10 // KiB
	argonThreads = 2
	argonKey     = 32
)

// HashPassword returns the argon2id hash of a password in PHC form.
func HashPassword(password string) string {
	salt := make([]byte, 16)
	if _, err := rand.Read(salt); err != nil {
		panic(err)
	}
	key := argon2.IDKey([]byte(password), salt, argonTime, argonMemory, argonThreads, argonKey)
	enc := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemory, argonTime, argonThreads, enc(salt), enc(key))
}

// CheckPassword compares a password with a hash of HashPassword in constant
// time. A malformed hash matches nothing.
func CheckPassword(hash, password string) bool {
	parts := strings.Split(hash, "$")
	if len(parts) != 6 || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return false
	}
	var m, t uint32
	var p uint8
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &m, &t, &p); err != nil || m > 1<<20 || t > 16 || t == 0 || p == 0 {
		return false
	}
	salt, err1 := base64.RawStdEncoding.DecodeString(parts[4])
	want, err2 := base64.RawStdEncoding.DecodeString(parts[5])
	if err1 != nil || err2 != nil || len(want) == 0 || len(want) > 64 {
		return false
	}
	got := argon2.IDKey([]byte(password), salt, t, m, p, uint32(len(want)))
	return subtle.ConstantTimeCompare(got, want) == 1
}

// loginGuard limits attempts by address and by user name: guessing is slow from
// one place and from many. The address comes first, so that one place cannot
// use up what a name has and lock its owner out. Names that nobody has share
// one budget. One attempt at a time is hashed, so that nobody fills the memory.
type loginGuard struct {
	user          string
	known, others *rate.Limiter
	from          *limits
	one           chan struct{}
}

func newLoginGuard(user string) *loginGuard {
	name := func() *rate.Limiter { return rate.NewLimiter(rate.Every(3*time.Second), 20) }
	return &loginGuard{user: user, known: name(), others: name(), from: newLimits(rate.Every(12*time.Second), 5), one: make(chan struct{}, 1)}
}

// allow takes one attempt out of the budgets. The address is that of the
// connection; what a client claims in a header does not count.
func (g *loginGuard) allow(user, address string, now time.Time) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	if !g.from.allow(host, now) {
		return false
	}
	if user == g.user {
		return g.known.AllowN(now, 1)
	}
	return g.others.AllowN(now, 1)
}

func (g *loginGuard) check(ctx context.Context, hash, password string) (bool, error) {
	select {
	case g.one <- struct{}{}:
	case <-ctx.Done():
		return false, ctx.Err()
	}
	defer func() { <-g.one }()
	return CheckPassword(hash, password), nil
}

// Login implements ProjectService.
func (s *Server) Login(ctx context.Context, req *connect.Request[penstockv1.LoginRequest]) (*connect.Response[penstockv1.LoginResponse], error) {
	m := req.Msg
	if s.opt.Admin.PasswordHash == "" {
		return nil, deploy.Errorf(deploy.CodeDenied, "no password login is set up on this server")
	}
	if len(m.Password) > 1024 || len(m.Username) > 200 {
		return nil, deploy.Errorf(deploy.CodeInvalid, "the user name or the password is too long")
	}
	if !s.logins.allow(m.Username, req.Peer().Addr, s.now()) {
		return nil, deploy.Errorf(deploy.CodeExhausted, "too many attempts: wait a minute")
	}
	right, err := s.logins.check(ctx, s.opt.Admin.PasswordHash, m.Password)
	if err != nil {
		return nil, err
	}
	if subtle.ConstantTimeCompare([]byte(m.Username), []byte(s.opt.Admin.Username)) != 1 || !right {
		return nil, deploy.Errorf(deploy.CodeUnauthorized, "wrong user name or password")
	}
	e := entry{project: s.opt.Project.ID, actor: "user:" + m.Username}
	secret, c, err := s.issue(ctx, e, credential{
		Kind: "session", Project: e.project, Owner: m.Username, Role: policy.RoleAdmin, ExpiresAt: s.now().Add(sessionLife),
	}, func(b *book, c credential) error {
		return b.appendFact(store.Stream{Kind: deploy.StreamProject, ID: e.project}, deploy.EvLoggedIn, map[string]string{"credential": c.ID})
	})
	if err != nil {
		return nil, err
	}
	res := connect.NewResponse(&penstockv1.LoginResponse{Token: secret, ExpiresAt: timestamppb.New(c.ExpiresAt)})
	res.Header().Set("Set-Cookie", s.cookie(req.Header(), secret, c.ExpiresAt).String())
	return res, nil
}

// cookie carries a session. It is kept to TLS when the browser uses it, or when
// the page is published under https by a proxy in front.
func (s *Server) cookie(h http.Header, value string, until time.Time) *http.Cookie {
	return &http.Cookie{
		Name: sessionCookie, Value: value, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode,
		Expires: until, Secure: h.Get(schemeHeader) == "https" || strings.HasPrefix(s.opt.WebAddress, "https://"),
	}
}

// Logout implements ProjectService.
func (s *Server) Logout(ctx context.Context, req *connect.Request[penstockv1.LogoutRequest]) (*connect.Response[penstockv1.LogoutResponse], error) {
	p := who(ctx)
	if p.Kind == "session" {
		err := s.opt.Store.Update(ctx, store.System, func(tx store.Tx) error { return tx.Delete(store.Credentials, p.hash) })
		if err != nil {
			return nil, err
		}
	}
	res := connect.NewResponse(&penstockv1.LogoutResponse{})
	res.Header().Set("Set-Cookie", s.cookie(req.Header(), "", time.Unix(0, 0)).String())
	return res, nil
}

// maxKeys is how many keys an agent has: the one in use and its successor.
const maxKeys = 2

// issue makes and stores a secret, which is returned once, and records the
// fact. A secret whose fact could not be recorded is taken back: it lives in
// another transaction, because it must be found before a project is known.
func (s *Server) issue(ctx context.Context, e entry, c credential, fact func(*book, credential) error) (string, credential, error) {
	secret := newSecret(map[string]string{"agent": "psa_", "key": "psk_", "session": "pss_"}[c.Kind])
	c.ID, c.CreatedAt = s.opt.NewID(), s.now()
	hash := hashSecret(secret)
	err := s.opt.Store.Update(ctx, store.System, func(tx store.Tx) error {
		if c.Kind == "agent" {
			n, err := tx.Count(store.Credentials, store.Query{Where: map[string][]string{"owner": {c.owner()}}})
			if err != nil {
				return err
			}
			if n >= maxKeys {
				return &deploy.Error{Code: deploy.CodeExhausted, Object: c.Owner, Message: "an agent has at most two keys: remove the older one first"}
			}
		}
		return keepCredential(tx, hash, c)
	})
	if err != nil {
		return "", c, err
	}
	if err := s.update(ctx, e, func(b *book) error { return fact(b, c) }); err != nil {
		drop := s.opt.Store.Update(context.WithoutCancel(ctx), store.System, func(tx store.Tx) error { return tx.Delete(store.Credentials, hash) })
		return "", c, errors.Join(err, drop)
	}
	return secret, c, nil
}
