package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v4"

	"github.com/penstock-cd/penstock/internal/spec"
)

// The two deployment controllers of services of Amazon ECS.
const (
	controllerECS      = "ECS"
	controllerExternal = "EXTERNAL"
)

// migrating plans the move of an application to the other deployment controller of Amazon ECS, over a second service.
type migrating struct {
	s               streams
	platforms       []linter
	out, service    string
	name            string
	primary, canary string // ARNs of the new target groups
	rule, role      string
}

func newAppMigrateCommand(s streams, platforms []linter) *cobra.Command {
	m := &migrating{s: s, platforms: platforms}
	cmd := &cobra.Command{
		Use:   "migrate DIR",
		Short: "Plan the move of an ECS application to the other deployment controller",
		Long: `Plan the move of the application in DIR from the deployment controller EXTERNAL to ECS, or back: the files of a second service
that the requests are moved to, and the steps in their order. With --out the files are written into a folder of their own; without,
nothing is. Nothing is ever changed at AWS, and no file is written over.

The strategy is the one that the pipeline can go with. A pipeline that the other controller cannot go is refused, with file and line.`,
		Example: `  penstock app migrate services/shop --out services/shop-ecs --target-group ARN --canary-target-group ARN --rule ARN --role ARN`,
		Args:    between(1, 1),
		RunE:    func(cmd *cobra.Command, args []string) error { return m.run(cmd.Context(), args[0]) },
	}
	f := cmd.Flags()
	f.StringVar(&m.out, "out", "", "folder for the files of the second service")
	f.StringVar(&m.name, "name", "", "name of the second application (default: the name with -ecs or -external behind it)")
	f.StringVar(&m.service, "service", "", "name of the second service (default: the same with the service's name)")
	f.StringVar(&m.primary, "target-group", "", "ARN of the new target group of the primary version")
	f.StringVar(&m.canary, "canary-target-group", "", "ARN of the new target group of the canary")
	f.StringVar(&m.rule, "rule", "", "ARN of the listener rule that Amazon ECS shifts (to the controller ECS)")
	f.StringVar(&m.role, "role", "", "ARN of the role with which Amazon ECS changes the rule (to the controller ECS)")
	return cmd
}

// move is one migration: the files as they are, and as they will be.
type move struct {
	m        *migrating
	app, svc *yaml.Node
	names    [3]string // application, service and task definition
	task     []byte
	to       string // controller
	strategy string
	service  string // of before
	cluster  string
}

func (m *migrating) run(ctx context.Context, dir string) error {
	v := &move{m: m}
	if err := v.read(m.s.path(dir)); err != nil {
		return err
	}
	if err := v.turn(); err != nil {
		return err
	}
	files, err := v.files()
	if err != nil {
		return err
	}
	warnings, err := files.load(ctx, m.platforms)
	if err != nil {
		return &statusError{code: exitUsage, err: fmt.Errorf("nothing was written: the controller %s cannot go this way. In the files as they would be:\n%w", v.to, err)}
	}
	for _, w := range warnings {
		fmt.Fprintln(m.s.Err, w.Error())
	}
	if m.out != "" {
		if err := writeNew(m.s.path(m.out), files); err != nil {
			return err
		}
	}
	v.print(dir, files)
	return nil
}

// read reads the three files of an application.
func (v *move) read(dir string) error {
	name := filepath.Join(dir, spec.DefaultApplicationFile)
	data, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return usagef("%s does not exist: name the folder of an application", name)
	}
	if err != nil {
		return err
	}
	app, _, err := spec.ReadApplication(name, data)
	if err != nil {
		return &statusError{code: exitUsage, err: err}
	}
	if app.Kind != "ECSApp" {
		return usagef("%s is a %s: only services of Amazon ECS have a deployment controller", name, app.Kind)
	}
	v.names = [3]string{spec.DefaultApplicationFile, app.Input.Get("serviceDefinitionFile").Text(), cmp.Or(app.Input.Get("taskDefinitionFile").Text(), "taskdef.json")}
	if v.names[1] == "" {
		return usagef("%s is a standalone task: it has no service and no deployment controller", name)
	}
	for _, n := range v.names[1:] {
		if !filepath.IsLocal(n) {
			return usagef("%s lies outside of %s: copy it there first", n, dir)
		}
	}
	if v.app, err = editable(name, data); err != nil {
		return err
	}
	service, err := os.ReadFile(filepath.Join(dir, v.names[1]))
	if err != nil {
		return err
	}
	if v.svc, err = editable(v.names[1], service); err != nil {
		return err
	}
	v.task, err = os.ReadFile(filepath.Join(dir, v.names[2]))
	return err
}

