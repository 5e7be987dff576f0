// Package secrets is the AWS Secrets Manager of the local cloud. Rules are from the AWS Secrets Manager API Reference ("API").
package secrets

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sm "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/schemas"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"github.com/penstock-cd/penstock/internal/localcloud/awserr"
	"github.com/penstock-cd/penstock/internal/localcloud/awswire"
	"github.com/penstock-cd/penstock/internal/localcloud/clock"
)

// Config is what the service needs.
type Config struct {
	Account, Region string
	// Seed fixes the six letters at the end of ARNs and the ids of versions.
	Seed  uint64
	Clock clock.Clock
}

// Secrets holds secrets and their versions. It is safe for concurrent use.
type Secrets struct {
	cfg Config

	mu      sync.Mutex
	rnd     *rand.Rand
	secrets map[string]*secret // by name
}

type secret struct {
	Name, ARN   string
	Description *string
	KmsKeyID    *string
	Tags        []types.Tag
	Created     time.Time
	Changed     time.Time
	DeleteAt    *time.Time
	Versions    []*version
}

type version struct {
	ID      string
	String  *string
	Binary  []byte
	Stages  []string
	Created time.Time
}

const (
	current  = "AWSCURRENT"
	previous = "AWSPREVIOUS"
	maxBytes = 65536 // API, SecretString and SecretBinary
)

// New returns a service without secrets.
func New(cfg Config) *Secrets {
	return &Secrets{cfg: cfg, rnd: rand.New(rand.NewPCG(cfg.Seed, 0x5ec)), secrets: map[string]*secret{}}
}

// Service returns the operations for the wire.
func (s *Secrets) Service() awswire.Service {
	return awswire.JSON("secretsmanager", schemas.Secretsmanager, awswire.Op(s.GetSecretValue), awswire.Op(s.CreateSecret), awswire.Op(s.PutSecretValue),
		awswire.Op(s.DescribeSecret), awswire.Op(s.DeleteSecret))
}

// Save returns the state for the disk.
func (s *Secrets) Save() ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return json.Marshal(s.secrets)
}

// Load replaces the state by what Save returned.
func (s *Secrets) Load(body []byte) error {
	all := map[string]*secret{}
	if err := json.Unmarshal(body, &all); err != nil {
		return fmt.Errorf("load secrets: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.secrets = all
	return nil
}

// Value returns the current string of a secret, by name or ARN.
func (s *Secrets) Value(ref string) (string, error) {
	out, err := s.GetSecretValue(context.Background(), &sm.GetSecretValueInput{SecretId: &ref})
	if err != nil {
		return "", err
	}
	return aws.ToString(out.SecretString), nil
}

func notFound(what string) *awserr.Error {
	return awserr.New("ResourceNotFoundException", "Secrets Manager can't find the specified secret%s.", what)
}

func invalidParameter(format string, args ...any) *awserr.Error {
	return awserr.New("InvalidParameterException", format, args...)
}

func invalidRequest(format string, args ...any) *awserr.Error {
	return awserr.New("InvalidRequestException", format, args...)
}

// find resolves a name, an ARN or an ARN without its six random letters (API, SecretId: "partial ARN").
func (s *Secrets) find(ref *string) (*secret, error) {
	name := aws.ToString(ref)
	s.purge()
	if found := s.secrets[name]; found != nil {
		return found, nil
	}
	for _, found := range s.secrets {
		if found.ARN == name || found.ARN[:len(found.ARN)-7] == name {
			return found, nil
		}
	}
	return nil, notFound("")
}

// usable is find, refusing what is marked for deletion.
func (s *Secrets) usable(ref *string) (*secret, error) {
	found, err := s.find(ref)
	if err == nil && found.DeleteAt != nil {
		return nil, invalidRequest("You can't perform this operation on the secret because it was marked for deletion.")
	}
	return found, err
}

// purge forgets secrets whose recovery window is over.
func (s *Secrets) purge() {
	now := s.cfg.Clock.Now()
	for name, found := range s.secrets {
		if found.DeleteAt != nil && !now.Before(*found.DeleteAt) {
			delete(s.secrets, name)
		}
	}
}

func (s *Secrets) letters(n int) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[s.rnd.IntN(len(alphabet))]
	}
	return string(b)
}

