// Package sts is the AWS Security Token Service of the local cloud: who am I, and temporary credentials that the same cloud accepts. Roles are not checked:
// any well-formed role ARN can be assumed. Rules are from the STS API Reference ("API").
package sts

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awssts "github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"github.com/penstock-cd/penstock/internal/localcloud/awserr"
	"github.com/penstock-cd/penstock/internal/localcloud/awswire"
	"github.com/penstock-cd/penstock/internal/localcloud/clock"
)

// Config is what the service needs.
type Config struct {
	Account string
	Clock   clock.Clock
	// Root is the credential of the run; it belongs to the user "local".
	Root awswire.Credential
}

// STS hands out and remembers credentials. It is safe for concurrent use.
type STS struct {
	cfg Config

	mu       sync.Mutex
	sessions map[string]session // by access key id
}

type session struct {
	cred    awswire.Credential
	arn     string
	roleID  string
	expires time.Time
}

// New returns a service that knows the root credential only.
func New(cfg Config) *STS { return &STS{cfg: cfg, sessions: map[string]session{}} }

// Service returns the operations for the wire.
func (s *STS) Service() awswire.Service {
	return awswire.Query("sts", "2011-06-15", "https://sts.amazonaws.com/doc/2011-06-15/", awswire.Op(s.GetCallerIdentity), awswire.Op(s.AssumeRole),
		awswire.Op(s.AssumeRoleWithWebIdentity).Unsigned())
}

// Lookup finds a credential that may call: the root one, or a temporary one that has not expired.
func (s *STS) Lookup(accessKeyID string) (awswire.Credential, bool) {
	if accessKeyID == s.cfg.Root.AccessKeyID {
		return s.cfg.Root, true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.sessions[accessKeyID]
	if ok && !s.cfg.Clock.Now().Before(found.expires) {
		delete(s.sessions, accessKeyID)
		ok = false
	}
	return found.cred, ok
}

// GetCallerIdentity says whose credential signed the call.
func (s *STS) GetCallerIdentity(ctx context.Context, _ *awssts.GetCallerIdentityInput) (*awssts.GetCallerIdentityOutput, error) {
	out := &awssts.GetCallerIdentityOutput{Account: &s.cfg.Account, Arn: aws.String("arn:aws:iam::" + s.cfg.Account + ":user/local"), UserId: aws.String("AIDALOCALCLOUDUSER00")}
	s.mu.Lock()
	defer s.mu.Unlock()
	if found, ok := s.sessions[awswire.Caller(ctx)]; ok {
		out.Arn, out.UserId = aws.String(found.arn), aws.String(found.roleID)
		out.Account = aws.String(strings.Split(found.arn, ":")[4])
	}
	return out, nil
}

// AssumeRole returns temporary credentials for a role.
func (s *STS) AssumeRole(_ context.Context, in *awssts.AssumeRoleInput) (*awssts.AssumeRoleOutput, error) {
	cred, user, err := s.assume(in.RoleArn, in.RoleSessionName, in.DurationSeconds)
	if err != nil {
		return nil, err
	}
	return &awssts.AssumeRoleOutput{Credentials: cred, AssumedRoleUser: user}, nil
}

// AssumeRoleWithWebIdentity returns temporary credentials for a role to the holder of any token; the call is not signed.
func (s *STS) AssumeRoleWithWebIdentity(_ context.Context, in *awssts.AssumeRoleWithWebIdentityInput) (*awssts.AssumeRoleWithWebIdentityOutput, error) {
	if len(aws.ToString(in.WebIdentityToken)) < 4 {
		return nil, awserr.New("InvalidIdentityToken", "The web identity token that was passed could not be validated.")
	}
	cred, user, err := s.assume(in.RoleArn, in.RoleSessionName, in.DurationSeconds)
	if err != nil {
		return nil, err
	}
	return &awssts.AssumeRoleWithWebIdentityOutput{
		Credentials: cred, AssumedRoleUser: user, Audience: aws.String("sts.amazonaws.com"), Provider: in.ProviderId, SubjectFromWebIdentityToken: aws.String("local"),
	}, nil
}

// assume makes a session. API: durations are 900 seconds to 12 hours (default one hour), session names have 2 to 64 characters of [\w+=,.@-].
func (s *STS) assume(roleARN, name *string, duration *int32) (*types.Credentials, *types.AssumedRoleUser, error) {
	parts := regexp.MustCompile(`^arn:aws:iam::(\d{12}):role/(?:[^/]+/)*([\w+=,.@-]+)$`).FindStringSubmatch(aws.ToString(roleARN))
	if parts == nil {
		return nil, nil, awserr.New("ValidationError", "%s is invalid", aws.ToString(roleARN))
	}
	if !regexp.MustCompile(`^[\w+=,.@-]{2,64}$`).MatchString(aws.ToString(name)) {
		return nil, nil, awserr.New("ValidationError", "1 validation error detected: Value '%s' at 'roleSessionName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\w+=,.@-]*", aws.ToString(name))
	}
	life := time.Hour
	if duration != nil {
		life = time.Duration(*duration) * time.Second
	}
	if life < 15*time.Minute || life > 12*time.Hour {
		return nil, nil, awserr.New("ValidationError", "1 validation error detected: Value '%d' at 'durationSeconds' failed to satisfy constraint: it must be between 900 and 43200", aws.ToInt32(duration))
	}
	made := session{
		cred:    awswire.Credential{AccessKeyID: "ASIA" + strings.ToUpper(secret(8)), SecretAccessKey: secret(20), SessionToken: secret(32)},
		arn:     "arn:aws:sts::" + parts[1] + ":assumed-role/" + parts[2] + "/" + *name,
		roleID:  "AROA" + strings.ToUpper(secret(8)) + ":" + *name,
		expires: s.cfg.Clock.Now().UTC().Add(life).Truncate(time.Second),
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions[made.cred.AccessKeyID] = made
	return &types.Credentials{
		AccessKeyId: &made.cred.AccessKeyID, SecretAccessKey: &made.cred.SecretAccessKey, SessionToken: &made.cred.SessionToken, Expiration: &made.expires,
	}, &types.AssumedRoleUser{Arn: &made.arn, AssumedRoleId: &made.roleID}, nil
}

// secret returns n random bytes in hexadecimal. Credentials are never drawn from the seeded source: a seed is not a secret.
func secret(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return hex.EncodeToString(b)
}
