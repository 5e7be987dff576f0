package awswire

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/schemas"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/penstock-cd/penstock/internal/localcloud/awserr"
)

func listClusters(_ context.Context, in *ecs.ListClustersInput) (*ecs.ListClustersOutput, error) {
	if aws.ToInt32(in.MaxResults) > 100 {
		return nil, awserr.New("InvalidParameterException", "maxResults %d is more than 100", *in.MaxResults)
	}
	if aws.ToString(in.NextToken) == "boom" {
		return nil, errors.New("disk on fire")
	}
	return &ecs.ListClustersOutput{ClusterArns: []string{"arn:1"}}, nil
}

func testECS() Service {
	return JSON("ecs", schemas.AmazonEC2ContainerServiceV20141113, Op(listClusters))
}

func ecsClient(url, secret string) *ecs.Client {
	creds := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: testCredential.AccessKeyID, SecretAccessKey: secret}, nil
	})
	return ecs.New(ecs.Options{Region: "us-east-1", BaseEndpoint: aws.String(url), Credentials: creds, RetryMaxAttempts: 1})
}

func errorCode(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

func TestServerAnswersTheSDK(t *testing.T) {
	srv := testServer(nil, testECS())
	defer srv.Close()
	ctx := context.Background()
	out, err := ecsClient(srv.URL, "secret").ListClusters(ctx, &ecs.ListClustersInput{})
	if err != nil || len(out.ClusterArns) != 1 || out.ClusterArns[0] != "arn:1" {
		t.Fatalf("ListClusters = %+v, %v", out, err)
	}
	_, err = ecsClient(srv.URL, "secret").ListClusters(ctx, &ecs.ListClustersInput{MaxResults: aws.Int32(101)})
	var typed *ecstypes.InvalidParameterException
	if !errors.As(err, &typed) || typed.ErrorMessage() != "maxResults 101 is more than 100" {
		t.Errorf("error is %v, want the typed InvalidParameterException with its message", err)
	}
	_, err = ecsClient(srv.URL, "secret").ListClusters(ctx, &ecs.ListClustersInput{NextToken: aws.String("boom")})
	if errorCode(err) != "InternalFailure" || strings.Contains(err.Error(), "disk") {
		t.Errorf("error is %v, want InternalFailure without the cause", err)
	}
	_, err = ecsClient(srv.URL, "secret").ListServices(ctx, &ecs.ListServicesInput{})
	if errorCode(err) != "UnknownOperationException" {
		t.Errorf("unregistered operation: %v", err)
	}
	_, err = ecsClient(srv.URL, "wrong").ListClusters(ctx, &ecs.ListClustersInput{})
	if errorCode(err) != "InvalidSignatureException" {
		t.Errorf("wrong secret: %v", err)
	}
}

func TestQueryErrorsAreTyped(t *testing.T) {
	describe := func(context.Context, *elb.DescribeRulesInput) (*elb.DescribeRulesOutput, error) {
		return nil, awserr.New("ListenerNotFound", "listener <x> & co")
	}
	srv := testServer(nil, Query("elasticloadbalancing", "2015-12-01", "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/", Op(describe)))
	defer srv.Close()
	client := elb.New(elb.Options{Region: "us-east-1", BaseEndpoint: aws.String(srv.URL), Credentials: awsCredentials(), RetryMaxAttempts: 1})
	_, err := client.DescribeRules(context.Background(), &elb.DescribeRulesInput{})
	var typed *elbtypes.ListenerNotFoundException
	if !errors.As(err, &typed) || typed.ErrorMessage() != "listener <x> & co" {
		t.Errorf("error is %v, want the typed ListenerNotFoundException", err)
	}
	_, err = client.DescribeTags(context.Background(), &elb.DescribeTagsInput{ResourceArns: []string{"x"}})
	if errorCode(err) != "InvalidAction" {
		t.Errorf("unregistered operation: %v", err)
	}
}

func TestUnsignedOperationNeedsNoCredential(t *testing.T) {
	assume := func(context.Context, *sts.AssumeRoleWithWebIdentityInput) (*sts.AssumeRoleWithWebIdentityOutput, error) {
		return &sts.AssumeRoleWithWebIdentityOutput{Audience: aws.String("a")}, nil
	}
	srv := testServer(nil, Query("sts", "2011-06-15", "https://sts.amazonaws.com/doc/2011-06-15/", Op(assume).Unsigned()))
	defer srv.Close()
	client := sts.New(sts.Options{Region: "us-east-1", BaseEndpoint: aws.String(srv.URL), RetryMaxAttempts: 1})
	out, err := client.AssumeRoleWithWebIdentity(context.Background(), &sts.AssumeRoleWithWebIdentityInput{
		RoleArn: aws.String("arn:aws:iam::123456789012:role/r"), RoleSessionName: aws.String("s"), WebIdentityToken: aws.String("token"),
	})
	if err != nil || aws.ToString(out.Audience) != "a" {
		t.Errorf("= %+v, %v", out, err)
	}
}

func TestRefusals(t *testing.T) {
	srv := testServer(nil, testECS())
	defer srv.Close()
	target := "AmazonEC2ContainerServiceV20141113.ListClusters"
	for _, tc := range []struct {
		name, want string
		status     int
		edit       func(*http.Request)
	}{
		{"no signature", "MissingAuthenticationTokenException", 403, func(*http.Request) {}},
		{"browser origin", "AccessDeniedException", 403, func(r *http.Request) { r.Header.Set("Origin", "http://evil.example") }},
		{"foreign host", "AccessDeniedException", 403, func(r *http.Request) { r.Host = "evil.example" }},
		{"half a signature", "IncompleteSignatureException", 403, func(r *http.Request) { r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=x") }},
		{"not a post", "AccessDeniedException", 403, func(r *http.Request) { r.Method, r.Body, r.ContentLength = http.MethodGet, nil, 0 }},
		{"large body", "RequestEntityTooLargeException", 413, func(r *http.Request) {
			r.Body = io.NopCloser(bytes.NewReader(make([]byte, MaxBody+1)))
			r.ContentLength = MaxBody + 1
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			req, err := http.NewRequest(http.MethodPost, srv.URL, strings.NewReader("{}"))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("X-Amz-Target", target)
			tc.edit(req)
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, _ := io.ReadAll(resp.Body)
			if resp.StatusCode != tc.status || !strings.Contains(string(body), `"__type":"`+tc.want+`"`) {
				t.Errorf("= %d %s, want %d %s", resp.StatusCode, body, tc.status, tc.want)
			}
		})
	}
}

func TestOldSignatureIsRefused(t *testing.T) {
	var signed *http.Request
	var body []byte
	client := ecs.New(ecs.Options{
		Region: "us-east-1", BaseEndpoint: aws.String("http://127.0.0.1:1"), Credentials: awsCredentials(), RetryMaxAttempts: 1,
		HTTPClient: doFunc(func(r *http.Request) (*http.Response, error) {
			signed = r
			body, _ = io.ReadAll(r.Body)
			return nil, errors.New("captured")
		}),
	})
	_, _ = client.ListClusters(context.Background(), &ecs.ListClustersInput{})
	lookup := func(string) (Credential, bool) { return testCredential, true }
	if key, problem := verify(signed, body, time.Now(), lookup); problem != nil || key != testCredential.AccessKeyID {
		t.Fatalf("fresh request refused: %+v", problem)
	}
	if _, problem := verify(signed, body, time.Now().Add(16*time.Minute), lookup); problem == nil {
		t.Error("a request 16 minutes old was accepted")
	}
	if _, problem := verify(signed, append(body, ' '), time.Now(), lookup); problem == nil {
		t.Error("a changed body was accepted")
	}
	withToken := func(string) (Credential, bool) { c := testCredential; c.SessionToken = "t"; return c, true }
	if _, problem := verify(signed, body, time.Now(), withToken); problem == nil {
		t.Error("a temporary credential without its token was accepted")
	}
}

func TestInterceptorSeesCallsAndCanDropAnswers(t *testing.T) {
	var mu sync.Mutex
	var seen []string
	drop := func(ctx context.Context, call Call, next func(context.Context) (any, error)) (any, error) {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, call.Service+"."+call.Operation+" by "+call.AccessKeyID+"/"+Caller(ctx))
		if _, err := next(ctx); err != nil {
			return nil, err
		}
		return nil, ErrDrop
	}
	srv := testServer(drop, testECS())
	defer srv.Close()
	_, err := ecsClient(srv.URL, "secret").ListClusters(context.Background(), &ecs.ListClustersInput{})
	if err == nil || errorCode(err) != "" {
		t.Errorf("error is %v, want a broken connection", err)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(seen) != 1 || seen[0] != "ecs.ListClusters by AKIDTEST/AKIDTEST" {
		t.Errorf("interceptor saw %q", seen)
	}
}

// No input makes the decoders panic: they refuse or ignore.
func TestDecodersSurviveAnyInput(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		body := rapid.SliceOf(rapid.Byte()).Draw(t, "body")
		_ = newJSONCodec().decode(body, &ecs.CreateServiceInput{})
		key := rapid.StringMatching(`(Actions|Conditions)(\.(member|entry|1|2|0|x|Type|ForwardConfig|TargetGroups|Weight)){0,6}`).Draw(t, "key")
		_ = decodeForm(map[string][]string{key: {rapid.String().Draw(t, "value")}}, &elb.CreateRuleInput{})
	})
}

// Counts and flags are always in an answer, also when they are zero; what is not set is not.
func TestAnswersCarryZeros(t *testing.T) {
	body, err := newJSONCodec().encodeAnswer(&ecs.DescribeTaskSetsOutput{TaskSets: []ecstypes.TaskSet{{
		Id: aws.String("x"), RunningCount: 2, Scale: &ecstypes.Scale{Unit: ecstypes.ScaleUnitPercent},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"taskSets":[{"id":"x","runningCount":2,"scale":{"unit":"PERCENT","value":0},"computedDesiredCount":0,"pendingCount":0}]}`
	if diff := cmp.Diff(jsonValue(t, []byte(want)), jsonValue(t, body)); diff != "" {
		t.Error(diff)
	}
}
