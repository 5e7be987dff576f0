package lambda

// Reason codes that this platform gives. The sentence after each code is what a person reads; words in braces are arguments.
const (
	// ReasonUpdating: Waiting for function {function}: it is {state}.
	ReasonUpdating = "LAMBDA_UPDATING"
	// ReasonPublished: Waiting until version {version} of {function} is Active: it is {state}.
	ReasonPublished = "LAMBDA_VERSION_PENDING"
	// ReasonBroken: AWS could not set version {version} of {function} up: {reason}
	ReasonBroken = "LAMBDA_BROKEN"
	// ReasonExists: Function {function} exists although there was none when this deployment was planned: somebody else created it.
	ReasonExists = "LAMBDA_FUNCTION_EXISTS"
	// ReasonGone: {what} is gone although this deployment needs it; somebody else removed it.
	ReasonGone = "LAMBDA_GONE"
	// ReasonChanged: Somebody else changed {what} of {function} while this deployment made a version of it.
	ReasonChanged = "LAMBDA_LATEST_CHANGED"
	// ReasonForeign: Somebody else changed alias {alias}: expected {expected}, found {found}.
	ReasonForeign = "LAMBDA_FOREIGN_WEIGHTS"
	// ReasonApplying: Waiting until alias {alias} shows what was written to it.
	ReasonApplying = "LAMBDA_ALIAS_APPLYING"
	// ReasonSettling: Lambda takes a changed alias over later than it shows it; going on at {until}.
	ReasonSettling = "LAMBDA_SETTLING"
	// ReasonCallInDoubt: A call to Lambda got no answer and may still take effect; going on at {until}.
	ReasonCallInDoubt = "LAMBDA_CALL_IN_DOUBT"
	// ReasonNoAlias: Alias {alias} does not exist, so there is nothing that could be split.
	ReasonNoAlias = "LAMBDA_NO_ALIAS"
	// ReasonNotRestored: The live state is not what it was: {difference}.
	ReasonNotRestored = "LAMBDA_NOT_RESTORED"
	// ReasonRemoving: Waiting until function {function} is gone.
	ReasonRemoving = "LAMBDA_REMOVING"

	// NoteAlias: Alias {alias} does not exist and will be created: point users and triggers to it.
	NoteAlias = "LAMBDA_ALIAS_NEW"
	// NoteSame: Nothing about code or configuration changes: version {version} stays, and no version is published.
	NoteSame = "LAMBDA_SAME_VERSION"

	// UnsettledSplit: Alias {alias} is split: {weights}.
	UnsettledSplit = "LAMBDA_TRAFFIC_SPLIT"
	// UnsettledBusy: Function {function} is being changed: it is {state}.
	UnsettledBusy = "LAMBDA_BUSY"
)
