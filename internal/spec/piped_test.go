package spec

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

const pipedHead = apiHead + "kind: Piped\nspec:\n  projectID: p\n  pipedID: a\n  apiAddress: x:1\n"

// TestSecretsAreNeverPrinted formats an agent's configuration in every usual way, and the errors of a broken one.
func TestSecretsAreNeverPrinted(t *testing.T) {
	text := pipedHead + `  pipedKeyData: aHVzaC0x
  git: {password: aHVzaC0y}
  chartRepositories: [{name: a, address: b, password: hush-3}]
  notifications: {receivers: [{name: r, slack: {hookURL: "https://hush-4"}}, {webhook: {url: u, signatureValue: hush-5}}]}
  analysisProviders: [{name: d, type: DATADOG, config: {apiKeyData: aHVzaC02, applicationKeyFile: f}}]
  secretManagement: {type: KEY_PAIR, config: {privateKeyData: aHVzaC03, publicKeyFile: f}}
`
	p, _, err := ReadPiped("piped.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if p.PipedKeyData.Reveal() != "hush-1" || p.Git.Password.Reveal() != "hush-2" || p.SecretManagement.PrivateKeyData.Reveal() != "hush-7" {
		t.Error("a secret is not decoded")
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "%v %+v %#v %s %q", p.Git, p.Git, p.Git, p.PipedKeyData, p.PipedKeyData)
	fmt.Fprintf(&out, "%v %+v %v", *p, *p, p.Notifications.Receivers[0].Slack)
	if err := json.NewEncoder(&out).Encode(p.Git); err != nil {
		t.Fatal(err)
	}
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "git", p.Git, "key", p.PipedKeyData)
	_, _, err = ReadPiped("piped.yaml", []byte(pipedHead+"  pipedKeyData: [hush-8]\n  git: {password: hush 9!, sshKeyData: hush-10}\n  chartRepositories: [{password: [hush-11]}]\n"))
	fmt.Fprint(&out, err)
	if i := strings.Index(out.String(), "hush"); i >= 0 {
		t.Errorf("a secret is printed: %s", out.String()[max(0, i-80):i+20])
	}
}

func TestProviderIsTheFirstWithNameAndType(t *testing.T) {
	p, _, err := ReadPiped("piped.yaml", []byte(pipedHead+`  pipedKeyFile: /key
  cloudProviders: [{name: a, type: ECS, config: {region: third}}]
  platformProviders: [{name: a, type: LAMBDA, config: {region: first}}, {name: a, type: ECS, config: {region: second, endpoint: x}}]
  plugins: [{name: ecs, deployTargets: [{name: b, config: {region: fourth}}]}]
`))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range [][3]string{{"ECS", "a", "second"}, {"LAMBDA", "a", "first"}, {"ECS", "b", "fourth"}} {
		if got, ok := p.Provider(c[0], c[1]); !ok || got.Config.Get("region").Text() != c[2] || !got.Config.Lenient() {
			t.Errorf("%v: %v", c, got.Config.Value())
		}
	}
	if _, ok := p.Provider("ECS", "c"); ok {
		t.Error("an unknown provider is found")
	}
}

func TestPipedIsNilWhenItIsWrong(t *testing.T) {
	for _, text := range []string{"", "[", apiHead + "kind: Piped\n", apiHead + "kind: Other\nspec: {}\n"} {
		if p, _, err := ReadPiped("piped.yaml", []byte(text)); p != nil || err == nil {
			t.Errorf("%q is accepted", text)
		}
	}
}
