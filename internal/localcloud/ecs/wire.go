package ecs

import (
	"github.com/aws/smithy-go"

	"github.com/penstock-cd/penstock/internal/localcloud/awswire"
)

// wire holds an SDK value that may contain unions or documents, which encoding/json cannot read back: on disk it has the form of the AWS wire.
type wire[T any, P interface {
	*T
	smithy.Serializable
}] struct{ V P }

// MarshalJSON implements json.Marshaler.
func (w wire[T, P]) MarshalJSON() ([]byte, error) {
	if w.V == nil {
		return []byte("null"), nil
	}
	return awswire.EncodeJSON(w.V)
}

// UnmarshalJSON implements json.Unmarshaler.
func (w *wire[T, P]) UnmarshalJSON(body []byte) error {
	if string(body) == "null" {
		return nil
	}
	w.V = P(new(T))
	return awswire.DecodeJSON(body, w.V)
}
