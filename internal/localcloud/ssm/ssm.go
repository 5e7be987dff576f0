// Package ssm is the parameter store of the local cloud: the part of AWS Systems Manager that programs read their configuration from. Rules are from the
// Systems Manager API Reference ("API").
package ssm

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsssm "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/schemas"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/penstock-cd/penstock/internal/localcloud/awserr"
	"github.com/penstock-cd/penstock/internal/localcloud/awswire"
	"github.com/penstock-cd/penstock/internal/localcloud/clock"
)

// Config is what the store needs.
type Config struct {
	Account, Region string
	Clock           clock.Clock
}

// SSM is a parameter store. It is safe for concurrent use.
type SSM struct {
	cfg Config

	mu     sync.Mutex
	params map[string]*parameter
}

type parameter struct {
	Name     string
	Versions []version // version n at index n-1
}

type version struct {
	Value    string
	Type     types.ParameterType
	DataType string
	At       time.Time
}

// New returns an empty store.
func New(cfg Config) *SSM { return &SSM{cfg: cfg, params: map[string]*parameter{}} }

// Service returns the operations for the wire.
func (s *SSM) Service() awswire.Service {
	return awswire.JSON("ssm", schemas.AmazonSSM, awswire.Op(s.GetParameter), awswire.Op(s.GetParameters), awswire.Op(s.GetParametersByPath),
		awswire.Op(s.PutParameter), awswire.Op(s.DeleteParameter))
}

// Save returns the state for the disk.
func (s *SSM) Save() ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return json.Marshal(s.params)
}

