package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/penstock-cd/penstock/internal/agent/piped"
	"github.com/penstock-cd/penstock/internal/launch"
	"github.com/penstock-cd/penstock/internal/platform/builtin"
	"github.com/penstock-cd/penstock/internal/secret"
)

// agentFlags are the settings of `penstock agent`.
type agentFlags struct {
	src         piped.Source
	dataDir     string
	adminListen string
	insecure    bool
	logs        logFlags
}

// newAgentCommand runs an agent; the verbs about agents hang below it.
func newAgentCommand(s streams) *cobra.Command {
	var f agentFlags
	cmd := &cobra.Command{
		Use:   "agent",
		Short: "Run an agent (Piped), or manage the registered ones",
		Long: `Run an agent beside the workloads: it makes outbound connections only. Its configuration of kind Piped comes from
exactly one of the --config flags. The verbs below manage the registered agents of a control plane.`,
		Args: between(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 || f.src == (piped.Source{}) {
				return group(cmd, args)
			}
			return runAgent(cmd.Context(), s, f)
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&f.src.File, "config-file", "", "the configuration file")
	fl.StringVar(&f.src.Data, "config-data", "", "the configuration itself, in base64")
	fl.StringVar(&f.src.AWSSSMParameter, "config-aws-ssm-parameter", "", "name of an SSM parameter that holds it, plain or base64")
	fl.StringVar(&f.src.AWSSecret, "config-aws-secret", "", "id of a Secrets Manager secret that holds it, plain or base64")
	fl.StringVar(&f.dataDir, "data-dir", "", "directory for git mirrors, of this process alone (default: below the user's cache directory)")
	fl.StringVar(&f.adminListen, "admin-listen", "", "address that serves /healthz, /readyz and /metrics; empty serves none")
	fl.BoolVar(&f.insecure, "insecure", false, "permit plain http to a control plane on another machine")
	f.logs.add(cmd)
	return cmd
}

func runAgent(ctx context.Context, s streams, f agentFlags) error {
	trimHeap(s.Getenv)
	log, err := f.logs.logger(s)
	if err != nil {
		return err
	}
	if f.src.File != "" {
		f.src.File = s.path(f.src.File)
	}
	conf, err := piped.Read(ctx, f.src, piped.Options{Store: &secret.AWS{}, Insecure: f.insecure})
	if err != nil {
		return err
	}
	if f.dataDir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return fmt.Errorf("find a directory for git mirrors: %w; name one with --data-dir", err)
		}
		f.dataDir = filepath.Join(cache, "penstock", "agent-"+conf.Piped.PipedID)
	}
	reg := prometheus.NewRegistry()
	a, err := launch.NewAgent(launch.AgentConfig{
		Config: conf, DataDir: s.path(f.dataDir), Platforms: builtin.Platforms(builtin.Options{Logger: log}), Version: programVersion(), Logger: log, Metrics: reg,
	})
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return launch.ServeAgentAdmin(ctx, f.adminListen, reg, a.Connected) })
	g.Go(func() error { return a.Run(ctx) })
	return g.Wait()
}
