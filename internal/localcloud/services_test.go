package localcloud

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	smtypes "github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// inBubble is inWorld without preparing anything.
func inBubble(t *testing.T, o worldOptions, f func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := openWorld(t, o)
		defer w.close()
		f(w)
	})
}

// storeSecrets puts one secret and returns its ARN.
func (w *world) storeSecrets() string {
	w.t.Helper()
	client := secretsmanager.NewFromConfig(w.cloud.AWSConfig())
	out := got(client.CreateSecret(w.ctx, &secretsmanager.CreateSecretInput{Name: aws.String("db/password"), SecretString: aws.String("hush")}))(w.t)
	return *out.ARN
}

func TestParameters(t *testing.T) {
	inBubble(t, worldOptions{}, func(w *world) {
		client := ssm.NewFromConfig(w.cloud.AWSConfig())
		put := func(name, value string, kind ssmtypes.ParameterType, overwrite bool) (*ssm.PutParameterOutput, error) {
			return client.PutParameter(w.ctx, &ssm.PutParameterInput{Name: &name, Value: &value, Type: kind, Overwrite: &overwrite})
		}
		got(put("/app/config", "one", ssmtypes.ParameterTypeString, false))(t)
		_, err := put("/app/config", "two", ssmtypes.ParameterTypeString, false)
		var exists *ssmtypes.ParameterAlreadyExists
		if !errors.As(err, &exists) {
			t.Errorf("second put: %v", err)
		}
		if out := got(put("/app/config", "two", "", true))(t); out.Version != 2 {
			t.Errorf("version %d", out.Version)
		}
		got(put("/app/deep/key", "s3cret", ssmtypes.ParameterTypeSecureString, false))(t)
		get := func(name string, decrypt bool) string {
			return *got(client.GetParameter(w.ctx, &ssm.GetParameterInput{Name: &name, WithDecryption: &decrypt}))(t).Parameter.Value
		}
		if get("/app/config", false) != "two" || get("/app/config:1", false) != "one" || get("arn:aws:ssm:us-east-1:123456789012:parameter/app/config", false) != "two" {
			t.Error("a parameter has the wrong value")
		}
		if get("/app/deep/key", true) != "s3cret" || get("/app/deep/key", false) == "s3cret" {
			t.Error("a SecureString is readable only with decryption")
		}
		_, err = client.GetParameter(w.ctx, &ssm.GetParameterInput{Name: aws.String("/none")})
		var missing *ssmtypes.ParameterNotFound
		if !errors.As(err, &missing) {
			t.Errorf("unknown parameter: %v", err)
		}
		many := got(client.GetParameters(w.ctx, &ssm.GetParametersInput{Names: []string{"/app/config", "/none"}}))(t)
		if len(many.Parameters) != 1 || len(many.InvalidParameters) != 1 {
			t.Errorf("GetParameters: %+v", many)
		}
		count := func(path string, recursive bool) (n int) {
			pages := ssm.NewGetParametersByPathPaginator(client, &ssm.GetParametersByPathInput{Path: &path, Recursive: &recursive, MaxResults: aws.Int32(1)})
			for pages.HasMorePages() {
				n += len(got(pages.NextPage(w.ctx))(t).Parameters)
			}
			return n
		}
		if flat, deep := count("/app", false), count("/app", true); flat != 1 || deep != 2 {
			t.Errorf("by path: %d flat, %d recursive", flat, deep)
		}
		got(client.DeleteParameter(w.ctx, &ssm.DeleteParameterInput{Name: aws.String("/app/config")}))(t)
		_, err = client.DeleteParameter(w.ctx, &ssm.DeleteParameterInput{Name: aws.String("/app/config")})
		if !errors.As(err, &missing) {
			t.Errorf("second delete: %v", err)
		}
		_, err = put("aws/x", "v", ssmtypes.ParameterTypeString, false)
		refused(t, err, "AccessDeniedException", "reserved")
		_, err = put("/big", strings.Repeat("x", 4097), ssmtypes.ParameterTypeString, false)
		refused(t, err, "ValidationException", "4096")
	})
}

