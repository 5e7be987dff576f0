package lambda

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Dump is the state for people and tests.
type Dump struct {
	Functions []DumpFunction `json:"functions"`
}

// DumpFunction is one function.
type DumpFunction struct {
	Name     string            `json:"name"`
	Latest   DumpVersion       `json:"latest"`
	Versions []DumpVersion     `json:"versions"`
	Aliases  []DumpAlias       `json:"aliases"`
	URLs     map[string]string `json:"urls,omitempty"` // by alias
	Tags     map[string]string `json:"tags,omitempty"`
	// Invoked counts invocations by version.
	Invoked map[string]int `json:"invoked,omitempty"`
}

// DumpVersion is $LATEST or a version.
type DumpVersion struct {
	Number      string `json:"number"`
	Description string `json:"description,omitempty"`
	State       string `json:"state"`
	Update      string `json:"update,omitempty"`
	Code        string `json:"code"` // the image, or the hash
}

// DumpAlias is one alias.
type DumpAlias struct {
	Name    string             `json:"name"`
	Version string             `json:"version"`
	Weights map[string]float64 `json:"weights,omitempty"`
}

// Dump returns the present state.
func (c *Lambda) Dump() Dump {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := Dump{Functions: []DumpFunction{}}
	for _, name := range slices.Sorted(maps.Keys(c.st.Functions)) {
		f := c.st.Functions[name]
		d := DumpFunction{Name: name, Latest: dumped(f.Latest), Versions: []DumpVersion{}, Aliases: []DumpAlias{}, URLs: map[string]string{}, Tags: maps.Clone(f.Tags), Invoked: maps.Clone(f.Invoked)}
		for _, n := range f.numbers() {
			d.Versions = append(d.Versions, dumped(f.Versions[n]))
		}
		for _, n := range slices.Sorted(maps.Keys(f.Aliases)) {
			a := f.Aliases[n]
			d.Aliases = append(d.Aliases, DumpAlias{Name: n, Version: a.Version, Weights: maps.Clone(a.Weights)})
		}
		for q, u := range f.URLs {
			d.URLs[q] = u.URL
		}
		out.Functions = append(out.Functions, d)
	}
	return out
}

func dumped(v *version) DumpVersion {
	code := v.Code.Image
	if code == "" {
		code = aws.ToString(v.Config.CodeSha256)
	}
	return DumpVersion{
		Number: aws.ToString(v.Config.Version), Description: aws.ToString(v.Config.Description), State: string(v.Config.State), Update: string(v.Config.LastUpdateStatus), Code: code,
	}
}

// Save returns the control plane's state for the disk.
func (c *Lambda) Save() ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	body, err := json.Marshal(c.st)
	if err != nil {
		return nil, fmt.Errorf("save lambda state: %w", err)
	}
	return body, nil
}

// Load replaces the state by what Save returned. What was being set up begins that again; function URLs get new addresses.
func (c *Lambda) Load(body []byte) error {
	st := newState()
	if err := json.Unmarshal(body, st); err != nil {
		return fmt.Errorf("load lambda state: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.st = st
	for _, name := range slices.Sorted(maps.Keys(st.Functions)) {
		f := st.Functions[name]
		for _, v := range append([]*version{f.Latest}, slices.Collect(maps.Values(f.Versions))...) {
			if v.Config.State == "Pending" || v.Config.LastUpdateStatus == "InProgress" {
				c.settle(v)
			}
		}
		for _, q := range slices.Sorted(maps.Keys(f.URLs)) {
			c.open(f.URLs[q])
		}
	}
	return nil
}
