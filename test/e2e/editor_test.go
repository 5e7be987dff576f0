//go:build e2e

package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The server that editors use for YAML, with the schemas that are published: it completes fields and words, and shows mistakes
// on their lines.
func TestEditorsUnderstandTheSchemas(t *testing.T) {
	e := editor(t)
	path, err := filepath.Abs("../../docs/reference/schema/ECSApp.json")
	if err != nil {
		t.Fatal(err)
	}
	good := "# yaml-language-server: $schema=file://" + path + "\n" + `apiVersion: pipecd.dev/v1beta1
kind: ECSApp
spec:
  name: shop
  input:
    taskDefinitionFile: taskdef.yaml
    accessType: ELB
  pipeline:
    stages:
      - name: ECS_CANARY_ROLLOUT
        with:
          scale: 30
`
	if found := e.open("good.yaml", good); len(found) > 0 {
		t.Errorf("mistakes in a good file: %v", found)
	}
	for name, c := range map[string]struct{ old, bad, line, want string }{
		"an unknown field": {"  input:\n", "  inputs:\n", "6", "inputs"},
		"an unknown word":  {"accessType: ELB", "accessType: NLB", "8", "SERVICE_DISCOVERY"},
		"a wrong type":     {"name: shop", "name: [shop]", "5", "string"},
		"a wrong option":   {"scale: 30", "scale: thirty", "13", "pattern"},
		"another kind":     {"kind: ECSApp", "kind: Piped", "3", "ECSApp"},
	} {
		text := strings.Replace(good, c.old, c.bad, 1)
		found := e.open(strings.ReplaceAll(name, " ", "-")+".yaml", text)
		if !slices.ContainsFunc(found, func(f string) bool {
			return strings.HasPrefix(f, c.line+":") && strings.Contains(f, c.want)
		}) {
			t.Errorf("%s: want one on line %s with %q, found %v", name, c.line, c.want, found)
		}
	}
	e.completes(good, "  input:\n    ", "serviceDefinitionFile", "targetGroups", "clusterArn")
	e.completes(strings.Replace(good, "accessType: ELB", "accessType: ", 1), "accessType: ", "ELB", "SERVICE_DISCOVERY")
	e.completes(strings.Replace(good, "name: ECS_CANARY_ROLLOUT", "name: ", 1), "- name: ", "ECS_CANARY_ROLLOUT", "ECS_TRAFFIC_ROUTING", "WAIT_APPROVAL")
	if text := e.hover(good, "taskDefinitionFile"); !strings.Contains(text, "task definition") {
		t.Errorf("over taskDefinitionFile it says %q", text)
	}
}

// languageServer speaks the Language Server Protocol 3.17 with a child.
type languageServer struct {
	t     *testing.T
	in    io.WriteCloser
	out   *bufio.Reader
	id    int
	files int
}

func editor(t *testing.T) *languageServer {
	t.Helper()
	program := filepath.Join("editor", "node_modules", "yaml-language-server", "bin", "yaml-language-server")
	if _, err := os.Stat(program); err != nil {
		const how = "the YAML language server is not installed: (cd test/e2e/editor && npm ci)"
		if os.Getenv("CI") != "" {
			t.Fatal(how)
		}
		t.Skip(how)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	cmd := exec.CommandContext(ctx, "node", program, "--stdio")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	e := &languageServer{t: t, in: in, out: bufio.NewReader(out)}
	t.Cleanup(func() {
		_ = in.Close()
		cancel()
		_ = cmd.Wait() // it was told to end
	})
	e.ask("initialize", map[string]any{
		"processId": os.Getpid(), "rootUri": nil,
		"capabilities": map[string]any{"workspace": map[string]any{"configuration": true}, "textDocument": map[string]any{"completion": map[string]any{}, "publishDiagnostics": map[string]any{}}},
	}, nil)
	e.send(map[string]any{"method": "initialized", "params": map[string]any{}})
	return e
}

type message struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  json.RawMessage `json:"error"`
}

func (e *languageServer) send(m map[string]any) {
	e.t.Helper()
	m["jsonrpc"] = "2.0"
	b, err := json.Marshal(m)
	if err != nil {
		e.t.Fatal(err)
	}
	if _, err := fmt.Fprintf(e.in, "Content-Length: %d\r\n\r\n%s", len(b), b); err != nil {
		e.t.Fatal(err)
	}
}

