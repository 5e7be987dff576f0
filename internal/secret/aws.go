// Package secret reads values from the secret stores of clouds: what an agent
// needs before it can begin, its own configuration above all.
package secret

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/smithy-go"

	"github.com/penstock-cd/penstock/internal/deploy"
)

// AWS reads SSM parameters and Secrets Manager secrets. The zero value uses the
// machine's own configuration and credentials (environment, profile, task role).
type AWS struct {
	// Load replaces the loading of the machine's configuration, for tests and for a local cloud.
	Load func(context.Context) (aws.Config, error)

	once sync.Once
	cfg  aws.Config
	err  error
}

func (a *AWS) config(ctx context.Context) (aws.Config, error) {
	a.once.Do(func() {
		load := a.Load
		if load == nil {
			load = func(ctx context.Context) (aws.Config, error) { return config.LoadDefaultConfig(ctx) }
		}
		a.cfg, a.err = load(ctx)
	})
	return a.cfg, a.err
}

// Parameter reads an SSM parameter by name or ARN; a SecureString is decrypted.
func (a *AWS) Parameter(ctx context.Context, name string) ([]byte, error) {
	cfg, err := a.config(ctx)
	if err != nil {
		return nil, failed("SSM parameter", name, err)
	}
	out, err := ssm.NewFromConfig(cfg).GetParameter(ctx, &ssm.GetParameterInput{Name: &name, WithDecryption: aws.Bool(true)})
	if err != nil {
		return nil, failed("SSM parameter", name, err)
	}
	if out.Parameter == nil || aws.ToString(out.Parameter.Value) == "" {
		return nil, deploy.Errorf(deploy.CodeNotFound, "read SSM parameter %s: it is empty", name)
	}
	return []byte(*out.Parameter.Value), nil
}

// Secret reads the current version of a Secrets Manager secret by name or ARN.
func (a *AWS) Secret(ctx context.Context, id string) ([]byte, error) {
	cfg, err := a.config(ctx)
	if err != nil {
		return nil, failed("secret", id, err)
	}
	out, err := secretsmanager.NewFromConfig(cfg).GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &id})
	if err != nil {
		return nil, failed("secret", id, err)
	}
	if v := aws.ToString(out.SecretString); v != "" {
		return []byte(v), nil
	}
	if len(out.SecretBinary) > 0 {
		return out.SecretBinary, nil
	}
	return nil, deploy.Errorf(deploy.CodeNotFound, "read secret %s: it is empty", id)
}

// failed says what could not be read, in the cloud's own word, and what to do.
func failed(what, name string, err error) error {
	out := &deploy.Error{Code: deploy.CodeUnavailable, Object: name, Message: "read " + what, Err: err}
	var api smithy.APIError
	if !errors.As(err, &api) {
		return out
	}
	out.Err = fmt.Errorf("%s: %s", api.ErrorCode(), api.ErrorMessage())
	switch api.ErrorCode() {
	case "ParameterNotFound", "ParameterVersionNotFound", "ResourceNotFoundException":
		out.Code, out.Message = deploy.CodeNotFound, "read "+what+": there is none of this name in the account and region; check both"
	case "AccessDenied", "AccessDeniedException":
		out.Code, out.Message = deploy.CodeDenied, "read "+what+": allow ssm:GetParameter or secretsmanager:GetSecretValue (and kms:Decrypt) in the policy of the agent's role"
	case "ExpiredToken", "ExpiredTokenException", "UnrecognizedClientException", "InvalidClientTokenId":
		out.Code, out.Message = deploy.CodeUnauthorized, "read "+what+": the credentials are unknown or have expired; renew them"
	}
	return out
}
