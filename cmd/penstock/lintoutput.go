package main

import (
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strings"
)

// lintFormats are the words of lint's -o.
var lintFormats = map[string]func(o *lintOptions, r lintResult) error{
	"text": (*lintOptions).printText, "json": (*lintOptions).printJSON, "sarif": (*lintOptions).printSARIF, "github": (*lintOptions).printGitHub,
}

// lintResult is what a run found.
type lintResult struct {
	Files    int       `json:"files"`
	Errors   int       `json:"errors"`
	Warnings int       `json:"warnings"`
	Problems []problem `json:"problems"`
}

// printText writes one line for each finding; a terminal also gets the line of the file.
func (o *lintOptions) printText(r lintResult) error {
	for _, p := range r.Problems {
		fmt.Fprintf(o.s.Out, "%s:%d:%d: %s: %s [%s]\n", p.File, p.Line, p.Column, o.s.paint(p.Severity), plain(p.words()), p.Doc)
		if o.s.Width > 0 {
			fmt.Fprint(o.s.Out, p.excerpt)
		}
	}
	fmt.Fprintf(o.s.Err, "%s checked: %s, %s\n", count(r.Files, "file"), count(r.Errors, "error"), count(r.Warnings, "warning"))
	return nil
}

// words are path, message and hint on one line.
func (p problem) words() string {
	text := p.Message
	if p.Path != "" {
		text = p.Path + ": " + text
	}
	if p.Hint != "" {
		text += " (" + p.Hint + ")"
	}
	return text
}

func (o *lintOptions) printJSON(r lintResult) error { return writeJSON(o.s.Out, r) }

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// printGitHub writes workflow commands, which GitHub shows beside the lines of a pull request
// (docs.github.com, Workflow commands for GitHub Actions).
func (o *lintOptions) printGitHub(r lintResult) error {
	data := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	property := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	for _, p := range r.Problems {
		fmt.Fprintf(o.s.Out, "::%s file=%s,line=%d,col=%d,title=penstock lint::%s\n", p.Severity, property.Replace(filepath.ToSlash(p.File)), p.Line, p.Column, data.Replace(plain(p.words())+" "+p.Doc))
	}
	fmt.Fprintf(o.s.Err, "%s checked: %s, %s\n", count(r.Files, "file"), count(r.Errors, "error"), count(r.Warnings, "warning"))
	return nil
}

// The part of SARIF 2.1.0 (OASIS) that a finding needs.
type (
	sarifLog struct {
		Version string     `json:"version"`
		Schema  string     `json:"$schema"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool    sarifTool     `json:"tool"`
		Results []sarifResult `json:"results"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name           string      `json:"name"`
		Version        string      `json:"version,omitempty"`
		InformationURI string      `json:"informationUri"`
		Rules          []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID      string    `json:"id"`
		HelpURI string    `json:"helpUri"`
		Short   sarifText `json:"shortDescription"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifResult struct {
		RuleID    string          `json:"ruleId"`
		Level     string          `json:"level"`
		Message   sarifText       `json:"message"`
		Locations []sarifLocation `json:"locations"`
	}
	sarifLocation struct {
		Physical sarifPhysical `json:"physicalLocation"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   sarifRegion   `json:"region"`
	}
	sarifArtifact struct {
		URI string `json:"uri"`
	}
	sarifRegion struct {
		StartLine   int `json:"startLine"`
		StartColumn int `json:"startColumn"`
	}
)

// printSARIF writes a log for code scanning. A rule is the part of the documentation that a finding belongs to.
func (o *lintOptions) printSARIF(r lintResult) error {
	run := sarifRun{Results: []sarifResult{}}
	run.Tool.Driver = sarifDriver{Name: "penstock lint", InformationURI: docsBase + "guide/lint.md", Rules: []sarifRule{}}
	seen := map[string]bool{}
	for _, p := range r.Problems {
		id := ruleOf(p.Doc)
		if !seen[id] {
			seen[id] = true
			run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRule{ID: id, HelpURI: p.Doc, Short: sarifText{"Mistakes in " + id}})
		}
		run.Results = append(run.Results, sarifResult{
			RuleID: id, Level: p.Severity, Message: sarifText{p.words()},
			Locations: []sarifLocation{{sarifPhysical{sarifArtifact{filepath.ToSlash(p.File)}, sarifRegion{p.Line, p.Column}}}},
		})
	}
	return writeJSON(o.s.Out, sarifLog{Version: "2.1.0", Schema: "https://json.schemastore.org/sarif-2.1.0.json", Runs: []sarifRun{run}})
}

// ruleOf makes a name of a documentation link: config-application/stages.
func ruleOf(doc string) string {
	name := doc[strings.LastIndex(doc, "/")+1:]
	return strings.Replace(name, ".md#", "/", 1)
}

func count(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}
