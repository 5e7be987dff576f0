package deploy

import (
	"errors"
	"fmt"
)

// Code classifies an error for every transport. Each transport translates it
// once; what a person reads is the message.
type Code string

// The error codes of the product.
const (
	CodeInvalid      Code = "invalid"       // the request itself is wrong: repeat it corrected
	CodeNotFound     Code = "not_found"     // no such object in this project
	CodeExists       Code = "exists"        // the object is already there
	CodeDenied       Code = "denied"        // the principal lacks the right
	CodeUnauthorized Code = "unauthorized"  // no, unknown or expired credential
	CodeConflict     Code = "conflict"      // the object changed meanwhile, or another one holds it
	CodeRefused      Code = "refused"       // the state does not permit it; Reason names why
	CodeExhausted    Code = "exhausted"     // a limit was reached: try later
	CodeUnavailable  Code = "unavailable"   // a dependency does not answer: trying again may help
	CodeInternal     Code = "internal"      // our own fault
	CodeTooLarge     Code = "too_large"     // a size limit was passed
	CodeUnsupported  Code = "not_supported" // understood, but not available here
)

// Refusals of reports and commands: the Reason of an Error with CodeRefused.
const (
	RefusedDuplicate     = "DUPLICATE"         // this event id was stored before: its first answer holds
	RefusedStaleEpoch    = "STALE_EPOCH"       // another process holds the assignment now
	RefusedAttemptClosed = "ATTEMPT_CLOSED"    // the stage attempt of the report is over
	RefusedTerminal      = "TERMINAL"          // the deployment is finished
	RefusedStaleView     = "STALE_VIEW"        // the person decided on an outdated screen
	RefusedNotApprover   = "NOT_APPROVER"      // the person is not among the stage's approvers
	RefusedTwice         = "ALREADY_GIVEN"     // this person approved before
	RefusedMoreNeeded    = "APPROVALS_MISSING" // the stage waits for more than one approval: one person cannot skip it
	RefusedAuthor        = "OWN_CHANGE"        // the project wants an approval by somebody else than the change's author
	RefusedNoNote        = "NOTE_NEEDED"       // the project wants a note with each answer
	RefusedState         = "WRONG_STATE"       // the state does not permit the command
	RefusedParked        = "PARKED"            // an event of a newer version is in the stream: a person or a newer server must act
)

// Error is an error with a code that crosses every boundary of the product.
type Error struct {
	Code    Code
	Reason  string // stable, machine-readable detail: one of the Refused words, or empty
	Object  string // what it is about: an id, a path, an ARN
	Message string // for a person: what failed and what to do
	Err     error  // cause, for the log only
}

// Error implements error.
func (e *Error) Error() string {
	s := e.Message
	if s == "" {
		s = string(e.Code)
		if e.Reason != "" {
			s += " " + e.Reason
		}
	}
	if e.Object != "" {
		s = e.Object + ": " + s
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error with a formatted message. A %w operand becomes the cause.
func Errorf(code Code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Message: err.Error(), Err: nil}
}

// Refuse makes an Error with CodeRefused.
func Refuse(reason, object, format string, args ...any) *Error {
	return &Error{Code: CodeRefused, Reason: reason, Object: object, Message: fmt.Sprintf(format, args...)}
}

// CodeOf returns the code of the first Error in the chain, CodeInternal for
// any other error and "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return CodeInternal
}

// RefusalOf returns the refusal word of the first Error in the chain, or "".
func RefusalOf(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return ""
}
