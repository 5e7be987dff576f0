package deploy

import "testing"

// TestAnApplicationIsWhereItsCommitSays: a recorded file wins, a root folder too; without one the registration stands.
func TestAnApplicationIsWhereItsCommitSays(t *testing.T) {
	r := Ref{ID: "a", Path: "new", ConfigFile: "b.yaml"}
	for file, want := range map[string][2]string{
		"": {"new", "b.yaml"}, "old/app.pipecd.yaml": {"old", "app.pipecd.yaml"}, "app.pipecd.yaml": {"", "app.pipecd.yaml"}, "x/y/z.yaml": {"x/y", "z.yaml"},
	} {
		got := r.At(Commit{Hash: "c", File: file})
		if got.ID != "a" || got.Path != want[0] || got.ConfigFile != want[1] {
			t.Errorf("%q: %q and %q", file, got.Path, got.ConfigFile)
		}
	}
}