// editable is a file with its comments and the order of its fields.
func editable(name string, data []byte) (*yaml.Node, error) {
	if _, _, err := spec.Parse(name, data); err != nil { // says where, and bounds what is expanded
		return nil, &statusError{code: exitUsage, err: err}
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return doc.Content[0], nil
}

// turn changes what differs between the controllers.
func (v *move) turn() error {
	m := v.m
	from := cmp.Or(text(v.svc, "deploymentController", "type"), controllerExternal)
	if v.to = controllerECS; from == controllerECS {
		v.to = controllerExternal
	}
	suffix := "-" + strings.ToLower(v.to)
	v.service, v.cluster = text(v.svc, "serviceName"), cmp.Or(text(v.svc, "cluster"), text(v.svc, "clusterArn"), "default")
	m.name, m.service = cmp.Or(m.name, text(v.app, "spec", "name")+suffix), cmp.Or(m.service, v.service+suffix)
	if m.service == v.service {
		return usagef("--service must name another service than %s", v.service)
	}
	v.strategy = v.strategyFor()
	if err := v.groups(); err != nil {
		return err
	}
	put(v.app, m.name, "spec", "name")
	put(v.svc, m.service, "serviceName")
	put(v.svc, v.to, "deploymentController", "type")
	drop(v.svc, "loadBalancers")
	if v.to == controllerExternal {
		drop(v.svc, "deploymentConfiguration")
		return nil
	}
	put(v.svc, v.strategy, "deploymentConfiguration", "strategy")
	if v.strategy == "ROLLING" {
		return nil
	}
	var entry yaml.Node
	if err := entry.Encode([]any{map[string]any{"advancedConfiguration": map[string]string{"productionListenerRule": m.rule, "roleArn": m.role}}}); err != nil {
		return err
	}
	v.svc.Content = append(v.svc.Content, scalar("loadBalancers"), &entry)
	return nil
}

// strategyFor is the strategy that stops at the shares of the pipeline.
func (v *move) strategyFor() string {
	shares := map[string]bool{}
	staged := false
	for _, st := range at(v.app, "spec", "pipeline", "stages").Content {
		name := text(st, "name")
		staged = staged || name == "ECS_CANARY_ROLLOUT" || name == "ECS_TRAFFIC_ROUTING"
		if share := strings.TrimSuffix(text(st, "with", "canary"), "%"); name == "ECS_TRAFFIC_ROUTING" && share != "" && share != "0" && share != "100" {
			shares[share] = true
		}
	}
	switch {
	case !staged:
		return "ROLLING"
	case len(shares) == 0:
		return "BLUE_GREEN"
	case len(shares) == 1:
		return "CANARY"
	}
	return "LINEAR"
}

// groups puts the new target groups in the place of the old ones.
func (v *move) groups() error {
	m := v.m
	groups := at(v.app, "spec", "input", "targetGroups")
	lb := at(v.svc, "loadBalancers")
	var missing []string
	for _, g := range []struct {
		key, flag, arn string
		named          bool // in the service file
	}{
		{"primary", "--target-group", m.primary, len(lb.Content) > 0 && text(lb.Content[0], "targetGroupArn") != ""},
		{"canary", "--canary-target-group", m.canary, len(lb.Content) > 0 && text(lb.Content[0], "advancedConfiguration", "alternateTargetGroupArn") != ""},
	} {
		there := len(at(groups, g.key).Content) > 0
		switch {
		case !there && !g.named && g.arn != "":
			return usagef("%s: the application has no %s target group", g.flag, g.key)
		case !there && !g.named:
		case g.arn == "":
			missing = append(missing, g.flag)
		default:
			put(v.app, g.arn, "spec", "input", "targetGroups", g.key, "targetGroupArn")
			if !there {
				put(v.app, text(lb.Content[0], "containerName"), "spec", "input", "targetGroups", g.key, "containerName")
			}
		}
	}
	shifts := v.to == controllerECS && v.strategy != "ROLLING"
	if shifts && m.rule == "" {
		missing = append(missing, "--rule")
	}
	if shifts && m.role == "" {
		missing = append(missing, "--role")
	}
	switch {
	case len(missing) > 0:
		return usagef("needed: %s", strings.Join(missing, ", "))
	case !shifts && m.role != "":
		return usagef("--role: Amazon ECS changes no rule here")
	}
	return nil
}

// files are the files of the second service.
func (v *move) files() (memoryFiles, error) {
	app, err := written(v.names[0], v.app)
	if err != nil {
		return nil, err
	}
	svc, err := written(v.names[1], v.svc)
	return memoryFiles{{v.names[0], app}, {v.names[1], svc}, {v.names[2], v.task}}, err
}

func written(name string, n *yaml.Node) ([]byte, error) {
	if filepath.Ext(name) != ".json" {
		return yaml.Dump(n, yaml.WithIndent(2), yaml.WithCompactSeqIndent(false), yaml.WithLineWidth(-1), yaml.WithUnicode(true))
	}
	var v any
	if err := n.Decode(&v); err != nil {
		return nil, err
	}
	b, err := json.MarshalIndent(v, "", "  ")
	return append(b, '\n'), err
}

// print tells the steps.
func (v *move) print(dir string, files memoryFiles) {
	m, w := v.m, v.m.s.Out
	from, how := controllerECS, "in the stages of the pipeline, by task sets"
	if v.to == controllerECS {
		from, how = controllerExternal, "with the strategy "+v.strategy
	}
	fmt.Fprintf(w, "service %s of %s: controller %s -> %s, %s, as a second service %s\n\n", v.service, v.cluster, from, v.to, how, m.service)
	if m.out == "" {
		for _, f := range files[:2] {
			fmt.Fprintf(w, "--- %s\n%s\n", f.name, f.data)
		}
	}
	where := cmp.Or(m.out, "the folder of --out")
	rule := "the listener rule"
	if m.rule != "" {
		rule = "the rule " + m.rule
	}
	steps := []string{
		fmt.Sprintf("The tasks of both services cost until the last step. Let %s stand before the live one, match nobody yet (a header, for example), and forward to %s.", rule, strings.Join(v.newGroups(), " (100) and ")),
		fmt.Sprintf("Read the files of %s, run penstock lint on it, commit, then penstock app add and penstock app sync %s.", where, m.name),
		"Try the second service through the header.",
		"Move the users: take the condition off the new rule. Back: put it on again.",
		fmt.Sprintf("When nothing reaches %s any more: penstock app disable and delete its application, remove %s from the repository, then delete the service, its rule and its target groups.", v.service, dir),
	}
	if len(v.newGroups()) == 0 {
		steps = slices.Delete(steps, 3, 4)
		steps[0] = "The tasks of both services cost until the last step. Requests come to both of them as soon as the second one is registered where the first one is."
		steps[2] = "Watch both services: there is no listener rule that could move the users back. Scale the new one to 0 to go back."
	}
	for i, s := range steps {
		fmt.Fprintf(w, "%d. %s\n", i+1, s)
	}
}

func (v *move) newGroups() (out []string) {
	for _, arn := range []string{v.m.primary, v.m.canary} {
		if arn != "" {
			out = append(out, arn)
		}
	}
	return out
}
