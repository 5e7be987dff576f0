package awswire

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"time"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/aws/smithy-go/transport/http/protocol/awsjson"
)

// The SDK's modules carry a schema for every shape, an encoder for every output and a decoder for every nested type, but no decoder for inputs. The
// codec below takes the SDK's own JSON reader and writer through the public client protocol and adds the missing decoder by reflection over the
// input's schema: timestamps, documents and unions are then read exactly as the SDK reads them.
type jsonCodec struct {
	protocol *awsjson.Protocol
	service  *smithy.Schema
}

func newJSONCodec() jsonCodec {
	id := smithy.ShapeID{Namespace: "penstock.localcloud", Name: "Service"}
	schema := smithy.NewSchema(id, smithy.ShapeTypeService, 0)
	return jsonCodec{protocol: awsjson.New11(smithy.NewServiceSchema(schema, "")), service: schema}
}

// encode writes any SDK type in the wire form of awsJson 1.1.
func (c jsonCodec) encode(v any) ([]byte, error) {
	shape, ok := v.(smithy.Serializable)
	if !ok {
		return nil, fmt.Errorf("%T cannot be serialised", v)
	}
	req, ok := smithyhttp.NewStackRequest().(*smithyhttp.Request)
	if !ok {
		return nil, fmt.Errorf("smithy request has an unknown type")
	}
	req.URL = &url.URL{Path: "/"}
	op := smithy.NewOperationSchema(c.service, c.service, c.service) // the protocol only looks whether Input is set
	if err := c.protocol.SerializeRequest(context.Background(), op, shape, req); err != nil {
		return nil, err
	}
	return io.ReadAll(req.GetStream())
}

// encodeAnswer is encode with the zeros that AWS always writes in answers.
func (c jsonCodec) encodeAnswer(v any) ([]byte, error) {
	shape, ok := v.(smithy.Serializable)
	if !ok {
		return nil, fmt.Errorf("%T cannot be serialised", v)
	}
	return c.encode(withZeros{shape})
}

// decode reads the wire form of awsJson 1.1 into any SDK type that has a schema.
func (c jsonCodec) decode(body []byte, v any) error {
	shape, ok := v.(smithy.Serializable)
	if !ok {
		return fmt.Errorf("%T has no schema", v)
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return nil // an empty body is the empty structure
	}
	resp := &smithyhttp.Response{Response: &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(body))}}
	op := smithy.NewOperationSchema(c.service, c.service, c.service)
	return c.protocol.DeserializeResponse(context.Background(), op, nil, resp, &structReader{schema: schemaOf(shape), into: reflect.ValueOf(v).Elem()})
}

// EncodeJSON writes an SDK type as awsJson 1.1 does. Services use it to keep SDK values on disk.
func EncodeJSON(v smithy.Serializable) ([]byte, error) { return newJSONCodec().encode(v) }

// DecodeJSON reads what EncodeJSON wrote into a pointer to the same SDK type.
func DecodeJSON(body []byte, v smithy.Serializable) error { return newJSONCodec().decode(body, v) }

// schemaOf learns the schema of a type from what its generated encoder writes first.
func schemaOf(v smithy.Serializable) *smithy.Schema {
	probe := &schemaProbe{}
	if empty, ok := reflect.New(reflect.TypeOf(v).Elem()).Interface().(smithy.Serializable); ok {
		empty.Serialize(probe)
	}
	return probe.schema
}

// schemaProbe is a serializer that remembers the outermost structure and writes nothing.
type schemaProbe struct {
	smithy.ShapeSerializer // nil: a zero value writes no members
	schema                 *smithy.Schema
}

func (p *schemaProbe) WriteStruct(s *smithy.Schema) {
	if p.schema == nil {
		p.schema = s
	}
}

func (p *schemaProbe) CloseStruct() {}

// structReader decodes a structure that has a schema but no generated decoder.
type structReader struct {
	schema *smithy.Schema
	into   reflect.Value
}

