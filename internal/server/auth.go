package server

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strings"
	"time"

	"connectrpc.com/connect"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/gen/penstock/v1/penstockv1connect"
	"github.com/penstock-cd/penstock/internal/policy"
	"github.com/penstock-cd/penstock/internal/store"
)

// sessionCookie carries a person's session token in the browser.
const sessionCookie = "penstock_session"

const (
	sessionLife = 7 * 24 * time.Hour
	// touchEvery bounds how often the last use of a credential is noted.
	touchEvery = 10 * time.Minute
)

// credential is a secret of 256 random bits, found by its hash: comparing is
// one indexed read, and nothing that was stored lets anybody in.
type credential struct {
	ID        string      `json:"id"`
	Kind      string      `json:"kind"` // agent, key, session
	Project   string      `json:"project"`
	Owner     string      `json:"owner"` // agent id, key name, user name
	Role      policy.Role `json:"role"`
	CreatedAt time.Time   `json:"createdAt"`
	ExpiresAt time.Time   `json:"expiresAt,omitzero"`
	UsedAt    time.Time   `json:"usedAt,omitzero"`
}

// principal is who calls.
type principal struct {
	credential
	hash string
}

// actor is the principal in events: user:name, key:name, agent:id.
func (p principal) actor() string {
	kind := map[string]string{"agent": "agent", "key": "key", "session": "user"}[p.Kind]
	return kind + ":" + p.Owner
}

// name is the principal where people are named, such as the approvers of a
// stage: a key is never taken for the user of the same name.
func (p principal) name() string {
	if p.Kind == "key" {
		return deploy.KeyName + p.Owner
	}
	return p.Owner
}

type principalKey struct{}

// who returns the caller; the interceptor has put it there.
func who(ctx context.Context) principal {
	p, _ := ctx.Value(principalKey{}).(principal)
	return p
}

func newSecret(prefix string) string {
	b := make([]byte, 32)
	if _, err := rand.Read(b); err != nil {
		panic(err) // the system has no randomness: nothing may go on
	}
	return prefix + base64.RawURLEncoding.EncodeToString(b)
}

func hashSecret(secret string) string {
	h := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(h[:])
}

func keepCredential(r store.Records, hash string, c credential) error {
	return keep(r, store.Credentials, hash, c, map[string]string{"owner": c.owner()})
}

// owner is the index under which the credentials of one owner are found.
func (c credential) owner() string { return c.Project + "/" + c.Kind + "/" + c.Owner }

