package localcloud

import (
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"time"

	"github.com/penstock-cd/penstock/internal/localcloud/awswire"
)

// Fault changes what happens to calls that match it. The zero fault of an operation does nothing.
type Fault struct {
	// ID is given by Inject.
	ID int `json:"id"`
	// Operation is a pattern over "service.Operation", for example "ecs.CreateTaskSet", "ecs.*" or "*".
	Operation string `json:"operation"`
	// Code refuses the call with this error code, Message and Status (default 400; use 500 for server errors).
	Code    string `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
	Status  int    `json:"status,omitempty"`
	// Count is how many calls the fault meets before it is used up; 0 has no end.
	Count int `json:"count,omitempty"`
	// Probability is the share of matching calls it meets, above 0 to 1; 0 means all.
	Probability float64 `json:"probability,omitempty"`
	// Latency is added to the call.
	Latency Duration `json:"latency,omitempty"`
	// LostResponse carries the call out and then drops the connection instead of answering.
	LostResponse bool `json:"lostResponse,omitempty"`
	// AppliedLate carries the call out after this time; its client gets no answer.
	AppliedLate Duration `json:"appliedLate,omitempty"`
}

// Duration is a time.Duration that is written as Go writes it ("1.5s") in JSON.
type Duration time.Duration

// D returns the time.Duration.
func (d Duration) D() time.Duration { return time.Duration(d) }

// MarshalJSON implements json.Marshaler.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(d).String()) }

// UnmarshalJSON implements json.Unmarshaler.
func (d *Duration) UnmarshalJSON(body []byte) error {
	var text string
	if err := json.Unmarshal(body, &text); err != nil {
		return fmt.Errorf("a duration is a string like \"1.5s\": %w", err)
	}
	parsed, err := time.ParseDuration(text)
	if err != nil {
		return err
	}
	*d = Duration(parsed)
	return nil
}

func (f *Fault) check() error {
	if _, err := path.Match(f.Operation, ""); err != nil || f.Operation == "" {
		return fmt.Errorf("operation %q is not a pattern like ecs.CreateTaskSet or ecs.*", f.Operation)
	}
	if f.Count < 0 || f.Probability < 0 || f.Probability > 1 || f.Latency < 0 || f.AppliedLate < 0 {
		return fmt.Errorf("count, latency and appliedLate cannot be negative; probability is between 0 and 1")
	}
	if f.Status != 0 && (f.Status < 400 || f.Status > 599) {
		return fmt.Errorf("status %d is not between 400 and 599", f.Status)
	}
	if f.Code == "" && f.Latency == 0 && !f.LostResponse && f.AppliedLate == 0 {
		return fmt.Errorf("the fault does nothing: give code, latency, lostResponse or appliedLate")
	}
	return nil
}

// Inject adds a fault and returns its id. Faults are tried in the order in which they were added; the first that meets a call is used.
func (c *Cloud) Inject(f Fault) (int, error) {
	if err := f.check(); err != nil {
		return 0, fmt.Errorf("inject fault: %w", err)
	}
	c.gate.mu.Lock()
	defer c.gate.mu.Unlock()
	c.gate.nextID++
	f.ID = c.gate.nextID
	c.gate.faults = append(c.gate.faults, &f)
	return f.ID, nil
}

// Faults returns the faults that are still in effect.
func (c *Cloud) Faults() []Fault {
	c.gate.mu.Lock()
	defer c.gate.mu.Unlock()
	out := []Fault{}
	for _, f := range c.gate.faults {
		out = append(out, *f)
	}
	return out
}

// ClearFaults removes all faults.
func (c *Cloud) ClearFaults() {
	c.gate.mu.Lock()
	defer c.gate.mu.Unlock()
	c.gate.faults = nil
}

// match finds the fault for a call and uses one of its counts.
func (g *gate) match(call awswire.Call) Fault {
	g.mu.Lock()
	defer g.mu.Unlock()
	name := call.Service + "." + call.Operation
	for i, f := range g.faults {
		if ok, _ := path.Match(f.Operation, name); !ok {
			continue
		}
		if f.Probability > 0 && g.rnd.Float64() >= f.Probability {
			continue
		}
		met := *f
		if f.Count > 0 {
			if f.Count--; f.Count == 0 {
				g.faults = slices.Delete(g.faults, i, i+1)
			}
		}
		return met
	}
	return Fault{}
}

// Calls returns how often each operation was called, by "service.Operation", and the writes in order.
func (c *Cloud) Calls() (map[string]Count, []Write) {
	c.gate.mu.Lock()
	defer c.gate.mu.Unlock()
	counts := make(map[string]Count, len(c.gate.counts))
	for name, n := range c.gate.counts {
		counts[name] = *n
	}
	return counts, slices.Clone(c.gate.writes)
}
