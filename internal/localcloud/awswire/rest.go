package awswire

import (
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"

	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/traits"

	"github.com/penstock-cd/penstock/internal/localcloud/awserr"
)

// restJson1 spreads a request over the path, the query, headers and the body. The SDK's schemas say which member goes where;
// the decoder and the encoder below follow them from the other side.

// route is the place of an operation.
type route struct {
	method string
	parts  []string // {Name} for a label
	status int      // of the answer
}

// At returns the operation with its place: the SDK's schema of the operation, such as schemas.GetFunction.
func (o Operation) At(schema *smithy.Schema) Operation {
	if t, ok := smithy.SchemaTrait[*traits.HTTP](schema); ok {
		path, _, _ := strings.Cut(t.URI, "?")
		o.route = route{method: t.Method, parts: strings.Split(strings.Trim(path, "/"), "/"), status: t.Code}
	}
	return o
}

// match reads the labels out of a path.
func (r route) match(method string, parts []string) (map[string]string, bool) {
	if r.method != method || len(r.parts) != len(parts) {
		return nil, false
	}
	labels := map[string]string{}
	for i, want := range r.parts {
		if name, ok := strings.CutPrefix(want, "{"); ok {
			labels[strings.TrimRight(name, "+}")] = parts[i]
		} else if want != parts[i] {
			return nil, false
		}
	}
	return labels, true
}

// readREST finds the operation of a request by method and path; false when no service of this protocol has it.
func (s *Server) readREST(w http.ResponseWriter, req *request) (bool, error) {
	path := strings.Trim(req.http.URL.EscapedPath(), "/")
	if path == "" || len(s.rest) == 0 || req.http.Header.Get("X-Amz-Target") != "" || guessProtocol(req.http) == QueryXML {
		return false, nil
	}
	parts := strings.Split(path, "/")
	for i, p := range parts {
		if text, err := url.PathUnescape(p); err == nil {
			parts[i] = text
		}
	}
	for _, service := range s.rest {
		for name, op := range service.ops {
			if labels, ok := op.route.match(req.http.Method, parts); ok {
				req.service, req.op, req.labels = service, name, labels
				return true, req.take(w, maxRESTBody)
			}
		}
	}
	req.service = Service{protocol: RESTJSON}
	return true, &awserr.Error{Code: "UnknownOperationException", Message: fmt.Sprintf("%s %s is not an operation that this endpoint serves.", req.http.Method, req.http.URL.Path), Status: http.StatusNotFound}
}

// decodeREST reads a request into an SDK input.
func (c jsonCodec) decodeREST(req *request, in any) error {
	shape, ok := in.(smithy.Serializable)
	if !ok {
		return fmt.Errorf("%T has no schema", in)
	}
	into := reflect.ValueOf(in).Elem()
	var payload *smithy.Schema
	for name, member := range schemaOf(shape).Members() {
		field := fieldByWireName(into, name)
		switch {
		case !field.IsValid():
		case has[*traits.HTTPLabel](member):
			if err := setText(field, []string{req.labels[name]}); err != nil {
				return err
			}
		case has[*traits.HTTPQuery](member):
			t, _ := smithy.SchemaTrait[*traits.HTTPQuery](member)
			if err := setText(field, req.http.URL.Query()[t.Name]); err != nil {
				return fmt.Errorf("%s: %w", t.Name, err)
			}
		case has[*traits.HTTPHeader](member):
			t, _ := smithy.SchemaTrait[*traits.HTTPHeader](member)
			if err := setText(field, req.http.Header.Values(t.Name)); err != nil {
				return fmt.Errorf("%s: %w", t.Name, err)
			}
		case has[*traits.HTTPPayload](member):
			payload = member
		}
	}
	if payload == nil {
		return c.decode(req.body, in)
	}
	if field := fieldByWireName(into, payload.MemberName()); field.Kind() == reflect.Slice && len(req.body) > 0 {
		field.SetBytes(req.body)
	}
	return nil
}

func has[T smithy.Trait](s *smithy.Schema) bool {
	_, ok := smithy.SchemaTrait[T](s)
	return ok
}

// setText gives a field what stands in a path, a query or a header; no text leaves it.
func setText(field reflect.Value, values []string) error {
	if len(values) == 0 || len(values) == 1 && values[0] == "" {
		return nil
	}
	if field.Kind() == reflect.Pointer {
		field.Set(reflect.New(field.Type().Elem()))
		field = field.Elem()
	}
	switch field.Kind() {
	case reflect.String:
		field.SetString(values[0])
	case reflect.Slice:
		field.Set(reflect.ValueOf(values).Convert(field.Type()))
	case reflect.Bool:
		b, err := strconv.ParseBool(values[0])
		if err != nil {
			return fmt.Errorf("%q is not true or false", values[0])
		}
		field.SetBool(b)
	case reflect.Int32, reflect.Int64:
		n, err := strconv.ParseInt(values[0], 10, 32)
		if err != nil {
			return fmt.Errorf("%q is not a number", values[0])
		}
		field.SetInt(n)
	default:
		return fmt.Errorf("a %s cannot be decoded", field.Type())
	}
	return nil
}

// encodeREST writes an SDK output: status, headers and body.
func (c jsonCodec) encodeREST(req *request, header http.Header, out any) (status int, body []byte, err error) {
	shape, ok := out.(smithy.Serializable)
	if !ok {
		return 0, nil, fmt.Errorf("%T cannot be serialised", out)
	}
	op, _ := req.service.Operation(req.op)
	status = op.route.status
	from, raw := reflect.ValueOf(out).Elem(), false
	schema := schemaOf(shape)
	if schema == nil { // an answer without members
		return status, nil, nil
	}
	for name, member := range schema.Members() {
		field := fieldByWireName(from, name)
		if !field.IsValid() {
			continue
		}
		if t, ok := smithy.SchemaTrait[*traits.HTTPHeader](member); ok {
			if field.Kind() == reflect.Pointer && !field.IsNil() {
				header.Set(t.Name, fmt.Sprint(field.Elem().Interface()))
			}
		}
		if has[*traits.HTTPResponseCode](member) && field.Int() != 0 {
			status = int(field.Int())
		}
		if has[*traits.HTTPPayload](member) {
			body, raw = field.Bytes(), true
		}
	}
	if raw || status == http.StatusNoContent {
		return status, body, nil
	}
	body, err = c.encodeAnswer(out)
	return status, body, err
}
