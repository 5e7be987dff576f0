package mutate

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
)

// becomes says which token takes the place of which, by the tool's kinds.
var becomes = map[string]map[string]string{
	"ARITHMETIC_BASE":       {"+": "-", "-": "+", "*": "/", "/": "*", "%": "*"},
	"CONDITIONALS_BOUNDARY": {">=": ">", ">": ">=", "<=": "<", "<": "<="},
	"CONDITIONALS_NEGATION": {"==": "!=", "!=": "==", ">=": "<", ">": "<=", "<=": ">", "<": ">="},
	"INCREMENT_DECREMENT":   {"++": "--", "--": "++"},
	"INVERT_ASSIGNMENTS":    {"+=": "-=", "-=": "+=", "*=": "/=", "/=": "*="},
	"INVERT_BITWISE":        {"&": "|", "|": "&", "^": "&", "&^": "&", "<<": ">>", ">>": "<<"},
	"INVERT_BWASSIGN":       {"&=": "|=", "|=": "&=", "^=": "&=", "&^=": "&=", "<<=": ">>=", ">>=": "<<="},
	"INVERT_LOGICAL":        {"&&": "||", "||": "&&"},
	"INVERT_LOOPCTRL":       {"break": "continue", "continue": "break"},
	"INVERT_NEGATIVES":      {"-": "+"},
	"REMOVE_SELF_ASSIGNMENTS": {
		"+=": "=", "-=": "=", "*=": "=", "/=": "=", "%=": "=", "&=": "=", "|=": "=", "^=": "=", "&^=": "=", "<<=": "=", ">>=": "=",
	},
}

// Apply gives the source with the mistake in it.
func (m Mutant) Apply(src []byte) ([]byte, error) {
	at, err := offset(src, m.Line, m.Column)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m, err)
	}
	from := ""
	for t := range becomes[m.Kind] {
		if bytes.HasPrefix(src[at:], []byte(t)) && len(t) > len(from) {
			from = t
		}
	}
	if from == "" {
		return nil, fmt.Errorf("%s: nothing is known to do here", m)
	}
	return slices.Concat(src[:at], []byte(becomes[m.Kind][from]), src[at+len(from):]), nil
}

func offset(src []byte, line, column int) (int, error) {
	at := 0
	for range line - 1 {
		n := bytes.IndexByte(src[at:], '\n')
		if n < 0 {
			return 0, fmt.Errorf("there is no line %d", line)
		}
		at += n + 1
	}
	if at += column - 1; at >= len(src) {
		return 0, fmt.Errorf("there is no column %d in line %d", column, line)
	}
	return at, nil
}

// code is a parsed file.
type code struct {
	set  *token.FileSet
	file *ast.File
	src  []byte
}

func read(name string, src []byte) (*code, error) {
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, name, src, parser.SkipObjectResolution)
	return &code{set: set, file: f, src: src}, err
}

// describe fills in where a mutant is, and says whether it is one that the
// system's behaviour can show.
func (c *code) describe(m *Mutant) bool {
	at, err := offset(c.src, m.Line, m.Column)
	if err != nil {
		return false
	}
	pos := c.set.File(c.file.Pos()).Pos(at)
	lines := bytes.Split(c.src, []byte("\n"))
	m.Text = string(bytes.TrimSpace(lines[m.Line-1]))
	around := enclosing(c.file, pos)
	for _, n := range around {
		switch n := n.(type) {
		case *ast.FuncDecl:
			m.Func = name(n)
		case *ast.CallExpr:
			if tells(n) {
				return false
			}
		case *ast.IfStmt:
			if within(n.Cond, pos) && n.Else == nil && onlyTells(n.Body.List) {
				return false
			}
		case *ast.CaseClause:
			if onlyTells(n.Body) && len(n.Body) > 0 && slices.ContainsFunc(n.List, func(x ast.Expr) bool { return within(x, pos) }) {
				return false
			}
		}
	}
	return m.Func != "" && m.Func != "String" && !strings.HasSuffix(m.Func, ".String")
}

// enclosing are the nodes around a position, from the outside inwards.
func enclosing(f *ast.File, pos token.Pos) (nodes []ast.Node) {
	ast.Inspect(f, func(n ast.Node) bool {
		if n == nil || !within(n, pos) {
			return false
		}
		nodes = append(nodes, n)
		return true
	})
	return nodes
}

func within(n ast.Node, pos token.Pos) bool { return n.Pos() <= pos && pos < n.End() }

func name(f *ast.FuncDecl) string {
	if f.Recv == nil || len(f.Recv.List) == 0 {
		return f.Name.Name
	}
	t := f.Recv.List[0].Type
	if s, ok := t.(*ast.StarExpr); ok {
		t = s.X
	}
	if id, ok := t.(*ast.Ident); ok {
		return id.Name + "." + f.Name.Name
	}
	return f.Name.Name
}

// tellers are the calls that only log, measure or word something.
var tellers = []string{
	"Debug", "Info", "Warn", "Error", "Logf", "DebugContext", "InfoContext", "WarnContext", "ErrorContext", // log/slog and stage logs
	"Inc", "Observe", "WithLabelValues", "SetToCurrentTime", // metrics
	"Errorf", "Sprintf", "Sprint", "Appendf",
}

func tells(c *ast.CallExpr) bool {
	s, ok := c.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	if x, ok := s.X.(*ast.Ident); ok && x.Name == "errors" && s.Sel.Name == "New" {
		return true
	}
	return slices.Contains(tellers, s.Sel.Name) && len(c.Args)+strings.Count(s.Sel.Name, "Inc") > 0
}

// onlyTells: statements that leave nothing behind but words and figures.
func onlyTells(list []ast.Stmt) bool {
	for _, s := range list {
		x, ok := s.(*ast.ExprStmt)
		if !ok {
			return false
		}
		c, ok := x.X.(*ast.CallExpr)
		if !ok || !tells(c) {
			return false
		}
	}
	return true
}
