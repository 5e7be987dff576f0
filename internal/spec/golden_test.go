package spec

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestAccepted decodes every file of testdata/ok and compares all that was understood, and every warning, with the golden
// file beside it.
func TestAccepted(t *testing.T) {
	files, err := filepath.Glob("testdata/ok/*.yaml")
	if err != nil || len(files) < 10 {
		t.Fatalf("found %d files: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data := readFile(t, file)
			value, warnings, err := decodeByName(filepath.Base(file), data)
			if err != nil {
				t.Fatal(err)
			}
			got := dump(reflect.ValueOf(value), "") + "\n"
			if len(warnings) > 0 {
				got += "--- warnings\n" + warnings.String() + "\n"
			}
			golden := strings.TrimSuffix(file, ".yaml") + ".golden"
			if *update {
				writeFile(t, golden, got)
			}
			if diff := cmp.Diff(string(readFile(t, golden)), got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestRefused decodes every broken file of testdata/bad and compares the message, its place and the excerpt exactly.
func TestRefused(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.txtar")
	if err != nil || len(files) < 25 {
		t.Fatalf("found %d files: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			archive := txtar.Parse(readFile(t, file))
			in := archive.Files[0]
			_, _, err := decodeByName(in.Name, in.Data)
			list, ok := err.(Errors)
			if !ok {
				t.Fatalf("accepted, or not a list of problems: %v", err)
			}
			got := list.Detail(func(string) []byte { return in.Data })
			if *update {
				archive.Files = []txtar.File{in, {Name: "want", Data: []byte(got)}}
				writeFile(t, file, string(txtar.Format(archive)))
			}
			if want := txtar.Parse(readFile(t, file)).Files[1]; want.Name != "want" || string(want.Data) != got {
				t.Error(cmp.Diff(string(want.Data), got))
			}
			checkPlaces(t, in.Data, list)
		})
	}
}

// decodeByName reads an agent's file when the name starts with piped, else an application.
func decodeByName(name string, data []byte) (any, Warnings, error) {
	if strings.HasPrefix(name, "piped") {
		return ReadPiped("piped.yaml", data)
	}
	return ReadApplication("app.pipecd.yaml", data)
}

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func writeFile(t *testing.T, name, data string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(data), 0o644); err != nil {
		t.Fatal(err)
	}
}

// dump writes every field that is not zero, one per line.
func dump(v reflect.Value, indent string) string {
	switch x := v.Interface().(type) {
	case Node:
		data, err := x.MarshalJSON()
		if err != nil {
			return err.Error()
		}
		return fmt.Sprintf("%s @%d:%d", data, x.Pos().Line, x.Pos().Column)
	case Pos:
		return fmt.Sprintf("@%d:%d", x.Line, x.Column)
	case Matcher:
		return fmt.Sprintf("patterns %q", x.Patterns())
	case time.Duration:
		return x.String()
	case Secret:
		return "secret " + fmt.Sprintf("%q", x.Reveal())
	}
	switch v.Kind() {
	case reflect.Pointer:
		return dump(v.Elem(), indent)
	case reflect.Struct:
		return dumpStruct(v, indent)
	case reflect.Slice:
		var b strings.Builder
		for i := range v.Len() {
			fmt.Fprintf(&b, "\n%s- %s", indent, dump(v.Index(i), indent+"  "))
		}
		return b.String()
	case reflect.Map:
		var lines []string
		for _, k := range v.MapKeys() {
			lines = append(lines, fmt.Sprintf("\n%s%q: %s", indent, k, dump(v.MapIndex(k), indent+"  ")))
		}
		slices.Sort(lines)
		return strings.Join(lines, "")
	case reflect.String:
		return fmt.Sprintf("%q", v)
	default:
		return fmt.Sprint(v)
	}
}

func dumpStruct(v reflect.Value, indent string) string {
	var b strings.Builder
	for i := range v.NumField() {
		field := v.Field(i)
		if field.IsZero() {
			continue
		}
		if n, ok := field.Interface().(Node); ok && n.Kind() == MissingNode {
			continue
		}
		fmt.Fprintf(&b, "\n%s%s: %s", indent, v.Type().Field(i).Name, dump(field, indent+"  "))
	}
	return b.String()
}
