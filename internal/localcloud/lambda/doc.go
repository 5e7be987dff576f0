// Package lambda is the control plane of the local cloud's AWS Lambda, and the way of an invocation to the version that
// answers it: functions with an immutable history of versions, aliases with weights, function URLs, tags. States follow the
// documentation: a function is Pending until its code is set up, then Active; an update is InProgress, then Successful or
// Failed; what comes meanwhile is refused. Code is run by an injected Runtime.
//
// Sources are the AWS Lambda API Reference ("API") and the AWS Lambda Developer Guide ("guide"). Reads show the present: how
// far reads of Lambda lag behind writes is documented nowhere.
package lambda