// versionID is the client's token, or a new UUID (API, ClientRequestToken: "becomes the VersionId").
func (s *Secrets) versionID(token *string) (string, error) {
	if token == nil {
		a, b := s.rnd.Uint64(), s.rnd.Uint64()
		return fmt.Sprintf("%08x-%04x-4%03x-%04x-%012x", a>>32, a>>16&0xffff, a&0xfff, b>>48|0x8000, b&0xffffffffffff), nil
	}
	if n := len(*token); n < 32 || n > 64 {
		return "", invalidParameter("ClientRequestToken must be 32-64 characters long.")
	}
	return *token, nil
}

func checkContent(text *string, blob []byte, required bool) error {
	switch {
	case text != nil && blob != nil:
		return invalidParameter("You can't specify both a binary secret value and a string secret value in the same secret.")
	case required && text == nil && blob == nil:
		return invalidRequest("You must provide either SecretString or SecretBinary.")
	case len(aws.ToString(text)) > maxBytes || len(blob) > maxBytes:
		return invalidParameter("The secret value is larger than %d bytes.", maxBytes)
	}
	return nil
}

// CreateSecret makes a secret, with its first version when content is given.
func (s *Secrets) CreateSecret(_ context.Context, in *sm.CreateSecretInput) (*sm.CreateSecretOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := aws.ToString(in.Name)
	if !regexp.MustCompile(`^[a-zA-Z0-9/_+=.@-]{1,512}$`).MatchString(name) {
		return nil, invalidParameter("Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!")
	}
	if err := checkContent(in.SecretString, in.SecretBinary, false); err != nil {
		return nil, err
	}
	s.purge()
	if old := s.secrets[name]; old != nil {
		return repeatCreate(old, in)
	}
	id, err := s.versionID(in.ClientRequestToken)
	if err != nil {
		return nil, err
	}
	now := s.cfg.Clock.Now().UTC()
	made := &secret{
		Name: name, ARN: "arn:aws:secretsmanager:" + s.cfg.Region + ":" + s.cfg.Account + ":secret:" + name + "-" + s.letters(6),
		Description: in.Description, KmsKeyID: in.KmsKeyId, Tags: in.Tags, Created: now, Changed: now,
	}
	s.secrets[name] = made
	out := &sm.CreateSecretOutput{ARN: &made.ARN, Name: &made.Name}
	if in.SecretString != nil || in.SecretBinary != nil {
		made.Versions = append(made.Versions, &version{ID: id, String: in.SecretString, Binary: in.SecretBinary, Stages: []string{current}, Created: now})
		out.VersionId = &id
	}
	return out, nil
}

// repeatCreate: the same token and content again is answered as the first time (API, CreateSecret.ClientRequestToken).
func repeatCreate(old *secret, in *sm.CreateSecretInput) (*sm.CreateSecretOutput, error) {
	if old.DeleteAt != nil {
		return nil, invalidRequest("You can't create this secret because a secret with this name is already scheduled for deletion.")
	}
	for _, v := range old.Versions {
		if in.ClientRequestToken != nil && v.ID == *in.ClientRequestToken && v.equal(in.SecretString, in.SecretBinary) {
			return &sm.CreateSecretOutput{ARN: &old.ARN, Name: &old.Name, VersionId: &v.ID}, nil
		}
	}
	return nil, awserr.New("ResourceExistsException", "The operation failed because the secret %s already exists.", old.Name)
}

func (v *version) equal(text *string, blob []byte) bool {
	return aws.ToString(v.String) == aws.ToString(text) && (v.String == nil) == (text == nil) && bytes.Equal(v.Binary, blob)
}

