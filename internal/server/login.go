package server

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"sync"
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
	if len(parts) != 6 || parts[1] != "argon2id" {
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

// loginGuard limits attempts for each user name: guessing is slow, and one
// attempt at a time is hashed, so that nobody fills the memory.
type loginGuard struct {
	mu    sync.Mutex
	users map[string]*rate.Limiter
	one   chan struct{}
}

func newLoginGuard() *loginGuard {
	return &loginGuard{users: map[string]*rate.Limiter{}, one: make(chan struct{}, 1)}
}

func (g *loginGuard) allow(user string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.users) > 10000 {
		clear(g.users)
	}
	l := g.users[user]
	if l == nil {
		l = rate.NewLimiter(rate.Every(12*time.Second), 5)
		g.users[user] = l
	}
	return l.Allow()
}

func (g *loginGuard) check(hash, password string) bool {
	g.one <- struct{}{}
	defer func() { <-g.one }()
	return CheckPassword(hash, password)
}

// Login implements ProjectService.
func (s *Server) Login(ctx context.Context, req *connect.Request[penstockv1.LoginRequest]) (*connect.Response[penstockv1.LoginResponse], error) {
	m := req.Msg
	if s.opt.Admin.PasswordHash == "" {
		return nil, s.wireError("Login", deploy.Errorf(deploy.CodeDenied, "no password login is set up on this server"))
	}
	if len(m.Password) > 1024 || !s.logins.allow(m.Username) {
		return nil, s.wireError("Login", deploy.Errorf(deploy.CodeExhausted, "too many attempts: wait a minute"))
	}
	nameOK := subtle.ConstantTimeCompare([]byte(m.Username), []byte(s.opt.Admin.Username)) == 1
	if !s.logins.check(s.opt.Admin.PasswordHash, m.Password) || !nameOK {
		return nil, s.wireError("Login", deploy.Errorf(deploy.CodeUnauthorized, "wrong user name or password"))
	}
	secret, c, err := s.newCredential(ctx, credential{
		Kind: "session", Project: s.opt.Project.ID, Owner: m.Username, Role: policy.RoleAdmin, ExpiresAt: s.now().Add(sessionLife),
	})
	if err != nil {
		return nil, s.wireError("Login", err)
	}
	err = s.audit(ctx, entry{project: c.Project, actor: "user:" + m.Username}, deploy.EvLoggedIn, map[string]string{"credential": c.ID})
	if err != nil {
		return nil, s.wireError("Login", err)
	}
	res := connect.NewResponse(&penstockv1.LoginResponse{Token: secret, ExpiresAt: timestamppb.New(c.ExpiresAt)})
	res.Header().Set("Set-Cookie", cookie(req.Header(), secret, c.ExpiresAt).String())
	return res, nil
}

func cookie(h http.Header, value string, until time.Time) *http.Cookie {
	return &http.Cookie{
		Name: sessionCookie, Value: value, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode,
		Expires: until, Secure: h.Get(schemeHeader) == "https",
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
	res.Header().Set("Set-Cookie", cookie(req.Header(), "", time.Unix(0, 0)).String())
	return res, nil
}

// newCredential makes and stores a secret; the secret itself is returned once.
func (s *Server) newCredential(ctx context.Context, c credential) (string, credential, error) {
	secret := newSecret(map[string]string{"agent": "psa_", "key": "psk_", "session": "pss_"}[c.Kind])
	c.ID, c.CreatedAt = s.opt.NewID(), s.now()
	err := s.opt.Store.Update(ctx, store.System, func(tx store.Tx) error {
		return keepCredential(tx, hashSecret(secret), c)
	})
	return secret, c, err
}
