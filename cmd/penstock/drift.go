package main

import (
	"context"
	"encoding/json"
	"fmt"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	"github.com/penstock-cd/penstock/internal/client"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
)

func newAppDriftCommand(s streams) *cobra.Command {
	v, check := &verb{s: s}, false
	cmd := v.leaf("drift APP", "Show how what is live differs from what was deployed; values of the environment are masked", exactly(1), func(ctx context.Context, c *client.Client, args []string) error {
		res, err := c.Applications.GetDrift(ctx, connect.NewRequest(&penstockv1.GetDriftRequest{Application: args[0]}))
		if err != nil {
			return err
		}
		m := res.Msg
		switch {
		case v.format == "json" || v.format == "yaml":
			raw := json.RawMessage(m.Json)
			if len(raw) == 0 {
				raw = json.RawMessage("null")
			}
			err = v.data(raw)
		case m.GoodDeploymentId == "":
			fmt.Fprintln(s.Err, "nothing was deployed yet that could be compared with what is live")
		case m.Drift == nil:
			fmt.Fprintln(s.Err, "no difference is known")
		default:
			fmt.Fprintf(s.Err, "since %s, against deployment %s:\n", v.s.instant(m.Drift.At), m.GoodDeploymentId)
			s.diffText(m.Text)
		}
		if err == nil && check && m.Drift != nil {
			return &statusError{code: exitError, err: fmt.Errorf("%s: %s", plain(args[0]), plain(m.Drift.Summary)), next: "undo it by hand, or deploy over it with: penstock app sync " + args[0]}
		}
		return err
	})
	cmd.Flags().BoolVar(&check, "check", false, "end with 1 when there is a difference")
	return cmd
}