// Load replaces the state by what Save returned.
func (s *SSM) Load(body []byte) error {
	params := map[string]*parameter{}
	if err := json.Unmarshal(body, &params); err != nil {
		return fmt.Errorf("load ssm state: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.params = params
	return nil
}

// Value returns the newest value of a parameter, by name or ARN.
func (s *SSM) Value(ref string) (string, error) {
	out, err := s.GetParameter(context.Background(), &awsssm.GetParameterInput{Name: &ref, WithDecryption: aws.Bool(true)})
	if err != nil {
		return "", err
	}
	return aws.ToString(out.Parameter.Value), nil
}

func invalid(format string, args ...any) *awserr.Error {
	return awserr.New("ValidationException", format, args...)
}

// Limits (API, PutParameter): a standard parameter holds 4 KiB, an advanced one 8 KiB; a hierarchy has at most 15 levels.
const (
	maxStandard = 4 << 10
	maxAdvanced = 8 << 10
	maxLevels   = 15
)

func checkName(name string) error {
	if !regexp.MustCompile(`^/?[a-zA-Z0-9_.-]+(/[a-zA-Z0-9_.-]+)*$`).MatchString(name) || len(name) > 1011 {
		return invalid("Parameter name: can't be prefixed with \"ssm\" (case-insensitive) and can consist only of letters, digits and the symbols . _ - with / between the parts: %q", name)
	}
	first := strings.ToLower(strings.TrimPrefix(name, "/"))
	if strings.HasPrefix(first, "aws") || strings.HasPrefix(first, "ssm") {
		return awserr.New("AccessDeniedException", "No access to reserved parameter name: %s.", name)
	}
	if strings.Contains(name, "/") && !strings.HasPrefix(name, "/") {
		return invalid("Parameter name must be a fully qualified name.")
	}
	if strings.Count(name, "/") > maxLevels {
		return awserr.New("HierarchyLevelLimitExceededException", "A hierarchy can have a maximum of %d levels.", maxLevels)
	}
	return nil
}

// PutParameter adds a parameter or, with Overwrite, a version to one.
func (s *SSM) PutParameter(_ context.Context, in *awsssm.PutParameterInput) (*awsssm.PutParameterOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := aws.ToString(in.Name)
	if err := checkName(name); err != nil {
		return nil, err
	}
	p, overwrite := s.params[name], aws.ToBool(in.Overwrite)
	if p != nil && !overwrite {
		return nil, awserr.New("ParameterAlreadyExists", "The parameter already exists. To overwrite this value, set the overwrite option in the request to true.")
	}
	if overwrite && len(in.Tags) > 0 {
		return nil, invalid("Invalid request: tags and overwrite can't be used together.")
	}
	kind := in.Type
	if p != nil && kind == "" {
		kind = p.Versions[len(p.Versions)-1].Type
	}
	if err := checkValue(in, kind); err != nil {
		return nil, err
	}
	if p == nil {
		p = &parameter{Name: name}
		s.params[name] = p
	}
	dataType := aws.ToString(in.DataType)
	if dataType == "" {
		dataType = "text"
	}
	p.Versions = append(p.Versions, version{Value: aws.ToString(in.Value), Type: kind, DataType: dataType, At: s.cfg.Clock.Now().UTC()})
	return &awsssm.PutParameterOutput{Version: int64(len(p.Versions)), Tier: tier(in)}, nil
}

func tier(in *awsssm.PutParameterInput) types.ParameterTier {
	if in.Tier == types.ParameterTierAdvanced || len(aws.ToString(in.Value)) > maxStandard {
		return types.ParameterTierAdvanced
	}
	return types.ParameterTierStandard
}

func checkValue(in *awsssm.PutParameterInput, kind types.ParameterType) error {
	limit := maxStandard
	if in.Tier == types.ParameterTierAdvanced || in.Tier == types.ParameterTierIntelligentTiering {
		limit = maxAdvanced
	}
	switch {
	case kind == "":
		return invalid("A parameter type is required when you create a parameter.")
	case !slices.Contains(kind.Values(), kind):
		return awserr.New("UnsupportedParameterType", "The parameter type isn't supported: %s", kind)
	case aws.ToString(in.Value) == "":
		return invalid("Parameter value must not be empty.")
	case len(*in.Value) > limit:
		return invalid("Parameter value can't exceed %d characters in its tier.", limit)
	}
	if in.AllowedPattern != nil {
		pattern, err := regexp.Compile(*in.AllowedPattern)
		if err != nil {
			return awserr.New("InvalidAllowedPatternException", "The allowed pattern %q is not a regular expression.", *in.AllowedPattern)
		}
		if !pattern.MatchString(*in.Value) {
			return awserr.New("ParameterPatternMismatchException", "Parameter value, cannot be validated against allowedPattern: %s", *in.AllowedPattern)
		}
	}
	return nil
}

// find resolves a name, an ARN, and a version behind a colon (API, GetParameter.Name: "name:version"). It returns the selector as it was given.
func (s *SSM) find(ref string) (*parameter, int, string, error) {
	name := ref
	if strings.HasPrefix(ref, "arn:") {
		parts := strings.SplitN(ref, ":", 6)
		if len(parts) != 6 || parts[2] != "ssm" {
			return nil, 0, "", invalid("Invalid parameter ARN %q.", ref)
		}
		name = strings.TrimPrefix(parts[5], "parameter")
	}
	name, selector, selected := strings.Cut(name, ":")
	p := s.params[name]
	if p == nil && strings.HasPrefix(ref, "arn:") {
		p = s.params[strings.TrimPrefix(name, "/")] // the ARN of "x" is …:parameter/x, that of "/x" too
	}
	if p == nil {
		return nil, 0, "", awserr.New("ParameterNotFound", "")
	}
	if !selected {
		return p, len(p.Versions), "", nil
	}
	n, err := strconv.Atoi(selector)
	if err != nil || n < 1 || n > len(p.Versions) {
		return nil, 0, "", awserr.New("ParameterVersionNotFound", "Systems Manager could not find version %s of %s.", selector, name)
	}
	return p, n, ":" + selector, nil
}

func (s *SSM) view(p *parameter, n int, selector string, decrypt *bool) types.Parameter {
	v := p.Versions[n-1]
	value := v.Value
	if v.Type == types.ParameterTypeSecureString && !aws.ToBool(decrypt) {
		value = base64.StdEncoding.EncodeToString([]byte("ciphertext of " + p.Name)) // unreadable without WithDecryption, as with AWS
	}
	out := types.Parameter{
		Name: aws.String(p.Name), Type: v.Type, Value: aws.String(value), Version: int64(n), LastModifiedDate: aws.Time(v.At), DataType: aws.String(v.DataType),
		ARN: aws.String("arn:aws:ssm:" + s.cfg.Region + ":" + s.cfg.Account + ":parameter/" + strings.TrimPrefix(p.Name, "/")),
	}
	if selector != "" {
		out.Selector = &selector
	}
	return out
}

// GetParameter returns one parameter.
func (s *SSM) GetParameter(_ context.Context, in *awsssm.GetParameterInput) (*awsssm.GetParameterOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, n, selector, err := s.find(aws.ToString(in.Name))
	if err != nil {
		return nil, err
	}
	out := s.view(p, n, selector, in.WithDecryption)
	return &awsssm.GetParameterOutput{Parameter: &out}, nil
}

// GetParameters returns up to ten parameters; what does not exist is listed as invalid.
func (s *SSM) GetParameters(_ context.Context, in *awsssm.GetParametersInput) (*awsssm.GetParametersOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(in.Names) < 1 || len(in.Names) > 10 {
		return nil, invalid("1 validation error detected: Value at 'names' failed to satisfy constraint: Member must have length between 1 and 10")
	}
	out := &awsssm.GetParametersOutput{Parameters: []types.Parameter{}, InvalidParameters: []string{}}
	for _, name := range in.Names {
		p, n, selector, err := s.find(name)
		if err != nil {
			out.InvalidParameters = append(out.InvalidParameters, name)
			continue
		}
		out.Parameters = append(out.Parameters, s.view(p, n, selector, in.WithDecryption))
	}
	return out, nil
}

// GetParametersByPath returns the parameters below a path, ten at most per page.
func (s *SSM) GetParametersByPath(_ context.Context, in *awsssm.GetParametersByPathInput) (*awsssm.GetParametersByPathOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	path, size := aws.ToString(in.Path), 10
	if !strings.HasPrefix(path, "/") {
		return nil, invalid("The parameter doesn't meet the parameter name requirements. The parameter name must begin with a forward slash \"/\".")
	}
	if in.MaxResults != nil {
		if size = int(*in.MaxResults); size < 1 || size > 10 {
			return nil, invalid("1 validation error detected: Value at 'maxResults' failed to satisfy constraint: Member must have value between 1 and 10")
		}
	}
	after := ""
	if in.NextToken != nil {
		raw, err := base64.RawURLEncoding.DecodeString(*in.NextToken)
		if err != nil {
			return nil, awserr.New("InvalidNextToken", "The specified token isn't valid.")
		}
		after = string(raw)
	}
	found := s.below(strings.TrimSuffix(path, "/")+"/", aws.ToBool(in.Recursive), after)
	out := &awsssm.GetParametersByPathOutput{Parameters: []types.Parameter{}}
	for i, p := range found {
		if i == size {
			out.NextToken = aws.String(base64.RawURLEncoding.EncodeToString([]byte(found[i-1].Name)))
			break
		}
		out.Parameters = append(out.Parameters, s.view(p, len(p.Versions), "", in.WithDecryption))
	}
	return out, nil
}

func (s *SSM) below(prefix string, recursive bool, after string) []*parameter {
	var found []*parameter
	for name, p := range s.params {
		rest, ok := strings.CutPrefix(name, prefix)
		if ok && name > after && (recursive || !strings.Contains(rest, "/")) {
			found = append(found, p)
		}
	}
	slices.SortFunc(found, func(a, b *parameter) int { return cmp.Compare(a.Name, b.Name) })
	return found
}

// DeleteParameter removes a parameter with all its versions.
func (s *SSM) DeleteParameter(_ context.Context, in *awsssm.DeleteParameterInput) (*awsssm.DeleteParameterOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, _, _, err := s.find(aws.ToString(in.Name))
	if err != nil {
		return nil, err
	}
	delete(s.params, p.Name)
	return &awsssm.DeleteParameterOutput{}, nil
}
