package awsaccess

import (
	"time"

	"github.com/penstock-cd/penstock/internal/spec"
)

// Provider is the `config` of a platform provider on AWS in the agent's file. Endpoint and Settle (settleTime) are
// Penstock's own.
type Provider struct {
	Region, Profile, CredentialsFile, RoleARN, TokenFile string
	Endpoint                                             string
	Settle                                               time.Duration
}

// ProviderOf reads a provider's config. settle is how long a change of routes is given where the file says nothing.
func ProviderOf(n spec.Node, settle time.Duration) (Provider, error) {
	d := spec.NewDecoder()
	p := DecodeProvider(d, n, settle)
	_, err := d.Finish()
	return p, err
}

// DecodeProvider is ProviderOf with a decoder of the caller's.
func DecodeProvider(d *spec.Decoder, n spec.Node, settle time.Duration) Provider {
	o := d.Object(n.WithLenient())
	var p Provider
	o.String("region", &p.Region)
	o.String("profile", &p.Profile)
	o.String("credentialsFile", &p.CredentialsFile)
	o.String("roleARN", &p.RoleARN)
	o.String("tokenFile", &p.TokenFile)
	o.String("endpoint", &p.Endpoint)
	o.DurationOr("settleTime", &p.Settle, settle)
	if p.Settle < 0 {
		o.Fail("settleTime", "for example 30s", "must not be negative")
	}
	if (p.RoleARN == "") != (p.TokenFile == "") {
		o.Fail("roleARN", "give both, or neither", "roleARN and tokenFile work only together")
	}
	return p
}

// ProviderTexts says what the fields of a provider are for; settle is the sentence about settleTime.
func ProviderTexts(settle string) map[string]string {
	return map[string]string{
		"provider":                 "How this account and region are reached.",
		"provider.region":          "Region; without it the environment's.",
		"provider.profile":         "Profile of the shared credentials file.",
		"provider.credentialsFile": "Shared credentials file.",
		"provider.roleARN":         "Role to assume by web identity; together with tokenFile.",
		"provider.tokenFile":       "File with the web identity token; together with roleARN.",
		"provider.endpoint":        "One endpoint for all services instead of AWS; Penstock's own.",
		"provider.settleTime":      settle,
	}
}
