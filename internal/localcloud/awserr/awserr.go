// Package awserr holds the one error type of the local cloud's services. A service says the code AWS documents and a message; the wire layer
// renders it in the shape of the protocol in use, so that the SDK yields its typed exception.
package awserr

import (
	"errors"
	"fmt"
)

// Error is an answer of a service that refuses a call.
type Error struct {
	// Code is AWS's error code: with the suffix "Exception" for JSON services, usually without for Query services.
	Code string
	// Message is what a person reads.
	Message string
	// Status is the HTTP status; 0 means 400.
	Status int
}

// Error implements error.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

// HTTPStatus is Status with its default of 400 applied.
func (e *Error) HTTPStatus() int {
	if e.Status == 0 {
		return 400
	}
	return e.Status
}

// New returns a client error (status 400) with a formatted message.
func New(code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...), Status: 400}
}

// As finds an *Error in err's chain.
func As(err error) (*Error, bool) {
	var e *Error
	ok := errors.As(err, &e)
	return e, ok
}
