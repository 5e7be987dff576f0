package awswire

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"reflect"
	"sort"
	"strconv"
	"time"
)

// encodeXML writes a Query answer: <OpResponse xmlns><OpResult>…</OpResult><ResponseMetadata><RequestId/></ResponseMetadata></OpResponse>. Nil
// members are left out; empty lists are written as empty elements.
func encodeXML(op, xmlns, requestID string, out any) ([]byte, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, `<%sResponse xmlns="%s"><%sResult>`, op, xmlns, op)
	v := reflect.ValueOf(out)
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if err := xmlMembers(&b, v); err != nil {
		return nil, fmt.Errorf("encode %s: %w", op, err)
	}
	fmt.Fprintf(&b, `</%sResult><ResponseMetadata><RequestId>%s</RequestId></ResponseMetadata></%sResponse>`, op, requestID, op)
	return b.Bytes(), nil
}

func xmlMembers(b *bytes.Buffer, v reflect.Value) error {
	t := v.Type()
	for i := range t.NumField() {
		field := t.Field(i)
		if !field.IsExported() || field.Name == "ResultMetadata" || xmlAbsent(v.Field(i)) {
			continue
		}
		if err := xmlElement(b, field.Name, v.Field(i)); err != nil {
			return err
		}
	}
	return nil
}

// xmlAbsent reports whether a member is not set: nil, or an enumeration without a value.
func xmlAbsent(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return v.IsNil()
	case reflect.String:
		return v.Len() == 0
	default:
		return false
	}
}

func xmlElement(b *bytes.Buffer, name string, v reflect.Value) error {
	b.WriteString("<" + name + ">")
	if err := xmlValue(b, v); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	b.WriteString("</" + name + ">")
	return nil
}

func xmlValue(b *bytes.Buffer, v reflect.Value) error {
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if v.Type() == timeType {
		t, _ := v.Interface().(time.Time)
		b.WriteString(t.UTC().Format("2006-01-02T15:04:05.000Z"))
		return nil
	}
	switch v.Kind() {
	case reflect.Struct:
		return xmlMembers(b, v)
	case reflect.Slice:
		return xmlList(b, v)
	case reflect.Map:
		return xmlMap(b, v)
	case reflect.String:
		return xml.EscapeText(b, []byte(v.String()))
	case reflect.Bool:
		b.WriteString(strconv.FormatBool(v.Bool()))
	case reflect.Int32, reflect.Int64:
		b.WriteString(strconv.FormatInt(v.Int(), 10))
	case reflect.Float32, reflect.Float64:
		b.WriteString(strconv.FormatFloat(v.Float(), 'g', -1, v.Type().Bits()))
	default:
		return fmt.Errorf("a %s cannot be encoded", v.Type())
	}
	return nil
}

func xmlList(b *bytes.Buffer, v reflect.Value) error {
	if v.Type().Elem().Kind() == reflect.Uint8 {
		b.WriteString(base64.StdEncoding.EncodeToString(v.Bytes()))
		return nil
	}
	for i := range v.Len() {
		if err := xmlElement(b, "member", v.Index(i)); err != nil {
			return err
		}
	}
	return nil
}

func xmlMap(b *bytes.Buffer, v reflect.Value) error {
	keys := v.MapKeys()
	sort.Slice(keys, func(i, j int) bool { return keys[i].String() < keys[j].String() })
	for _, key := range keys {
		b.WriteString("<entry><key>")
		if err := xml.EscapeText(b, []byte(key.String())); err != nil {
			return err
		}
		b.WriteString("</key>")
		if err := xmlElement(b, "value", v.MapIndex(key)); err != nil {
			return err
		}
		b.WriteString("</entry>")
	}
	return nil
}
