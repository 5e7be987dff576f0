package spec

import (
	"encoding/base64"
	"math"
	"regexp"
	"strconv"
	"strings"
)

// floatForm is what YAML 1.1 files in the field mean by a decimal number; Go's own parser takes more ("Inf", "0x1p4").
var floatForm = regexp.MustCompile(`^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`)

// resolvePlain finds the type of an unquoted scalar by YAML 1.1: yes, no, on, off, y and n are booleans, a leading zero
// means octal, 0x hexadecimal and 0b binary, underscores group digits. Dates are texts, and base 60 is not known.
func resolvePlain(p *node, text string) {
	p.text = text
	switch text {
	case "", "~", "null", "Null", "NULL":
		p.kind = NullNode
		return
	case "y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "true", "True", "TRUE":
		p.kind, p.truth = BoolNode, true
		return
	case "n", "N", "no", "No", "NO", "off", "Off", "OFF", "false", "False", "FALSE":
		p.kind = BoolNode
		return
	case ".nan", ".NaN", ".NAN":
		p.kind, p.number = FloatNode, math.NaN()
		return
	case ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF":
		p.kind, p.number = FloatNode, math.Inf(1)
		return
	case "-.inf", "-.Inf", "-.INF":
		p.kind, p.number = FloatNode, math.Inf(-1)
		return
	}
	if !resolveNumber(p, text) {
		p.kind = StringNode
	}
}

// resolveNumber fills p when text is a number.
func resolveNumber(p *node, text string) bool {
	if !strings.ContainsAny(text[:1], "+-.0123456789") {
		return false
	}
	digits := strings.ReplaceAll(text, "_", "")
	if i, err := strconv.ParseInt(digits, 0, 64); err == nil {
		p.kind, p.whole, p.number = IntNode, i, float64(i)
		return true
	}
	if !floatForm.MatchString(digits) {
		return false
	}
	f, err := strconv.ParseFloat(digits, 64)
	if err != nil {
		return false
	}
	p.kind, p.number = FloatNode, f
	return true
}

// resolveTagged reads a scalar with an explicit tag such as !!str; false means that the text is not of that type.
func resolveTagged(p *node, tag, text string) bool {
	p.text = text
	switch tag {
	case "!!bool", "!!int", "!!float", "!!null":
		resolvePlain(p, text)
		want := map[string]NodeKind{"!!bool": BoolNode, "!!int": IntNode, "!!float": FloatNode, "!!null": NullNode}[tag]
		if tag == "!!float" && p.kind == IntNode {
			p.kind = FloatNode
		}
		return p.kind == want
	case "!!binary":
		data, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
		p.kind, p.text = StringNode, string(data)
		return err == nil
	default:
		p.kind = StringNode
		return true
	}
}

// asWhole is the number of a node when it has no fraction: 1e2 counts as 100, as it does once written as JSON.
func (p *node) asWhole() (int64, bool) {
	switch {
	case p.kind == IntNode:
		return p.whole, true
	case p.kind == FloatNode && p.number == math.Trunc(p.number) && math.Abs(p.number) < 1<<53:
		return int64(p.number), true
	}
	return 0, false
}

// keyText is an object key as text: a YAML 1.1 boolean or number is turned into its normal form, so that a bare on becomes
// true and 010 becomes 8. False means that the key cannot be text.
func (p *node) keyText() (string, bool) {
	switch p.kind {
	case StringNode:
		return p.text, true
	case BoolNode:
		return strconv.FormatBool(p.truth), true
	case IntNode:
		return strconv.FormatInt(p.whole, 10), true
	case FloatNode:
		return strconv.FormatFloat(p.number, 'g', -1, 64), true
	}
	return "", false
}