func TestSecrets(t *testing.T) {
	inBubble(t, worldOptions{}, func(w *world) {
		client := secretsmanager.NewFromConfig(w.cloud.AWSConfig())
		arn := w.storeSecrets()
		get := func(in *secretsmanager.GetSecretValueInput) (string, error) {
			out, err := client.GetSecretValue(w.ctx, in)
			if err != nil {
				return "", err
			}
			return aws.ToString(out.SecretString), nil
		}
		for _, id := range []string{arn, "db/password", arn[:len(arn)-7]} {
			if value := got(get(&secretsmanager.GetSecretValueInput{SecretId: &id}))(t); value != "hush" {
				t.Errorf("%s has value %q", id, value)
			}
		}
		_, err := client.CreateSecret(w.ctx, &secretsmanager.CreateSecretInput{Name: aws.String("db/password"), SecretString: aws.String("x")})
		var exists *smtypes.ResourceExistsException
		if !errors.As(err, &exists) {
			t.Errorf("second create: %v", err)
		}
		put := &secretsmanager.PutSecretValueInput{SecretId: &arn, SecretString: aws.String("new"), ClientRequestToken: aws.String(strings.Repeat("t", 32))}
		got(client.PutSecretValue(w.ctx, put))(t)
		got(client.PutSecretValue(w.ctx, put))(t) // a repeat changes nothing
		put.SecretString = aws.String("other")
		if _, err = client.PutSecretValue(w.ctx, put); !errors.As(err, &exists) {
			t.Errorf("same token, other content: %v", err)
		}
		previous := got(get(&secretsmanager.GetSecretValueInput{SecretId: &arn, VersionStage: aws.String("AWSPREVIOUS")}))(t)
		current := got(get(&secretsmanager.GetSecretValueInput{SecretId: &arn}))(t)
		if previous != "hush" || current != "new" {
			t.Errorf("previous %q, current %q", previous, current)
		}
		if out := got(client.DescribeSecret(w.ctx, &secretsmanager.DescribeSecretInput{SecretId: &arn}))(t); len(out.VersionIdsToStages) != 2 {
			t.Errorf("versions %v", out.VersionIdsToStages)
		}
		got(client.DeleteSecret(w.ctx, &secretsmanager.DeleteSecretInput{SecretId: &arn, RecoveryWindowInDays: aws.Int64(7)}))(t)
		_, err = get(&secretsmanager.GetSecretValueInput{SecretId: &arn})
		refused(t, err, "InvalidRequestException", "marked for deletion")
		time.Sleep(7 * 24 * time.Hour)
		_, err = get(&secretsmanager.GetSecretValueInput{SecretId: &arn})
		var missing *smtypes.ResourceNotFoundException
		if !errors.As(err, &missing) {
			t.Errorf("after the recovery window: %v", err)
		}
	})
}

func TestSecurityTokens(t *testing.T) {
	inBubble(t, worldOptions{}, func(w *world) {
		client := sts.NewFromConfig(w.cloud.AWSConfig())
		me := got(client.GetCallerIdentity(w.ctx, &sts.GetCallerIdentityInput{}))(t)
		if *me.Account != "123456789012" || !strings.HasPrefix(*me.Arn, "arn:aws:iam::123456789012:user/") {
			t.Errorf("caller %s in %s", *me.Arn, *me.Account)
		}
		out := got(client.AssumeRole(w.ctx, &sts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::123456789012:role/deploy"), RoleSessionName: aws.String("me"), DurationSeconds: aws.Int32(900)}))(t)
		cfg := w.cloud.AWSConfig()
		cfg.RetryMaxAttempts = 1
		cfg.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			c := out.Credentials
			return aws.Credentials{AccessKeyID: *c.AccessKeyId, SecretAccessKey: *c.SecretAccessKey, SessionToken: *c.SessionToken}, nil
		})
		role := got(sts.NewFromConfig(cfg).GetCallerIdentity(w.ctx, &sts.GetCallerIdentityInput{}))(t)
		if *role.Arn != "arn:aws:sts::123456789012:assumed-role/deploy/me" {
			t.Errorf("role caller %s", *role.Arn)
		}
		got(awsecs.NewFromConfig(cfg).ListClusters(w.ctx, &awsecs.ListClustersInput{}))(t)
		time.Sleep(15 * time.Minute)
		_, err := awsecs.NewFromConfig(cfg).ListClusters(w.ctx, &awsecs.ListClustersInput{})
		refused(t, err, "UnrecognizedClientException", "")
		_, err = client.AssumeRole(w.ctx, &sts.AssumeRoleInput{RoleArn: aws.String("role/deploy-to-something"), RoleSessionName: aws.String("me")})
		refused(t, err, "ValidationError", "")
		web := got(client.AssumeRoleWithWebIdentity(w.ctx, &sts.AssumeRoleWithWebIdentityInput{RoleArn: aws.String("arn:aws:iam::123456789012:role/web"), RoleSessionName: aws.String("me"), WebIdentityToken: aws.String("token")}))(t)
		if web.Credentials == nil {
			t.Error("no credentials for a web identity")
		}
	})
}

// A container's secrets come from the parameter store and the secret store; what is missing ends the task before it starts.
func TestContainerSecrets(t *testing.T) {
	inWorld(t, worldOptions{}, func(w *world) {
		arn := w.storeSecrets()
		w.service(1)
		in := definition("web", "demo:v1")
		in.ContainerDefinitions[0].Secrets = []types.Secret{{Name: aws.String("PASSWORD"), ValueFrom: &arn}}
		good := got(w.ecs.RegisterTaskDefinition(w.ctx, in))(t)
		w.steady(w.taskSet(*good.TaskDefinition.TaskDefinitionArn, w.blue, 100).Id)
		in.ContainerDefinitions[0].Secrets[0].ValueFrom = aws.String("/none")
		bad := got(w.ecs.RegisterTaskDefinition(w.ctx, in))(t)
		run := got(w.ecs.RunTask(w.ctx, &awsecs.RunTaskInput{
			Cluster: aws.String("demo"), TaskDefinition: bad.TaskDefinition.TaskDefinitionArn,
			NetworkConfiguration: setInput("", "", 0).NetworkConfiguration,
		}))(t)
		time.Sleep(time.Second)
		task := w.describeTask(run.Tasks[0].TaskArn)
		if task.StopCode != types.TaskStopCodeTaskFailedToStart || !strings.HasPrefix(*task.StoppedReason, "ResourceInitializationError") {
			t.Errorf("ended with %s %q", task.StopCode, aws.ToString(task.StoppedReason))
		}
	})
}
