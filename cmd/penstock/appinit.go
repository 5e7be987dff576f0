package main

import (
	"bufio"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"text/template"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/platform"
	"github.com/penstock-cd/penstock/internal/spec"
)

//go:embed appinit.tmpl
var initTemplates string

// initValues is what `penstock app init` has to know.
type initValues struct {
	Name, Env, Cluster, Image   string
	Port, Count, Scale, Percent int
	CPU, Memory, ExecutionRole  string
	Primary, Canary, Registry   string
	Subnets, Groups             []string
	Wait, LaunchType            string
	Task                        bool
}

// Container is the name of the one container.
func (v initValues) Container() string { return v.Name }

// Canaries says whether the pipeline has a canary.
func (v initValues) Canaries() bool { return !v.Task && (v.Primary == "" || v.Canary != "") }

type initialising struct {
	s         streams
	platforms []linter
	v         initValues
}

func newAppInitCommand(s streams, platforms []linter) *cobra.Command {
	i := &initialising{s: s, platforms: platforms}
	cmd := &cobra.Command{
		Use:   "init [DIR]",
		Short: "Write the first files of an ECS application: application, service and task definition",
		Long: `Write app.pipecd.yaml, servicedef.yaml and taskdef.yaml into a folder of a repository. On a terminal it asks for what the
flags do not say; elsewhere --cluster, --image and --subnets are needed. Files that exist are never written over.

With both target groups the pipeline is a canary of requests, with the primary one alone every commit replaces the service at
once, and without any the canary is a share of the tasks. What is written passes penstock lint.`,
		Example: `  penstock app init services/shop --cluster arn:aws:ecs:eu-west-1:123456789012:cluster/production \
    --image example/shop:1.0.0 --subnets subnet-0a1b,subnet-1b2c --target-group ARN --canary-target-group ARN`,
		Args: between(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := "."
			if len(args) > 0 {
				dir = args[0]
			}
			return i.run(cmd.Context(), dir)
		},
	}
	f, v := cmd.Flags(), &i.v
	f.StringVar(&v.Name, "name", "", "name of the application and of its service (default: that of the folder)")
	f.StringVar(&v.Env, "env", "", "environment, kept as a label")
	f.StringVar(&v.Cluster, "cluster", "", "cluster, best as an ARN")
	f.StringVar(&v.Image, "image", "", "image with its tag or digest")
	f.IntVar(&v.Port, "port", 8080, "port that the container listens on; 0 for none")
	f.IntVar(&v.Count, "count", 2, "tasks of the service")
	f.StringVar(&v.CPU, "cpu", "256", "CPU units of a task")
	f.StringVar(&v.Memory, "memory", "512", "MiB of a task")
	f.StringVar(&v.ExecutionRole, "execution-role", "", "ARN of the role that pulls images of a private registry and writes logs")
	f.StringSliceVar(&v.Subnets, "subnets", nil, "subnets of the tasks")
	f.StringSliceVar(&v.Groups, "security-groups", nil, "security groups of the tasks")
	f.StringVar(&v.Primary, "target-group", "", "ARN of the target group of the primary version")
	f.StringVar(&v.Canary, "canary-target-group", "", "ARN of the target group of the canary")
	f.StringVar(&v.Registry, "service-registry", "", "ARN of a Cloud Map service that the tasks are registered with")
	f.IntVar(&v.Scale, "scale", 30, "size of the canary in percent of the service")
	f.IntVar(&v.Percent, "percent", 20, "share of the requests that the canary gets")
	f.StringVar(&v.Wait, "wait", "5m", "how long the canary is watched")
	f.StringVar(&v.LaunchType, "launch-type", "FARGATE", "FARGATE, EC2 or EXTERNAL")
	f.BoolVar(&v.Task, "task", false, "a standalone task that runs once for each change, and no service")
	return cmd
}

func (i *initialising) run(ctx context.Context, dir string) error {
	abs, err := filepath.Abs(i.s.path(dir))
	if err != nil {
		return err
	}
	if i.v.Name == "" {
		i.v.Name = filepath.Base(abs)
	}
	if err := i.ask(); err != nil {
		return err
	}
	if err := i.v.check(); err != nil {
		return err
	}
	files, err := i.v.render()
	if err != nil {
		return err
	}
	if err := i.lint(ctx, files); err != nil {
		return err
	}
	if err := writeNew(abs, files); err != nil {
		return err
	}
	for _, f := range files {
		fmt.Fprintln(i.s.Out, filepath.Join(dir, f.name))
	}
	fmt.Fprintf(i.s.Err, "next: read them, penstock lint %s, commit, then penstock app add\n", dir)
	return nil
}

// ask puts the questions that the flags left open; without a person nothing is asked.
func (i *initialising) ask() error {
	if i.s.Password == nil {
		return nil
	}
	in := bufio.NewReader(io.LimitReader(i.s.In, 64<<10))
	v, subnets := &i.v, strings.Join(i.v.Subnets, ",")
	questions := []struct {
		text string
		dst  *string
		skip bool
	}{
		{"Cluster (ARN): ", &v.Cluster, false},
		{"Image with its tag: ", &v.Image, false},
		{"Subnets, with commas: ", &subnets, v.LaunchType != "FARGATE"},
		{"Target group of the primary version (ARN; empty without a load balancer): ", &v.Primary, v.Task},
		{"Target group of the canary (ARN; empty to replace the service at once): ", &v.Canary, v.Task},
	}
	for n, q := range questions {
		if *q.dst != "" || q.skip || n == len(questions)-1 && v.Primary == "" {
			continue
		}
		fmt.Fprint(i.s.Err, q.text)
		line, err := in.ReadString('\n')
		if err != nil && (line == "" || !errors.Is(err, io.EOF)) {
			return usagef("no answer; say it with a flag")
		}
		*q.dst = strings.TrimSpace(line)
	}
	v.Subnets = strings.FieldsFunc(subnets, func(r rune) bool { return r == ',' || r == ' ' })
	return nil
}

