package mutate

import (
	"bytes"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// Parse reads a mutant's key. Where it is in the file is not known then; see Find.
func Parse(key string) (Mutant, error) {
	p := strings.SplitN(key, " ", 5)
	if len(p) != 5 || len(p[4]) < 3 || p[4][0] != '`' || p[4][len(p[4])-1] != '`' {
		return Mutant{}, fmt.Errorf("%q is no key of a mutant: want path, function, kind, column and `line`", key)
	}
	column, err := strconv.Atoi(p[3])
	if err != nil {
		return Mutant{}, fmt.Errorf("%q is no key of a mutant: column: %w", key, err)
	}
	dir, file := path.Split(p[0])
	if dir == "" {
		return Mutant{}, fmt.Errorf("%q is no key of a mutant: %s is in no package", key, file)
	}
	return Mutant{Dir: strings.TrimSuffix(dir, "/"), File: file, Func: p[1], Kind: p[2], Column: column, Text: p[4][1 : len(p[4])-1]}, nil
}

// Find tells where the mutant of a key is today: the first line of its function
// that reads the same. False means that the code has changed and it is gone.
func Find(root, key string) (Mutant, bool, error) {
	want, err := Parse(key)
	if err != nil {
		return Mutant{}, false, err
	}
	src, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(want.Path())))
	if os.IsNotExist(err) {
		return Mutant{}, false, nil
	} else if err != nil {
		return Mutant{}, false, err
	}
	c, err := read(want.File, src)
	if err != nil {
		return Mutant{}, false, err
	}
	for i, line := range bytes.Split(src, []byte("\n")) {
		if string(bytes.TrimSpace(line)) != want.Text {
			continue
		}
		m := want
		m.Line, m.Func, m.Text = i+1, "", ""
		if c.describe(&m) && m.Key() == key {
			return m, true, nil
		}
	}
	return Mutant{}, false, nil
}
