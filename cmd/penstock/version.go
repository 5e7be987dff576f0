package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// programVersion is the module's version, or the commit it was built from.
func programVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	commit, dirty := "", ""
	for _, x := range info.Settings {
		switch {
		case x.Key == "vcs.revision" && len(x.Value) > 12:
			commit = x.Value[:12]
		case x.Key == "vcs.modified" && x.Value == "true":
			dirty = "+changes"
		}
	}
	if commit == "" {
		return "devel"
	}
	return commit + dirty
}

func newVersionCommand(s streams) *cobra.Command {
	format := ""
	cmd := &cobra.Command{
		Use: "version", Short: "Show the version of this program", Args: exactly(0),
		RunE: func(*cobra.Command, []string) error {
			v := map[string]string{"version": programVersion(), "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH}
			switch format {
			case "":
				fmt.Fprintf(s.Out, "penstock %s (%s, %s)\n", v["version"], v["go"], v["platform"])
				return nil
			case "json":
				e := json.NewEncoder(s.Out)
				e.SetIndent("", "  ")
				return e.Encode(v)
			}
			return usagef("-o %s: version knows json only", format)
		},
	}
	cmd.Flags().StringVarP(&format, "output", "o", "", "json")
	return cmd
}
