package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/penstock-cd/penstock/internal/launch"
)

// withServerVerbs hangs the verbs about a data directory on the command that runs a server on it. They work on the files:
// no login is needed, but the rights of the user that runs the server are.
func withServerVerbs(s streams, server *cobra.Command) *cobra.Command {
	server.AddCommand(newBackupCommand(s), newRestoreCommand(s), newCheckCommand(s))
	return server
}

func dataDirFlag(cmd *cobra.Command, dir *string) {
	cmd.Flags().StringVar(dir, "data-dir", "penstock-data", "directory of the database and the blobs")
}

func newBackupCommand(s streams) *cobra.Command {
	var dataDir, to string
	cmd := &cobra.Command{
		Use:   "backup --to DIR",
		Short: "Copy the data directory to a new one, while the server runs",
		Long: `Copy the data directory to a new one. The server may run meanwhile and is not disturbed: the database is copied as it
is at one instant, then the blobs. What is copied is verified on the way. The new directory appears when the database in
it is complete.`,
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if to == "" {
				return usagef("--to names the new directory of the backup")
			}
			to := s.path(to)
			if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
				return err
			}
			blobs, err := launch.Backup(cmd.Context(), s.path(dataDir), to)
			if err != nil {
				return err
			}
			fmt.Fprintf(s.Out, "backed up to %s: the database and %d blobs\n", to, blobs)
			return nil
		},
	}
	dataDirFlag(cmd, &dataDir)
	cmd.Flags().StringVar(&to, "to", "", "directory of the backup; it must not be there yet")
	return cmd
}

func newRestoreCommand(s streams) *cobra.Command {
	var dataDir, from string
	cmd := &cobra.Command{
		Use:   "restore --from DIR",
		Short: "Make a data directory of a backup",
		Long: `Make a data directory of a backup. The backup stays as it is. The restored store has a new incarnation: when the server
starts, all leases are void, agents say hello again, and each running deployment is compared with what is live before
anything is written. Stop the former server before.`,
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if from == "" {
				return usagef("--from names the directory of the backup")
			}
			dir := s.path(dataDir)
			if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
				return err
			}
			blobs, err := launch.Restore(cmd.Context(), s.path(from), dir)
			if err != nil {
				return err
			}
			fmt.Fprintf(s.Out, "restored to %s: the database and %d blobs\n", dir, blobs)
			return nil
		},
	}
	dataDirFlag(cmd, &dataDir)
	cmd.Flags().StringVar(&from, "from", "", "directory of the backup")
	return cmd
}

func newCheckCommand(s streams) *cobra.Command {
	var dataDir string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Read a data directory or a backup through and look for damage",
		Long: `Read a data directory or a backup through: the database's own check, every stream folded again and compared with the
state that is kept of it, what lists show compared with that state, every blob against its digest. The server may run
meanwhile. The exit status is 1 when something is wrong.`,
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			f, err := launch.Check(cmd.Context(), s.path(dataDir))
			if err != nil {
				return err
			}
			if asJSON {
				if err := json.NewEncoder(s.Out).Encode(f); err != nil {
					return err
				}
			} else {
				for _, p := range f.Problems {
					fmt.Fprintln(s.Out, p)
				}
				fmt.Fprintf(s.Out, "%d deployments and %d applications of %d events, %d blobs: %d problems\n", f.Deployments, f.Applications, f.Events, f.Blobs, len(f.Problems))
			}
			if n := len(f.Problems); n > 0 {
				return &statusError{code: exitError, err: fmt.Errorf("%d problems", n), next: "restore a backup with: penstock server restore"}
			}
			return nil
		},
	}
	dataDirFlag(cmd, &dataDir)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}
