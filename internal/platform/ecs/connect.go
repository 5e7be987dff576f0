package ecs

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/penstock-cd/penstock/internal/spec"
)

// connected reports whether the service takes part in Service Connect.
func (d *desired) connected() bool { return d.Shape.Connect != nil && d.Shape.Connect.Enabled }

// connect reads the Service Connect configuration of a service of the ECS controller. One that the file does not have stays as it is.
func (l *loader) connect(n spec.Node, des *desired) {
	if !n.Exists() {
		return
	}
	l.connectAt = n
	c := &ecstypes.ServiceConnectConfiguration{}
	fill(l.d, n, reflect.ValueOf(c).Elem())
	if !n.Get("enabled").Exists() {
		l.d.Fail(n, "write enabled: true, or enabled: false to take the service out of Service Connect", "does not say whether it is enabled")
	}
	des.Shape.Connect = c
	for i, s := range c.Services {
		at := n.Get("services").Items()[i]
		for k, alias := range s.ClientAliases {
			if p := aws.ToInt32(alias.Port); p < 1 || p > 65535 {
				l.d.Fail(at.Get("clientAliases").Items()[k], "port: 1 to 65535", "an alias needs the port that clients connect to")
			}
			l.testRules(at.Get("clientAliases").Items()[k].Get("testTrafficRules"), alias.TestTrafficRules)
		}
	}
}

// testRules checks the headers by which test requests reach the new version. API, ServiceConnectTestTrafficRules: they are for blue/green deployments.
func (l *loader) testRules(at spec.Node, rules *ecstypes.ServiceConnectTestTrafficRules) {
	if rules == nil {
		return
	}
	if rules.Header == nil || aws.ToString(rules.Header.Name) == "" {
		l.d.Fail(at, "header: {name: x-amzn-ecs-blue-green-test}", "a test rule needs the name of a header")
	} else if v := rules.Header.Value; v != nil && aws.ToString(v.Exact) == "" {
		l.d.Fail(at.Get("header"), "value: {exact: \"1\"}, or no value for any", "the value of a test header is matched exactly and needs an exact")
	}
	l.testRuleNodes = append(l.testRuleNodes, at)
}

// connectPorts checks what needs the task definition and the strategy: services are known by the names of port mappings.
func (l *loader) connectPorts(des *desired) {
	if des.Native == nil || des.Shape.Connect == nil {
		return
	}
	ports := map[string]ecstypes.ApplicationProtocol{}
	var names []string
	for _, c := range des.Task.ContainerDefinitions {
		for _, p := range c.PortMappings {
			if n := aws.ToString(p.Name); n != "" {
				ports[n] = p.AppProtocol
				names = append(names, n)
			}
		}
	}
	hint := "give the port mapping a name in the task definition"
	if len(names) > 0 {
		hint = "the task definition names " + strings.Join(names, ", ")
	}
	for _, s := range des.Shape.Connect.Services {
		protocol, ok := ports[aws.ToString(s.PortName)]
		if !ok {
			l.d.Fail(l.connectAt, hint, "the task definition has no port mapping called %q", aws.ToString(s.PortName))
			continue
		}
		tested := slices.ContainsFunc(s.ClientAliases, func(a ecstypes.ServiceConnectClientAlias) bool { return a.TestTrafficRules != nil })
		if tested && protocol == "" {
			l.d.Fail(l.connectAt, "appProtocol: http, http2 or grpc in the task definition", "port %q has no appProtocol, and the proxies see no headers in plain TCP", aws.ToString(s.PortName))
		}
	}
	for _, at := range l.testRuleNodes {
		if des.strategy() == ecstypes.DeploymentStrategyRolling {
			l.d.Fail(at, "write strategy: BLUE_GREEN, CANARY or LINEAR, or remove the rule", "with the strategy ROLLING there are no test requests: Amazon ECS has them in deployments that shift traffic")
		}
	}
}

// connectView brings a Service Connect configuration to what it does: one that is off is none, and defaults are left out.
func connectView(o object) {
	const key = "serviceConnectConfiguration"
	c, ok := o[key].(object)
	if !ok {
		return
	}
	if c["enabled"] != true {
		delete(o, key)
		return
	}
	services := objects(c["services"])
	sortBy(c["services"], "portName")
	for _, s := range services {
		if s["discoveryName"] == s["portName"] {
			delete(s, "discoveryName") // ServiceConnectService API reference: "If the discoveryName isn't specified, the port mapping name … is used"
		}
		list, _ := s["clientAliases"].([]any)
		slices.SortStableFunc(list, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	}
	if log, ok := c["accessLogConfiguration"].(object); ok && log["includeQueryParameters"] == "DISABLED" {
		delete(log, "includeQueryParameters")
	}
}

// connectDrift leaves out what cannot be compared: all of it where the file says nothing, and a namespace that one side names by its ARN.
func connectDrift(file *ecstypes.ServiceConnectConfiguration, want any, have object) {
	const key = "serviceConnectConfiguration"
	if file == nil {
		delete(have, key)
		return
	}
	placement, _ := want.(object)
	w, _ := placement[key].(object)
	h, _ := have[key].(object)
	if w == nil || h == nil {
		return
	}
	a, _ := w["namespace"].(string)
	b, _ := h["namespace"].(string)
	if a == "" || strings.HasPrefix(a, "arn:") != strings.HasPrefix(b, "arn:") {
		delete(w, "namespace") // the cluster's default namespace, or one that only AWS Cloud Map could resolve
		delete(h, "namespace")
	}
}