// rights says which right each procedure needs. A procedure that is not here
// is refused to everybody; a test keeps the table complete.
var rights = map[string]policy.Right{
	penstockv1connect.ApplicationServiceListApplicationsProcedure:           policy.ApplicationRead,
	penstockv1connect.ApplicationServiceGetApplicationProcedure:             policy.ApplicationRead,
	penstockv1connect.ApplicationServiceAddApplicationProcedure:             policy.ApplicationWrite,
	penstockv1connect.ApplicationServiceSetApplicationEnabledProcedure:      policy.ApplicationWrite,
	penstockv1connect.ApplicationServiceDeleteApplicationProcedure:          policy.ApplicationWrite,
	penstockv1connect.ApplicationServiceSyncApplicationProcedure:            policy.ApplicationSync,
	penstockv1connect.ApplicationServiceListDiscoveredApplicationsProcedure: policy.ApplicationRead,
	penstockv1connect.ApplicationServiceGetLiveStateProcedure:               policy.ApplicationRead,
	penstockv1connect.DeploymentServiceListDeploymentsProcedure:             policy.DeploymentRead,
	penstockv1connect.DeploymentServiceGetDeploymentProcedure:               policy.DeploymentRead,
	penstockv1connect.DeploymentServiceListEventsProcedure:                  policy.DeploymentRead,
	penstockv1connect.DeploymentServiceCancelDeploymentProcedure:            policy.DeploymentCancel,
	penstockv1connect.DeploymentServiceApproveStageProcedure:                policy.DeploymentApprove,
	penstockv1connect.DeploymentServiceRejectStageProcedure:                 policy.DeploymentApprove,
	penstockv1connect.DeploymentServiceSkipStageProcedure:                   policy.DeploymentSkip,
	penstockv1connect.DeploymentServiceRetryDeploymentProcedure:             policy.DeploymentRetry,
	penstockv1connect.DeploymentServiceRollBackToProcedure:                  policy.ApplicationSync,
	penstockv1connect.DecisionServiceAskProcedure:                           policy.ApplicationRead,
	penstockv1connect.DecisionServiceListCommandsProcedure:                  policy.DeploymentRead,
	penstockv1connect.DeploymentServiceReadStageLogProcedure:                policy.DeploymentRead,
	penstockv1connect.ApplicationServiceGetDriftProcedure:                   policy.ApplicationRead,
	penstockv1connect.DeploymentServiceGetChangesProcedure:                  policy.DeploymentRead,
	penstockv1connect.ProjectServiceLogoutProcedure:                         policy.ProjectRead,
	penstockv1connect.ProjectServiceWhoAmIProcedure:                         policy.ProjectRead,
	penstockv1connect.ProjectServiceGetProjectProcedure:                     policy.ProjectRead,
	penstockv1connect.ProjectServiceGetWebhooksProcedure:                    policy.ProjectRead,
	penstockv1connect.ProjectServiceUpdateProjectProcedure:                  policy.ProjectWrite,
	penstockv1connect.ProjectServiceListAgentsProcedure:                     policy.AgentRead,
	penstockv1connect.ProjectServiceRegisterAgentProcedure:                  policy.AgentWrite,
	penstockv1connect.ProjectServiceAddAgentKeyProcedure:                    policy.AgentWrite,
	penstockv1connect.ProjectServiceRemoveAgentKeyProcedure:                 policy.AgentWrite,
	penstockv1connect.ProjectServiceSetAgentEnabledProcedure:                policy.AgentWrite,
	penstockv1connect.ProjectServiceCreateAPIKeyProcedure:                   policy.KeyWrite,
	penstockv1connect.ProjectServiceListAPIKeysProcedure:                    policy.KeyRead,
	penstockv1connect.ProjectServiceRevokeAPIKeyProcedure:                   policy.KeyWrite,
	penstockv1connect.ProjectServiceSearchProcedure:                         policy.ApplicationRead,
	penstockv1connect.ProjectServiceGetPreferencesProcedure:                 policy.ProjectRead,
	penstockv1connect.ProjectServiceSetFavouriteProcedure:                   policy.PreferenceWrite,
	penstockv1connect.ProjectServiceSaveViewProcedure:                       policy.PreferenceWrite,
	penstockv1connect.ProjectServiceDeleteViewProcedure:                     policy.PreferenceWrite,
	penstockv1connect.WatchServiceWatchProcedure:                            policy.DeploymentRead,
}

// publicProcedure is what may be called without a credential.
const publicProcedure = penstockv1connect.ProjectServiceLoginProcedure

func needs(procedure string) (policy.Right, bool) {
	if strings.HasPrefix(procedure, "/"+penstockv1connect.AgentServiceName+"/") {
		return policy.AgentLink, true
	}
	r, ok := rights[procedure]
	return r, ok
}

// guard authenticates and authorises every call and translates every error.
type guard struct{ s *Server }

func (g guard) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		start := time.Now()
		ctx, err := g.s.admitCall(ctx, req.Spec().Procedure, req.Header())
		var res connect.AnyResponse
		if err == nil {
			res, err = next(ctx, req)
		}
		g.s.metrics.rpc(req.Spec().Procedure, start, err)
		if err != nil {
			return nil, g.s.wireError(req.Spec().Procedure, err)
		}
		return res, nil
	}
}

