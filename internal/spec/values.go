package spec

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Replicas is a size given as a count or as a percentage of the running size.
type Replicas struct {
	Number  int
	Percent bool
}

// Of is the count for a running size, rounded up. Nothing and 0 mean 1.
func (r Replicas) Of(running int) int {
	n := r.Number
	if r.Percent {
		n = int(math.Ceil(float64(running) * float64(r.Number) / 100))
	}
	if r.Number == 0 {
		return 1
	}
	return n
}

// String gives the form of the file: 3 or 20%.
func (r Replicas) String() string {
	if r.Percent {
		return strconv.Itoa(r.Number) + "%"
	}
	return strconv.Itoa(r.Number)
}

// parseDuration returns the duration, or a message with a hint.
func parseDuration(n Node) (d time.Duration, hint, problem string) {
	const want = "must be a duration such as 10s or 1h30m, found "
	switch n.Kind() {
	case IntNode, FloatNode:
		if n.p.number == 0 {
			return 0, "", ""
		}
		return 0, fmt.Sprintf("add the unit: %ss for seconds", quoteBare(n.p.text)), want + found(n) + " without a unit"
	case StringNode:
		d, err := time.ParseDuration(n.p.text)
		if err == nil {
			return d, "", ""
		}
		return 0, durationHint(n.p.text), want + found(n)
	default:
		return 0, "", want + found(n)
	}
}

func durationHint(s string) string {
	if _, err := strconv.ParseFloat(s, 64); err == nil {
		return fmt.Sprintf("add the unit: %ss for seconds", s)
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n > -10_000 && n < 10_000 {
			return fmt.Sprintf("days are not known; write %dh", n*24)
		}
	}
	if joined := strings.ReplaceAll(s, " ", ""); joined != s {
		if _, err := time.ParseDuration(joined); err == nil {
			return "write it without spaces: " + joined
		}
	}
	return "units are h, m, s, ms, us and ns"
}

// parsePercent reads a base-10 whole number with at most one % at its end.
func parsePercent(n Node) (int, bool) {
	if i, ok := n.p.asWhole(); ok {
		return int(i), true
	}
	if n.Kind() != StringNode {
		return 0, false
	}
	i, err := strconv.Atoi(strings.TrimSuffix(n.p.text, "%"))
	return i, err == nil
}

func parseReplicas(n Node) (Replicas, bool) {
	switch n.Kind() {
	case IntNode, FloatNode:
		if math.IsNaN(n.p.number) || math.Abs(n.p.number) > math.MaxInt32 {
			return Replicas{}, false
		}
		return Replicas{Number: int(n.p.number)}, true
	case StringNode:
		i, ok := parsePercent(n)
		return Replicas{Number: i, Percent: strings.HasSuffix(n.p.text, "%")}, ok
	}
	return Replicas{}, false
}
