package main

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	"github.com/penstock-cd/penstock/internal/client"
	"github.com/penstock-cd/penstock/internal/deploy"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
)

type loginOptions struct {
	verb
	username string
	stdin    bool
}

func newLoginCommand(s streams) *cobra.Command {
	o := loginOptions{verb: verb{s: s}}
	cmd := &cobra.Command{
		Use:   "login [SERVER]",
		Short: "Log in to a control plane and keep the login",
		Long: `Log in with a user name and a password. The password is asked for without echo, or read from standard input; it is
never taken from the command line, where others could see it. The login is kept in a file that only you can read and
becomes the current one. Scripts need no login: they set PENSTOCK_SERVER and PENSTOCK_TOKEN.`,
		Example: `  penstock login https://penstock.example.com
  penstock login 127.0.0.1:8080 --username admin --password-stdin < password`,
		Args: between(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error { return o.login(cmd.Context(), args) },
	}
	o.connectionFlags(cmd)
	cmd.Flags().Lookup("context").Usage = "name to keep the login under (default: the server's host)"
	cmd.Flags().StringVarP(&o.username, "username", "u", "admin", "user name")
	cmd.Flags().BoolVar(&o.stdin, "password-stdin", false, "read the password from standard input")
	return cmd
}

func (o *loginOptions) login(ctx context.Context, args []string) error {
	file, l, err := o.logins()
	if err != nil {
		return err
	}
	server, err := o.target(args, l)
	if err != nil {
		return err
	}
	password, err := o.password(server)
	if err != nil {
		return err
	}
	res, err := o.dial(client.Login{Server: server}).Projects.Login(ctx, connect.NewRequest(&penstockv1.LoginRequest{Username: o.username, Password: password}))
	if deploy.CodeOf(err) == deploy.CodeUnauthorized {
		return &statusError{code: exitDenied, err: err, next: "check the name and the password, then log in again"}
	}
	if err != nil {
		return err
	}
	x := client.Login{Server: server, Token: res.Msg.Token, User: o.username}
	if t := res.Msg.ExpiresAt; t != nil {
		x.ExpiresAt = t.AsTime()
	}
	me, err := o.dial(x).Projects.WhoAmI(ctx, connect.NewRequest(&penstockv1.WhoAmIRequest{}))
	if err != nil {
		return err
	}
	x.User, x.Project = me.Msg.Name, me.Msg.ProjectId
	name := o.context
	if name == "" {
		u, _ := url.Parse(server) // ParseServer made it
		name = u.Host
	}
	l.Contexts[name], l.Current = x, name
	if err := client.SaveLogins(file, l); err != nil {
		return err
	}
	fmt.Fprintf(o.s.Out, "logged in to %s as %s (%s), project %s\n", server, me.Msg.Name, me.Msg.Role, me.Msg.ProjectId)
	return nil
}

// target is the server to log in to: the argument, the flag, the variable, or
// that of the login to be renewed.
func (o *loginOptions) target(args []string, l client.Logins) (string, error) {
	text := o.server
	if len(args) == 1 {
		if text != "" {
			return "", usagef("give the server as an argument or as --server, not both")
		}
		text = args[0]
	}
	if text == "" {
		if x, ok := l.Contexts[o.context]; ok {
			text = x.Server
		}
	}
	if text == "" {
		text = o.s.Getenv(client.EnvServer)
	}
	if text == "" {
		text = l.Contexts[l.Current].Server
	}
	if text == "" {
		return "", usagef("which server? for example: penstock login https://penstock.example.com")
	}
	server, err := client.ParseServer(text, o.insecure)
	if err != nil {
		return "", usagef("%w", err)
	}
	return server, nil
}

func (o *loginOptions) password(server string) (string, error) {
	if o.stdin {
		return o.s.readSecret()
	}
	if o.s.Password == nil {
		return "", usagef("nobody can be asked for the password here: use --password-stdin")
	}
	p, err := o.s.Password(fmt.Sprintf("Password of %s at %s: ", o.username, server))
	if err == nil && p == "" {
		err = usagef("the password is empty")
	}
	return p, err
}

func newLogoutCommand(s streams) *cobra.Command {
	v := verb{s: s}
	cmd := &cobra.Command{Use: "logout", Short: "End the session and forget the login", Args: exactly(0)}
	v.connectionFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		file, l, err := v.logins()
		if err != nil {
			return err
		}
		name := v.context
		if name == "" {
			name = l.Current
		}
		x, ok := l.Contexts[name]
		if !ok {
			return &deploy.Error{Code: deploy.CodeUnauthorized, Object: name, Message: "there is no such login; nothing to end"}
		}
		// The login is forgotten here even when the server cannot be told.
		_, told := v.dial(x).Projects.Logout(cmd.Context(), connect.NewRequest(&penstockv1.LogoutRequest{}))
		delete(l.Contexts, name)
		if l.Current == name {
			l.Current = ""
		}
		if err := client.SaveLogins(file, l); err != nil {
			return err
		}
		if told != nil && deploy.CodeOf(told) != deploy.CodeUnauthorized {
			fmt.Fprintf(s.Err, "warning: the session goes on at the server until it expires: %v\n", told)
		}
		fmt.Fprintf(s.Out, "logged out of %s\n", x.Server)
		return nil
	}
	return cmd
}

func newWhoAmICommand(s streams) *cobra.Command {
	v := &verb{s: s}
	return v.leaf("whoami", "Show who you are to the server, and what you may do", exactly(0), func(ctx context.Context, c *client.Client, _ []string) error {
		res, err := c.Projects.WhoAmI(ctx, connect.NewRequest(&penstockv1.WhoAmIRequest{}))
		if err != nil {
			return err
		}
		m := res.Msg
		return v.object(m, m.Name, func() {
			rights := fmt.Sprintf("%d (see them with -o wide)", len(m.Rights))
			if v.format == "wide" {
				slices.Sort(m.Rights)
				rights = strings.Join(m.Rights, "\n")
			}
			s.facts("Name", m.Name, "Role", m.Role, "Project", m.ProjectId, "Server", c.Server(), "Server version", m.ServerVersion, "Rights", rights)
		})
	})
}