func (g guard) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

func (g guard) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
		ctx, err := g.s.admitCall(ctx, conn.Spec().Procedure, conn.RequestHeader())
		if err == nil {
			err = next(ctx, conn)
		}
		if err != nil {
			return g.s.wireError(conn.Spec().Procedure, err)
		}
		return nil
	}
}

// admitCall finds the caller of a procedure and checks its right.
func (s *Server) admitCall(ctx context.Context, procedure string, h http.Header) (context.Context, error) {
	if procedure == publicProcedure {
		return ctx, nil
	}
	need, ok := needs(procedure)
	if !ok {
		return ctx, deploy.Errorf(deploy.CodeDenied, "nobody may call %s", procedure)
	}
	p, err := s.authenticate(ctx, h)
	if err != nil {
		return ctx, err
	}
	if err := policy.Check(p.Role, need); err != nil {
		return ctx, err
	}
	if !s.limits.allow(p.ID, s.now()) {
		return ctx, &deploy.Error{Code: deploy.CodeExhausted, Object: p.actor(), Message: "too many calls: slow down"}
	}
	return context.WithValue(ctx, principalKey{}, p), nil
}

// bearer takes the secret out of the header or the cookie.
func bearer(h http.Header) string {
	if v, ok := strings.CutPrefix(h.Get("Authorization"), "Bearer "); ok {
		return strings.TrimSpace(v)
	}
	if c, err := (&http.Request{Header: h}).Cookie(sessionCookie); err == nil {
		return c.Value
	}
	return ""
}

func (s *Server) authenticate(ctx context.Context, h http.Header) (principal, error) {
	secret := bearer(h)
	if secret == "" {
		return principal{}, deploy.Errorf(deploy.CodeUnauthorized, "no credential was sent: log in, or set a key")
	}
	p := principal{hash: hashSecret(secret)}
	var found, disabled bool
	err := s.opt.Store.View(ctx, store.System, func(tx store.Tx) error {
		rec, ok, err := tx.Get(store.Credentials, p.hash)
		if err != nil || !ok {
			return err
		}
		found = true
		return decodeBody(rec, &p.credential)
	})
	if err != nil {
		return p, err
	}
	now := s.now()
	if !found || !p.ExpiresAt.IsZero() && !p.ExpiresAt.After(now) {
		return p, deploy.Errorf(deploy.CodeUnauthorized, "the credential is unknown or has expired: make a new one")
	}
	if p.Kind == "agent" {
		disabled, err = s.agentDisabled(ctx, p.Project, p.Owner)
		if deploy.CodeOf(err) == deploy.CodeNotFound {
			return p, deploy.Errorf(deploy.CodeUnauthorized, "the agent of this key is not registered any more")
		}
		if err != nil {
			return p, err
		}
		if disabled {
			return p, deploy.Errorf(deploy.CodeUnauthorized, "the agent is disabled: enable it on the agents page")
		}
	}
	if now.Sub(p.UsedAt) > touchEvery {
		s.touchCredential(ctx, p, now)
	}
	return p, nil
}

// touchCredential notes the last use. A failure is only logged: it must not
// keep anybody out.
func (s *Server) touchCredential(ctx context.Context, p principal, now time.Time) {
	err := s.opt.Store.Update(ctx, store.System, func(tx store.Tx) error {
		c, err := load[credential](tx, store.Credentials, p.hash, "credential")
		if err != nil {
			return err
		}
		c.UsedAt = now
		return keepCredential(tx, p.hash, c)
	})
	if err != nil {
		s.log.Warn("note use of credential", "credential", p.ID, "error", err)
	}
}

func (s *Server) agentDisabled(ctx context.Context, project, id string) (disabled bool, err error) {
	err = s.view(ctx, project, func(b *book) error {
		a, err := load[agentRecord](b, store.Agents, id, "agent")
		disabled = a.Disabled
		return err
	})
	return disabled, err
}
