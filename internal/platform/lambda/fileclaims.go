package lambda

import (
	"encoding/json"

	"github.com/penstock-cd/penstock/internal/platform"
	"github.com/penstock-cd/penstock/internal/spec"
)

// FileClaims implements platform.Claimant: the function, whatever its alias, because all versions are made in its $LATEST.
// Files do not tell the region.
func (*Platform) FileClaims(app *spec.Application, d platform.Desired) []platform.FileClaim {
	var des desired
	if err := json.Unmarshal(d.Body, &des); err != nil {
		return nil // the files have errors of their own
	}
	at := app.Input.Get("functionManifestFile")
	if !at.Exists() {
		at = app.Input
	}
	return []platform.FileClaim{{Kind: "function", Name: des.Name, At: at}}
}