// next reads a message; what the server asks for is answered on the way.
func (e *languageServer) next() message {
	e.t.Helper()
	for {
		head, err := textproto.NewReader(e.out).ReadMIMEHeader()
		if err != nil {
			e.t.Fatalf("read the language server: %v", err)
		}
		n, err := strconv.Atoi(head.Get("Content-Length"))
		if err != nil {
			e.t.Fatal(err)
		}
		b := make([]byte, n)
		if _, err := io.ReadFull(e.out, b); err != nil {
			e.t.Fatal(err)
		}
		var m message
		if err := json.Unmarshal(b, &m); err != nil {
			e.t.Fatal(err)
		}
		if m.Method == "" || m.ID == nil {
			return m
		}
		e.send(map[string]any{"id": m.ID, "result": settings(m)})
	}
}

// settings switch everything off that would look elsewhere than at the schema.
func settings(m message) any {
	if m.Method != "workspace/configuration" {
		return nil
	}
	var p struct{ Items []struct{ Section string } }
	_ = json.Unmarshal(m.Params, &p) // an empty list is answered by one
	out := []any{}
	for _, one := range p.Items {
		var v any
		if one.Section == "yaml" {
			v = map[string]any{"validate": true, "completion": true, "hover": true, "schemaStore": map[string]any{"enable": false, "url": ""}}
		}
		out = append(out, v)
	}
	return out
}

func (e *languageServer) ask(method string, params, into any) {
	e.t.Helper()
	e.id++
	e.send(map[string]any{"id": e.id, "method": method, "params": params})
	for {
		m := e.next()
		if string(m.ID) != strconv.Itoa(e.id) || m.Method != "" {
			continue
		}
		if m.Error != nil {
			e.t.Fatalf("%s: %s", method, m.Error)
		}
		if into != nil {
			if err := json.Unmarshal(m.Result, into); err != nil {
				e.t.Fatal(err)
			}
		}
		return
	}
}

// open shows a file to the server and waits for what it says about it: LINE:COLUMN MESSAGE.
func (e *languageServer) open(name, text string) []string {
	e.t.Helper()
	e.files++
	uri := fmt.Sprintf("file:///repository/%d/%s", e.files, name)
	e.send(map[string]any{"method": "textDocument/didOpen", "params": map[string]any{"textDocument": map[string]any{"uri": uri, "languageId": "yaml", "version": 1, "text": text}}})
	for {
		m := e.next()
		if m.Method != "textDocument/publishDiagnostics" {
			continue
		}
		var p struct {
			URI         string
			Diagnostics []struct {
				Message string
				Range   struct{ Start struct{ Line, Character int } }
			}
		}
		if err := json.Unmarshal(m.Params, &p); err != nil {
			e.t.Fatal(err)
		}
		if p.URI != uri {
			continue
		}
		var out []string
		for _, d := range p.Diagnostics {
			out = append(out, fmt.Sprintf("%d:%d %s", d.Range.Start.Line+1, d.Range.Start.Character+1, d.Message))
		}
		return out
	}
}

// at opens the text and gives the place behind a mark.
func (e *languageServer) at(text, mark string, behind bool) map[string]any {
	e.t.Helper()
	i := strings.Index(text, mark)
	if i < 0 {
		e.t.Fatalf("the text has no %q", mark)
	}
	if behind {
		i += len(mark)
	}
	e.open("at.yaml", text)
	return map[string]any{
		"textDocument": map[string]any{"uri": fmt.Sprintf("file:///repository/%d/at.yaml", e.files)},
		"position":     map[string]any{"line": strings.Count(text[:i], "\n"), "character": i - strings.LastIndexByte(text[:i], '\n') - 1},
	}
}

// completes checks that all of the words are offered behind a mark.
func (e *languageServer) completes(text, mark string, words ...string) {
	e.t.Helper()
	var out struct {
		Items []struct{ Label string }
	}
	e.ask("textDocument/completion", e.at(text, mark, true), &out)
	var labels []string
	for _, i := range out.Items {
		labels = append(labels, i.Label)
	}
	for _, w := range words {
		if !slices.Contains(labels, w) {
			e.t.Errorf("behind %q %s is not offered: %v", mark, w, labels)
		}
	}
}

func (e *languageServer) hover(text, word string) string {
	e.t.Helper()
	var out struct{ Contents struct{ Value string } }
	e.ask("textDocument/hover", e.at(text, word, false), &out)
	return out.Contents.Value
}
