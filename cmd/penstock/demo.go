package main

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/penstock-cd/penstock/internal/demo"
	"github.com/penstock-cd/penstock/web"
)

func newDemoCommand(s streams) *cobra.Command {
	o := demo.Options{Out: s.Out, Err: s.Err}
	var verbose bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "See a real canary on this machine: server, agent, local cloud and git in one process",
		Long: `Start everything on this machine, deploy v1, send a steady load, commit v2 and follow it. Nothing is needed but git.
Platforms: ` + strings.Join(demo.Platforms(), ", ") + `. Scenarios: ` + strings.Join(demo.Scenarios(), ", ") + `.
With --once the program ends with the scenario: 0 when it ended as it should, 1 when not.`,
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.JSON && !o.Once {
				return usagef("--json goes with --once")
			}
			o.Web, o.Version = web.Dist(), programVersion()
			if verbose {
				l := logFlags{level: "debug", format: "text"}
				o.Logger, _ = l.logger(s)
			}
			return demo.Run(cmd.Context(), o)
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&o.Scenario, "scenario", "canary", "what to show: "+strings.Join(demo.Scenarios(), ", "))
	fl.StringVar(&o.Platform, "platform", demo.Platforms()[0], "what to deploy to: "+strings.Join(demo.Platforms(), ", "))
	fl.StringVar(&o.Listen, "listen", "127.0.0.1:8080", "address of the control plane and its page; port 0 takes any")
	fl.BoolVar(&o.Once, "once", false, "end with the scenario")
	fl.BoolVar(&o.JSON, "json", false, "with --once: print one JSON object")
	fl.DurationVar(&o.Wait, "wait", 25*time.Second, "duration of the WAIT stage")
	fl.StringVar(&o.Profile, "profile", "aws-like", "how the local cloud behaves in time: aws-like or ideal")
	fl.IntVar(&o.Rate, "rate", 150, "requests per second")
	fl.BoolVarP(&verbose, "verbose", "v", false, "log what the parts do")
	return cmd
}
