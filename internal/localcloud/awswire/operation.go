// Package awswire speaks AWS's wire protocols from the side of the server: awsJson 1.1 (ECS, SSM, Secrets Manager), Query with XML answers
// (ELBv2, STS) and restJson1 (Lambda). A service registers typed handlers over the SDK's own input and output types, so that names cannot drift from the SDK's.
//
// Sources: the Smithy specifications of aws.protocols#awsJson1_1 and aws.protocols#awsQuery and aws.protocols#restJson1, and "Signature Version 4 signing process" in the
// AWS General Reference.
package awswire

import (
	"context"
	"fmt"
	"reflect"
	"strings"

	"github.com/aws/smithy-go"
)

// Protocol is the way a service writes its requests and answers.
type Protocol int

const (
	// JSON11 is awsJson 1.1: POST / with the header X-Amz-Target.
	JSON11 Protocol = iota
	// QueryXML is awsQuery: a form with Action and Version, answered in XML.
	QueryXML
	// RESTJSON is restJson1: method and path name the operation.
	RESTJSON
)

// Operation is one typed handler of a service. Make it with Op.
type Operation struct {
	name     string
	newInput func() any
	call     func(context.Context, any) (any, error)
	unsigned bool
	route    route // RESTJSON
}

// Name is the operation's name as AWS writes it, for example "CreateTaskSet".
func (o Operation) Name() string { return o.name }

// NewInput returns a new zero value of the SDK's input type.
func (o Operation) NewInput() any { return o.newInput() }

// Unsigned returns the operation marked as one that AWS lets anybody call without a signature (AssumeRoleWithWebIdentity).
func (o Operation) Unsigned() Operation {
	o.unsigned = true
	return o
}

// Op wraps a handler over the SDK's types: awswire.Op(func(ctx, *ecs.CreateTaskSetInput) (*ecs.CreateTaskSetOutput, error)). The operation's name is
// the name of the input type without "Input". Errors other than *awserr.Error are answered as an internal failure (status 500).
func Op[In, Out any](handle func(context.Context, *In) (*Out, error)) Operation {
	name := strings.TrimSuffix(reflect.TypeFor[In]().Name(), "Input")
	return Operation{
		name:     name,
		newInput: func() any { return new(In) },
		call: func(ctx context.Context, in any) (any, error) {
			typed, ok := in.(*In)
			if !ok {
				return nil, fmt.Errorf("%s: input is %T", name, in)
			}
			out, err := handle(ctx, typed)
			if err != nil {
				return nil, err
			}
			return out, nil
		},
	}
}

// Service is a set of operations behind one endpoint. Make it with JSON, Query or REST.
type Service struct {
	signing  string
	protocol Protocol
	target   string // JSON11: prefix of X-Amz-Target
	version  string // QueryXML: value of Version
	xmlns    string // QueryXML: namespace of the answer
	ops      map[string]Operation
}

// JSON describes a service that speaks awsJson 1.1. The signing name is the one in the credential scope ("ecs"); the schema is the SDK's own
// (for example schemas.AmazonEC2ContainerServiceV20141113) and gives the prefix of X-Amz-Target.
func JSON(signing string, schema *smithy.ServiceSchema, ops ...Operation) Service {
	return Service{signing: signing, protocol: JSON11, target: schema.Schema.ID().Name, ops: byName(ops)}
}

// Query describes a service that speaks Query/XML, for example Query("elasticloadbalancing", "2015-12-01",
// "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/", …).
func Query(signing, version, xmlns string, ops ...Operation) Service {
	return Service{signing: signing, protocol: QueryXML, version: version, xmlns: xmlns, ops: byName(ops)}
}

// REST describes a service that speaks restJson1. Each operation needs its place: Op(…).At(schemas.GetFunction).
func REST(signing string, ops ...Operation) Service {
	return Service{signing: signing, protocol: RESTJSON, ops: byName(ops)}
}

// Name is the service's signing name.
func (s Service) Name() string { return s.signing }

// Operation finds an operation by its name.
func (s Service) Operation(name string) (Operation, bool) {
	op, ok := s.ops[name]
	return op, ok
}

// Operations returns the names of all operations, in no particular order.
func (s Service) Operations() []string {
	names := make([]string, 0, len(s.ops))
	for name := range s.ops {
		names = append(names, name)
	}
	return names
}

func byName(ops []Operation) map[string]Operation {
	m := make(map[string]Operation, len(ops))
	for _, op := range ops {
		m[op.name] = op
	}
	return m
}
