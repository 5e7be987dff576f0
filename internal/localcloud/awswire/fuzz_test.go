package awswire

import (
	"bytes"
	"net/url"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
)

// FuzzForm holds that any form is decoded into the SDK's types or refused.
func FuzzForm(f *testing.F) {
	for _, s := range []string{
		"Action=CreateRule&Priority=10&Actions.member.1.Type=forward&Actions.member.1.ForwardConfig.TargetGroups.member.1.Weight=80",
		"Conditions.member.1.Field=path-pattern&Conditions.member.1.Values.member.1=/a", "Priority=x", "Actions=1", "Actions.member.99999999999.Type=x", "Actions.member.-1=", "a.a.a.a.a.a.a.a",
		"Tags.entry.1.key=a", "HealthCheckEnabled=maybe", "Matcher.HttpCode=200", "Actions.member.1.member.1", "=&==&.=.",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, form string) {
		values, err := url.ParseQuery(form)
		if err != nil {
			return
		}
		for _, into := range []any{&elb.CreateRuleInput{}, &elb.ModifyListenerInput{}, &elb.CreateTargetGroupInput{}, &elb.DescribeTargetHealthInput{}, &elb.AddTagsInput{}} {
			if err := decodeForm(values, into); err != nil && err.Error() == "" {
				t.Error("refused without a word")
			}
		}
	})
}

// FuzzJSON holds that a body is refused or read so that it is written and read again alike.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{
		`{"cluster":"c","service":"s","taskDefinition":"t:1","scale":{"unit":"PERCENT","value":30.5},"loadBalancers":[{"targetGroupArn":"a","containerPort":80}]}`,
		`{"family":"f","containerDefinitions":[{"name":"a","environment":[{"name":"n","value":"v"}],"dockerLabels":{"a":"b"}}]}`,
		`{}`, ``, `null`, `[]`, `{"scale":null}`, `{"containerDefinitions":[null]}`, `{"cpu":1}`, `{"desiredCount":1e99}`, `{"tags":[{}]}`, `{"a":`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		_ = DecodeJSON(body, &ecs.RegisterTaskDefinitionInput{})
		_ = DecodeJSON(body, &ecs.CreateServiceInput{})
		var in, back ecs.CreateTaskSetInput
		if DecodeJSON(body, &in) != nil {
			return
		}
		written, err := EncodeJSON(&in)
		if err != nil {
			return
		}
		if err := DecodeJSON(written, &back); err != nil {
			t.Fatalf("%s was written and is not read: %v", written, err)
		}
		if twice, err := EncodeJSON(&back); err != nil || !bytes.Equal(twice, written) {
			t.Errorf("%s became %s: %v", written, twice, err)
		}
	})
}

// FuzzAuthorization holds that a header is complete or refused.
func FuzzAuthorization(f *testing.F) {
	f.Add("AWS4-HMAC-SHA256 Credential=AKID/20260101/us-east-1/ecs/aws4_request, SignedHeaders=host;x-amz-date, Signature=00")
	f.Add("AWS4-HMAC-SHA256 Credential=////aws4_request,SignedHeaders=,Signature=")
	f.Add("Bearer x")
	f.Add("AWS4-HMAC-SHA256 ,,,=")
	f.Fuzz(func(t *testing.T, header string) {
		a, ok := parseAuthorization(header)
		if ok && (a.keyID == "" || a.signature == "" || len(a.signed) == 0) {
			t.Errorf("%q passes as %+v", header, a)
		}
	})
}
