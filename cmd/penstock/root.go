package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/penstock-cd/penstock/internal/client"
	"github.com/penstock-cd/penstock/internal/deploy"
)

// Exit codes. Scripts rely on them: a number never changes its meaning.
const (
	exitOK             = 0
	exitError          = 1
	exitUsage          = 2
	exitNotFound       = 3
	exitDenied         = 4
	exitRefused        = 5
	exitTimeout        = 6
	exitFailure        = 10
	exitCancelled      = 11
	exitNeedsAttention = 12
	exitInterrupted    = 130
)

const rootHelp = `Penstock brings what git declares to where it runs, in measured steps, and back by itself.

Exit codes of the verbs:
   0  done                             5  refused: the state does not permit it, or it exists
   1  error                            6  timed out while waiting
   2  wrong usage                     10  the deployment ended as FAILURE or ROLLED_BACK
   3  not found                       11  the deployment ended as CANCELLED
   4  not logged in, or not allowed   12  the deployment ended as NEEDS_ATTENTION

Environment: PENSTOCK_SERVER and PENSTOCK_TOKEN choose the server and the credential, PENSTOCK_CONFIG the file of
logins; NO_COLOR switches colours off. A flag wins over the environment, the environment over the stored login.`

// statusError ends a command with an exit code of its own. Without an error
// inside, all was said already.
type statusError struct {
	code int
	err  error
	next string
}

func (e *statusError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *statusError) Unwrap() error { return e.err }

// usagef is a mistake on the command line.
func usagef(format string, args ...any) error {
	return &statusError{code: exitUsage, err: fmt.Errorf(format, args...)}
}

// run is the program: it never exits the process, reads nothing but what it
// is given and returns the exit code.
func run(ctx context.Context, args []string, s streams) int {
	root := newRootCommand(s)
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	code := exitCode(ctx, err)
	complain(s, cmd, err, code)
	return code
}

// complain says on stderr what failed and what to do next.
func complain(s streams, cmd *cobra.Command, err error, code int) {
	var st *statusError
	next := client.Next(err)
	if errors.As(err, &st) {
		if st.err == nil {
			return
		}
		if st.next != "" {
			next = st.next
		}
	}
	text := strings.TrimSpace(err.Error())
	if code == exitInterrupted {
		text, next = "interrupted", ""
	}
	fmt.Fprintf(s.Err, "%s: %s\n", cmd.CommandPath(), strings.ReplaceAll(text, "\n", "\n  "))
	if code == exitUsage && next == "" {
		next = "see " + cmd.CommandPath() + " --help"
	}
	if next == "" && code == exitNotFound && !strings.Contains(text, "penstock ") {
		next = listVerb(cmd)
	}
	if next != "" {
		fmt.Fprintf(s.Err, "  next: %s\n", next)
	}
}

// listVerb names the command beside another one that lists what there is.
func listVerb(cmd *cobra.Command) string {
	if cmd.Parent() == nil {
		return ""
	}
	for _, c := range cmd.Parent().Commands() {
		if c.Name() == "list" {
			return "list what there is with: " + c.CommandPath()
		}
	}
	return ""
}

func exitCode(ctx context.Context, err error) int {
	var st *statusError
	if errors.As(err, &st) {
		return st.code
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return exitInterrupted
	}
	switch deploy.CodeOf(err) {
	case deploy.CodeNotFound:
		return exitNotFound
	case deploy.CodeDenied, deploy.CodeUnauthorized:
		return exitDenied
	case deploy.CodeRefused, deploy.CodeConflict, deploy.CodeExists:
		return exitRefused
	}
	return exitError
}

func newRootCommand(s streams) *cobra.Command {
	root := &cobra.Command{
		Use:           "penstock",
		Short:         "GitOps continuous delivery",
		Long:          rootHelp,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
		RunE:          group,
	}
	root.SetIn(s.In)
	root.SetOut(s.Out)
	root.SetErr(s.Err)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usagef("%w", err) })
	root.AddCommand(
		newLoginCommand(s), newLogoutCommand(s), newWhoAmICommand(s),
		newAppCommand(s), newDeploymentCommand(s), withAgentVerbs(s, newAgentCommand(s)), newProjectCommand(s), newKeyCommand(s),
		newLintCommand(s, linters()), newImportCommand(s, linters()), newSchemaCommand(s), newVersionCommand(s),
		withServerVerbs(s, newServerCommand(s)), newDemoCommand(s), newLocalCloudCommand(s), newTaskCommand(),
	)
	return root
}

// newGroup is a command that only holds others.
func newGroup(use, short string, aliases ...string) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Aliases: aliases, Args: cobra.ArbitraryArgs, RunE: group}
}

// group shows the help of a command that only holds others, and says when a
// word below it is not known.
func group(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cmd.Help()
	}
	hint := ""
	cmd.SuggestionsMinimumDistance = 2
	if like := cmd.SuggestionsFor(args[0]); len(like) > 0 {
		hint = "; did you mean " + strings.Join(like, " or ") + "?"
	}
	return usagef("unknown command %q%s", args[0], hint)
}

// exactly, between and atLeast check the number of arguments in the words of
// the command's own usage line.
func exactly(n int) cobra.PositionalArgs { return between(n, n) }

func atLeast(n int) cobra.PositionalArgs { return between(n, 1<<20) }

func between(low, high int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < low || len(args) > high {
			return usagef("wrong number of arguments; usage: %s", cmd.UseLine())
		}
		return nil
	}
}
