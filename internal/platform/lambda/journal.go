package lambda

import "time"

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
	Now     *alias    `json:"now"` // nil: removed
	Was     *alias    `json:"was"` // nil: there was none
	At      time.Time `json:"at"`  // of the last write
	Writing bool      `json:"writing,omitempty"`
	// Doubt is the instant of the newest write whose answer never came, whatever was written since: it may still take effect,
	// unless the revision that it names is over.
	Doubt time.Time `json:"doubt,omitzero"`
}

// again is the record that a new write begins with: what is in doubt stays so.
func (r routeRecord) again(next routeRecord) routeRecord {
	if next.Doubt = r.Doubt; r.Writing {
		next.Doubt = r.At
	}
	return next
}

// settled is when all of Lambda has the last write, and no earlier one can come behind it any more.
func (r routeRecord) settled(settle time.Duration) time.Time {
	until := r.At.Add(settle)
	if late := r.Doubt.Add(lateLimit); !r.Doubt.IsZero() && late.After(until) {
		return late
	}
	return until
}
