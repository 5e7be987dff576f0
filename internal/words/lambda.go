package words

// lambda has the sentences of internal/platform/lambda. What each code means
// and which arguments it has stands at its constant there.
var lambda = map[string]string{
	"LAMBDA_UPDATING":        "waiting for function {function}: it is {state}",
	"LAMBDA_VERSION_PENDING": "waiting until version {version} of {function} is Active: it is {state}",
	"LAMBDA_BROKEN":          "AWS could not set version {version} of {function} up: {reason}",
	"LAMBDA_FUNCTION_EXISTS": "function {function} exists although there was none when this deployment was planned: somebody else created it",
	"LAMBDA_GONE":            "{what} is gone although this deployment needs it; somebody else removed it",
	"LAMBDA_LATEST_CHANGED":  "somebody else changed {what} of {function} while this deployment made a version of it",
	"LAMBDA_FOREIGN_WEIGHTS": "somebody else changed alias {alias}: expected {expected}, found {found}",
	"LAMBDA_ALIAS_APPLYING":  "waiting until alias {alias} shows what was written to it",
	"LAMBDA_SETTLING":        "Lambda takes a changed alias over later than it shows it; going on at {until}",
	"LAMBDA_CALL_IN_DOUBT":   "a call to Lambda got no answer and may still take effect; going on at {until}",
	"LAMBDA_NO_ALIAS":        "alias {alias} does not exist, so there is nothing that could be split",
	"LAMBDA_NOT_RESTORED":    "the live state is not what it was: {difference}",
	"LAMBDA_REMOVING":        "waiting until function {function} is gone",
	"LAMBDA_ALIAS_NEW":       "alias {alias} does not exist and will be created: point users and triggers to it",
	"LAMBDA_SAME_VERSION":    "nothing about code or configuration changes: version {version} stays, and no version is published",
	"LAMBDA_TRAFFIC_SPLIT":   "alias {alias} is split: {weights}",
	"LAMBDA_BUSY":            "function {function} is being changed: it is {state}",
}