// Deserialize implements smithy.Deserializable.
func (r *structReader) Deserialize(d smithy.ShapeDeserializer) error {
	return smithy.ReadStruct(d, r.schema, func(member *smithy.Schema) error {
		field := fieldByWireName(r.into, member.MemberName())
		if !field.IsValid() {
			return fmt.Errorf("%s has no field for member %q", r.into.Type(), member.MemberName())
		}
		if null, err := d.ReadNil(member); null || err != nil {
			return err
		}
		return readValue(d, member, field)
	})
}

// fieldByWireName finds the Go field of a wire member: the SDK only changes the case of the name.
func fieldByWireName(v reflect.Value, name string) reflect.Value {
	return v.FieldByNameFunc(func(field string) bool { return strings.EqualFold(field, name) })
}

var timeType = reflect.TypeFor[time.Time]()

// readValue decodes one value of any shape into v.
func readValue(d smithy.ShapeDeserializer, schema *smithy.Schema, v reflect.Value) error {
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		if own, ok := v.Interface().(smithy.Deserializable); ok {
			return own.Deserialize(d)
		}
		v = v.Elem()
	}
	if v.Type() == timeType {
		t, _ := v.Addr().Interface().(*time.Time)
		return d.ReadTime(schema, t)
	}
	switch v.Kind() {
	case reflect.Struct:
		return readStruct(d, schema, v)
	case reflect.Slice:
		return readSlice(d, schema, v)
	case reflect.Map:
		return readMap(d, schema, v)
	default:
		return readScalar(d, schema, v)
	}
}

func readStruct(d smithy.ShapeDeserializer, schema *smithy.Schema, v reflect.Value) error {
	if own, ok := v.Addr().Interface().(smithy.Deserializable); ok {
		return own.Deserialize(d)
	}
	return (&structReader{schema: schema, into: v}).Deserialize(d)
}

func readSlice(d smithy.ShapeDeserializer, schema *smithy.Schema, v reflect.Value) error {
	if v.Type().Elem().Kind() == reflect.Uint8 {
		var blob []byte
		err := d.ReadBlob(schema, &blob)
		v.SetBytes(blob)
		return err
	}
	v.Set(reflect.MakeSlice(v.Type(), 0, 0)) // an empty list on the wire is an empty list, not none
	return smithy.ReadList(d, schema, func() error {
		item := reflect.New(v.Type().Elem()).Elem()
		if err := readValue(d, schema.ListMember(), item); err != nil {
			return err
		}
		v.Set(reflect.Append(v, item))
		return nil
	})
}

func readMap(d smithy.ShapeDeserializer, schema *smithy.Schema, v reflect.Value) error {
	v.Set(reflect.MakeMap(v.Type()))
	if err := d.ReadMap(schema); err != nil {
		return err
	}
	for {
		key, more, err := d.ReadMapKey(schema)
		if err != nil || !more {
			return err
		}
		item := reflect.New(v.Type().Elem()).Elem()
		if err := readValue(d, schema.MapValue(), item); err != nil {
			return err
		}
		v.SetMapIndex(reflect.ValueOf(key).Convert(v.Type().Key()), item)
	}
}

func readScalar(d smithy.ShapeDeserializer, schema *smithy.Schema, v reflect.Value) error {
	switch v.Kind() {
	case reflect.String:
		var s string
		err := d.ReadString(schema, &s)
		v.SetString(s)
		return err
	case reflect.Bool:
		var b bool
		err := d.ReadBool(schema, &b)
		v.SetBool(b)
		return err
	case reflect.Int32:
		var n int32
		err := d.ReadInt32(schema, &n)
		v.SetInt(int64(n))
		return err
	case reflect.Int64:
		var n int64
		err := d.ReadInt64(schema, &n)
		v.SetInt(n)
		return err
	case reflect.Float64:
		var f float64
		err := d.ReadFloat64(schema, &f)
		v.SetFloat(f)
		return err
	case reflect.Float32:
		var f float32
		err := d.ReadFloat32(schema, &f)
		v.SetFloat(float64(f))
		return err
	default:
		return fmt.Errorf("member %q: a %s cannot be decoded", schema.MemberName(), v.Type())
	}
}
