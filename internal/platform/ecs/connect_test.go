package ecs

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/google/go-cmp/cmp"
)

// TestConnectComparesAsItWorks: defaults, orders and a namespace by its ARN are no drift; a changed alias and being off are.
func TestConnectComparesAsItWorks(t *testing.T) {
	service := func(port, discovery string, alias ...int32) ecstypes.ServiceConnectService {
		s := ecstypes.ServiceConnectService{PortName: aws.String(port), DiscoveryName: opt(discovery)}
		for _, p := range alias {
			s.ClientAliases = append(s.ClientAliases, ecstypes.ServiceConnectClientAlias{Port: aws.Int32(p)})
		}
		return s
	}
	config := func(namespace string, s ...ecstypes.ServiceConnectService) *ecstypes.ServiceConnectConfiguration {
		return &ecstypes.ServiceConnectConfiguration{Enabled: true, Namespace: opt(namespace), Services: s}
	}
	off := &ecstypes.ServiceConnectConfiguration{}
	for name, c := range map[string]struct {
		file, live *ecstypes.ServiceConnectConfiguration
		same       bool
	}{
		"the same":              {config("shops", service("a", "", 80)), config("shops", service("a", "", 80)), true},
		"defaults shown":        {config("", service("a", "", 80)), config("arn:aws:servicediscovery:eu-west-1:1:namespace/ns-1", service("a", "a", 80)), true},
		"another order":         {config("shops", service("a", "", 80, 81), service("b", "")), config("shops", service("b", ""), service("a", "", 81, 80)), true},
		"nothing in the file":   {nil, config("shops", service("a", "")), true},
		"off and never on":      {off, nil, true},
		"off and still on":      {off, config("shops"), false},
		"on and off":            {config("shops"), off, false},
		"another alias":         {config("shops", service("a", "", 80)), config("shops", service("a", "", 81)), false},
		"another namespace":     {config("shops"), config("others"), false},
		"a service that is new": {config("shops", service("a", "")), config("shops"), false},
	} {
		want, have := shapeView(setShape{Connect: c.file}), shapeView(setShape{Connect: c.live})
		connectDrift(c.file, want, have)
		if d := cmp.Diff(want, have); (d == "") != c.same {
			t.Errorf("%s: same is %v, difference %s", name, c.same, d)
		}
	}
}

// TestWhatTheECSControllerKnowsAndNobodyWritesIsSaid: no field of a service file is dropped without a word.
func TestWhatTheECSControllerKnowsAndNobodyWritesIsSaid(t *testing.T) {
	fl := appFiles("1", "")
	fl["shop/servicedef.yaml"] = "{cluster: c, serviceName: shop, deploymentController: {type: ECS}, volumeConfigurations: [{name: v}], monitoring: {x: y}}"
	got, _, err := load(t, fl)
	if err != nil {
		t.Fatal(err)
	}
	if w := got.Warnings.String(); strings.Count(w, "deployments do not write it") != 2 {
		t.Error(w)
	}
}
