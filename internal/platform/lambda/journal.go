package lambda

import (
	"github.com/penstock-cd/penstock/internal/platform"
)

// Journal keys, beside the undo ledger. Their values are the types below.
const (
	keyCode    = "lambda/code"
	keyVersion = "lambda/version"
	keyRoute   = "lambda/route"
	keyMade    = "lambda/made/"  // + kind of object: when it was first about to be created
	keyVerify  = "lambda/verify" // since when the way back is being verified
	keyUnseen  = "lambda/unseen/"
)

// Types of objects in the ledger.
const (
	objFunction = "function"
	objVersion  = "version"
	objAlias    = "alias"
)

// codeRecord is the code that the deployment gave to $LATEST.
type codeRecord struct {
	Source string `json:"source"` // id of the source
	Sha    string `json:"sha"`
}

// versionRecord is the version that the deployment brings out. Ours says that it was published by this deployment.
type versionRecord struct {
	Number string `json:"number"`
	Ours   bool   `json:"ours,omitempty"`
}

// routeRecord is what the deployment last wrote to the alias. While Writing, what was before may still be read.
type routeRecord struct {
	platform.Written

	Now *alias `json:"now"` // nil: removed
	Was *alias `json:"was"` // nil: there was none
}