// PutSecretValue adds a version, which becomes AWSCURRENT unless other stages are named.
func (s *Secrets) PutSecretValue(_ context.Context, in *sm.PutSecretValueInput) (*sm.PutSecretValueOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, err := s.usable(in.SecretId)
	if err != nil {
		return nil, err
	}
	if err := checkContent(in.SecretString, in.SecretBinary, true); err != nil {
		return nil, err
	}
	id, err := s.versionID(in.ClientRequestToken)
	if err != nil {
		return nil, err
	}
	stages := in.VersionStages
	if len(stages) == 0 {
		stages = []string{current}
	}
	for _, v := range found.Versions {
		if v.ID != id {
			continue
		}
		if !v.equal(in.SecretString, in.SecretBinary) {
			return nil, awserr.New("ResourceExistsException", "The operation failed because the version %s already exists with other content.", id)
		}
		return &sm.PutSecretValueOutput{ARN: &found.ARN, Name: &found.Name, VersionId: &v.ID, VersionStages: v.Stages}, nil
	}
	now := s.cfg.Clock.Now().UTC()
	v := &version{ID: id, String: in.SecretString, Binary: in.SecretBinary, Created: now}
	found.Versions, found.Changed = append(found.Versions, v), now
	for _, stage := range stages {
		found.move(stage, v)
	}
	return &sm.PutSecretValueOutput{ARN: &found.ARN, Name: &found.Name, VersionId: &v.ID, VersionStages: v.Stages}, nil
}

// move gives a stage to one version; the version that loses AWSCURRENT becomes AWSPREVIOUS (API, PutSecretValue).
func (f *secret) move(stage string, to *version) {
	for _, v := range f.Versions {
		kept := []string{}
		had := false
		for _, have := range v.Stages {
			had = had || have == stage
			if have != stage && !(stage == current && have == previous) {
				kept = append(kept, have)
			}
		}
		if had && stage == current && v != to {
			kept = append(kept, previous)
		}
		v.Stages = kept
	}
	to.Stages = append(to.Stages, stage)
}

// GetSecretValue returns a version's content, AWSCURRENT by default.
func (s *Secrets) GetSecretValue(_ context.Context, in *sm.GetSecretValueInput) (*sm.GetSecretValueOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, err := s.usable(in.SecretId)
	if err != nil {
		return nil, err
	}
	stage := aws.ToString(in.VersionStage)
	if stage == "" && in.VersionId == nil {
		stage = current
	}
	for _, v := range found.Versions {
		if (in.VersionId == nil || v.ID == *in.VersionId) && (stage == "" || slices.Contains(v.Stages, stage)) {
			return &sm.GetSecretValueOutput{
				ARN: &found.ARN, Name: &found.Name, VersionId: &v.ID, VersionStages: v.Stages, SecretString: v.String, SecretBinary: v.Binary, CreatedDate: &v.Created,
			}, nil
		}
	}
	if in.VersionId != nil {
		return nil, notFound(" value for VersionId: " + *in.VersionId)
	}
	return nil, notFound(" value for staging label: " + stage)
}

// DescribeSecret returns everything about a secret but its content.
func (s *Secrets) DescribeSecret(_ context.Context, in *sm.DescribeSecretInput) (*sm.DescribeSecretOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, err := s.find(in.SecretId)
	if err != nil {
		return nil, err
	}
	out := &sm.DescribeSecretOutput{
		ARN: &found.ARN, Name: &found.Name, Description: found.Description, KmsKeyId: found.KmsKeyID, Tags: found.Tags, CreatedDate: aws.Time(found.Created),
		LastChangedDate: aws.Time(found.Changed), VersionIdsToStages: map[string][]string{},
	}
	if found.DeleteAt != nil {
		out.DeletedDate = found.DeleteAt
	}
	for _, v := range found.Versions {
		if len(v.Stages) > 0 {
			out.VersionIdsToStages[v.ID] = v.Stages
		}
	}
	return out, nil
}

// DeleteSecret marks a secret for deletion after 7 to 30 days (30 by default), or removes it at once when forced.
func (s *Secrets) DeleteSecret(_ context.Context, in *sm.DeleteSecretInput) (*sm.DeleteSecretOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	force := aws.ToBool(in.ForceDeleteWithoutRecovery)
	days := int64(30)
	if in.RecoveryWindowInDays != nil {
		days = *in.RecoveryWindowInDays
		if force || days < 7 || days > 30 {
			return nil, invalidParameter("RecoveryWindowInDays must be between 7 and 30 days and can't be used with ForceDeleteWithoutRecovery.")
		}
	}
	found, err := s.usable(in.SecretId)
	if err != nil {
		return nil, err
	}
	when := s.cfg.Clock.Now().UTC()
	if force {
		delete(s.secrets, found.Name)
	} else {
		when = when.AddDate(0, 0, int(days))
		found.DeleteAt = &when
	}
	return &sm.DeleteSecretOutput{ARN: &found.ARN, Name: &found.Name, DeletionDate: &when}, nil
}
