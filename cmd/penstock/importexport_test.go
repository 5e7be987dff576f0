package main

import (
	"strings"
	"testing"

	"github.com/penstock-cd/penstock/internal/spec"
)

// FuzzReadExport holds that an export gives applications that can be named, or a mistake with a place.
func FuzzReadExport(f *testing.F) {
	for _, s := range []string{
		`{"applications":[{"name":"a","kind":5,"git_path":{"path":"a","repo":{"id":"r"}}}],"cursor":"x"}`, `[{"name":"a","gitPath":{"path":"/"}}]`, `{}`, `[`, `{"pipeds":[{"id":"p"}]}`,
		`{"applications":[{"kind":{}}]}`, `{"application":null}`, `null`, `7 8`, "\ufeff{\"id\":\"a\",\"git_path\":{\"path\":\"../..\"}}", `{"applications":[null]}`, `[[]]`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		out, err := readExport("export.json", data)
		if err != nil {
			list, ok := err.(spec.Errors)
			if !ok || len(list) != 1 || list[0].Line < 1 || list[0].Column < 1 || list[0].Line > strings.Count(string(data), "\n")+1 {
				t.Errorf("%#v", err)
			}
			return
		}
		for _, a := range out.Applications {
			if strings.Contains("/"+a.Path+"/", "/../") || a.File == "" || a.Kind == "" || (a.Name == "" || a.Path == "") && a.Problem == "" {
				t.Errorf("%+v", a)
			}
		}
	})
}
