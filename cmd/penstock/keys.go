package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/penstock-cd/penstock/internal/client"
	"github.com/penstock-cd/penstock/internal/deploy"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
)

func newKeyCommand(s streams) *cobra.Command {
	cmd := newGroup("key", "Keys by which scripts act, each with a role of its own", "keys")
	cmd.AddCommand(newKeyListCommand(s), newKeyAddCommand(s), newKeyRotateCommand(s), newKeyRevokeCommand(s))
	return cmd
}

func apiKeys(ctx context.Context, c *client.Client) ([]*penstockv1.APIKey, error) {
	res, err := c.Projects.ListAPIKeys(ctx, connect.NewRequest(&penstockv1.ListAPIKeysRequest{}))
	if err != nil {
		return nil, err
	}
	return res.Msg.Keys, nil
}

// findKey finds a key by id, or by its only name.
func findKey(ctx context.Context, c *client.Client, name string) (*penstockv1.APIKey, error) {
	all, err := apiKeys(ctx, c)
	if err != nil {
		return nil, err
	}
	var fit []*penstockv1.APIKey
	for _, k := range all {
		if k.Id == name {
			return k, nil
		}
		if k.Name == name {
			fit = append(fit, k)
		}
	}
	switch len(fit) {
	case 1:
		return fit[0], nil
	case 0:
		return nil, &deploy.Error{Code: deploy.CodeNotFound, Object: name, Message: "there is no key of this id or name"}
	}
	return nil, usagef("%d keys are called %s; use the id", len(fit), name)
}

func newKeyListCommand(s streams) *cobra.Command {
	v := &verb{s: s}
	cmd := v.leaf("list", "List the keys of the project, newest first; the keys themselves are never shown again", exactly(0), func(ctx context.Context, c *client.Client, _ []string) error {
		all, err := apiKeys(ctx, c)
		if err != nil {
			return err
		}
		return list(v, "keys", all, (*penstockv1.APIKey).GetId, func() {
			if len(all) == 0 {
				fmt.Fprintln(s.Err, "no keys; make one with: penstock key add NAME --role viewer")
				return
			}
			rows := make([][]string, len(all))
			for i, k := range all {
				used, ends := "never", day(k.ExpiresAt)
				if k.LastUsedAt != nil {
					used = s.ago(k.LastUsedAt)
				}
				if k.Expired {
					ends += " (expired)"
				}
				rows[i] = []string{k.Name, k.Id, k.Role, s.ago(k.CreatedAt), used, ends}
			}
			s.table([]string{"NAME", "ID", "ROLE", "AGE", "USED", "ENDS"}, rows)
		})
	})
	cmd.Aliases = []string{"ls"}
	return cmd
}

func day(t *timestamppb.Timestamp) string { return t.AsTime().UTC().Format("2006-01-02") }

// keyRoles are the roles that a key may have.
var keyRoles = []string{"viewer", "operator", "admin"}

func newKeyAddCommand(s streams) *cobra.Command {
	v, req := &verb{s: s}, &penstockv1.CreateAPIKeyRequest{}
	cmd := v.leaf("add NAME", "Make a key; it is shown once", exactly(1), func(ctx context.Context, c *client.Client, args []string) error {
		if !slices.Contains(keyRoles, req.Role) {
			return usagef("--role %s is not viewer, operator or admin", req.Role)
		}
		req.Name = args[0]
		return v.makeKey(ctx, c, req, "")
	})
	cmd.Flags().StringVar(&req.Role, "role", "viewer", "what it may do: "+strings.Join(keyRoles, ", "))
	cmd.Flags().Int32Var(&req.Days, "days", 90, "how long it is good for, 1 to 3650")
	return cmd
}

// makeKey makes a key and prints it, the only time that anybody sees it.
func (v *verb) makeKey(ctx context.Context, c *client.Client, req *penstockv1.CreateAPIKeyRequest, next string) error {
	res, err := c.Projects.CreateAPIKey(ctx, connect.NewRequest(req))
	if err != nil {
		return err
	}
	return v.object(res.Msg, res.Msg.Key, func() {
		v.s.facts("Name", req.Name, "Role", req.Role, "Ends", day(res.Msg.ExpiresAt), "Key", res.Msg.Key)
		fmt.Fprintln(v.s.Err, "The key is shown this once. Scripts read it from PENSTOCK_TOKEN.")
		if next != "" {
			fmt.Fprintln(v.s.Err, next)
		}
	})
}

func newKeyRotateCommand(s streams) *cobra.Command {
	v, days := &verb{s: s}, int32(0)
	cmd := v.leaf("rotate KEY", "Make a new key of the same name and role; the old one stays good until it is revoked", exactly(1), func(ctx context.Context, c *client.Client, args []string) error {
		old, err := findKey(ctx, c, args[0])
		if err != nil {
			return err
		}
		req := &penstockv1.CreateAPIKeyRequest{Name: old.Name, Role: old.Role, Days: days}
		return v.makeKey(ctx, c, req, "When nothing uses the old one any more: penstock key revoke "+old.Id)
	})
	cmd.Flags().Int32Var(&days, "days", 90, "how long the new one is good for, 1 to 3650")
	return cmd
}

func newKeyRevokeCommand(s streams) *cobra.Command {
	v := &verb{s: s}
	cmd := v.leaf("revoke KEY", "Make a key useless at once; it cannot be had back", exactly(1), func(ctx context.Context, c *client.Client, args []string) error {
		k, err := findKey(ctx, c, args[0])
		if err != nil {
			return err
		}
		if _, err := c.Projects.RevokeAPIKey(ctx, connect.NewRequest(&penstockv1.RevokeAPIKeyRequest{KeyId: k.Id})); err != nil {
			return err
		}
		return v.object(k, k.Id, func() { fmt.Fprintf(s.Out, "key %s (%s) revoked\n", plain(k.Name), k.Id) })
	})
	cmd.Aliases = []string{"disable"}
	return cmd
}