// check names every flag that is missing, and refuses what cannot go together.
func (v *initValues) check() error {
	var missing []string
	for _, one := range []struct {
		flag   string
		absent bool
	}{{"--cluster", v.Cluster == ""}, {"--image", v.Image == ""}, {"--subnets", v.LaunchType == "FARGATE" && len(v.Subnets) == 0}, {"--target-group", v.Canary != "" && v.Primary == ""}} {
		if one.absent {
			missing = append(missing, one.flag)
		}
	}
	switch {
	case strings.ContainsFunc(v.Name, unicode.IsControl):
		return usagef("--name holds a control character")
	case len(missing) > 0:
		return usagef("needed: %s", strings.Join(missing, ", "))
	case v.Task && (v.Primary != "" || v.Registry != ""):
		return usagef("a standalone task has no target group and no service registry")
	case v.Primary != "" && v.Registry != "":
		return usagef("--target-group and --service-registry exclude each other: requests come by the one or by the other")
	case v.Primary != "" && v.Port == 0:
		return usagef("a target group needs --port")
	case v.Port < 0 || v.Port > 65535, v.Count < 1, v.Percent < 1 || v.Percent > 99:
		return usagef("--port is a port, --count at least 1 and --percent between 1 and 99")
	case v.LaunchType != "FARGATE" && v.LaunchType != "EC2" && v.LaunchType != "EXTERNAL":
		return usagef("--launch-type %s is not one of FARGATE, EC2, EXTERNAL", v.LaunchType)
	}
	return nil
}

type initFile struct {
	name string
	data []byte
}

// render writes the files into memory.
func (v *initValues) render() ([]initFile, error) {
	t, err := template.New("").Funcs(template.FuncMap{"q": yamlText, "list": yamlList}).Parse(initTemplates)
	if err != nil {
		return nil, err
	}
	names := []string{spec.DefaultApplicationFile, "servicedef.yaml", "taskdef.yaml"}
	if v.Task {
		names = []string{spec.DefaultApplicationFile, "taskdef.yaml"}
	}
	var out []initFile
	for _, name := range names {
		var b strings.Builder
		if err := t.ExecuteTemplate(&b, name, v); err != nil {
			return nil, err
		}
		out = append(out, initFile{name, []byte(b.String())})
	}
	return out, nil
}

var plainText = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9_./:@+-]*[A-Za-z0-9_/-])?$`)

// yamlText writes a text plainly where it is read as the same text, else in quotes.
func yamlText(s string) (string, error) {
	n, _, err := spec.Parse("", []byte("v: "+s+"\n"))
	if err == nil && plainText.MatchString(s) && n.Get("v").Kind() == spec.StringNode && n.Get("v").Text() == s {
		return s, nil
	}
	b, err := json.Marshal(s) // a JSON text is a YAML text
	return string(b), err
}

func yamlList(list []string) (string, error) {
	out := make([]string, len(list))
	for i, s := range list {
		text, err := yamlText(s)
		if err != nil {
			return "", err
		}
		out[i] = text
	}
	return "[" + strings.Join(out, ", ") + "]", nil
}

// lint reads the files as an agent would, before any is written.
func (i *initialising) lint(ctx context.Context, files memoryFiles) error {
	warnings, err := files.load(ctx, i.platforms)
	if err == nil && len(warnings) > 0 {
		err = spec.Errors(warnings)
	}
	if err != nil {
		return &statusError{code: exitUsage, err: fmt.Errorf("nothing was written: what the flags say makes no application:\n%w", err)}
	}
	return nil
}

// load reads the files, of which the first is the application's, as an agent would.
func (m memoryFiles) load(ctx context.Context, platforms []linter) ([]spec.Error, error) {
	app, warnings, err := spec.ReadApplication(m[0].name, m[0].data)
	if err != nil {
		return warnings, err
	}
	lint := lintOptions{platforms: platforms}
	p, ok := lint.platformOf(app)
	if !ok {
		return warnings, usagef("no platform of this version reads kind %s", app.Kind)
	}
	d, err := p.Load(ctx, platform.Source{App: deploy.Ref{Name: app.Name, Kind: p.Kind(), ConfigFile: m[0].name}, Config: app, Commit: deploy.Commit{Hash: onDisk}, Files: m})
	return append(warnings, d.Warnings...), err
}

type memoryFiles []initFile

// ReadFile implements platform.Files.
func (m memoryFiles) ReadFile(_ context.Context, name string) ([]byte, error) {
	for _, f := range m {
		if f.name == name {
			return f.data, nil
		}
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

// writeNew writes all files or none. One that exists stops it before the first is written, and whatever comes between is
// refused by the file system.
func writeNew(dir string, files []initFile) (err error) {
	for _, f := range files {
		if _, err := os.Lstat(filepath.Join(dir, f.name)); err == nil {
			return &deploy.Error{Code: deploy.CodeExists, Object: filepath.Join(dir, f.name), Message: "the file exists and is not written over; nothing was written"}
		}
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	var done []string
	defer func() {
		if err != nil {
			for _, name := range done {
				err = errors.Join(err, os.Remove(name))
			}
		}
	}()
	for _, f := range files {
		name := filepath.Join(dir, f.name)
		w, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
		if err != nil {
			return err
		}
		done = append(done, name)
		_, werr := w.Write(f.data)
		if err := errors.Join(werr, w.Close()); err != nil {
			return err
		}
	}
	return nil
}
