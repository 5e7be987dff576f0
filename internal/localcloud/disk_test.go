package localcloud

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-cd/penstock/internal/localcloud/runtime/memory"
)

// entries lists the places of a JSON value where something is kept by name or in
// a list.
func entries(v any, at []string) (all [][]string) {
	add := func(key string, x any) {
		here := append(slices.Clone(at), key)
		if _, object := x.(map[string]any); object {
			all = append(all, here)
		}
		all = append(all, entries(x, here)...)
	}
	switch v := v.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			add(key, v[key])
		}
	case []any:
		for i, x := range v {
			add(strconv.Itoa(i), x)
		}
	}
	return all
}

// replace puts x in a place of a copy.
func replace(v any, at []string, x any) any {
	if len(at) == 0 {
		return x
	}
	switch v := v.(type) {
	case map[string]any:
		v = maps.Clone(v)
		v[at[0]] = replace(v[at[0]], at[1:], x)
		return v
	case []any:
		v = slices.Clone(v)
		i, _ := strconv.Atoi(at[0])
		v[i] = replace(v[i], at[1:], x)
		return v
	}
	return v
}

// TestDamagedState: whatever is missing in the file of the state, the local cloud
// says which file to remove. It never ends the program.
func TestDamagedState(t *testing.T) {
	dir := t.TempDir()
	inWorld(t, worldOptions{StateDir: dir}, func(w *world) {
		w.service(2)
		set := w.taskSet(w.define("demo:v1"), w.blue, 100).Id
		w.steady(set)
		w.primary(set)
		w.storeSecrets()
	})
	file := filepath.Join(dir, stateFile)
	body, err := os.ReadFile(file)
	must(t, err)
	var saved any
	must(t, json.Unmarshal(body, &saved))
	start := func(text []byte) (err error) {
		must(t, os.WriteFile(file, text, 0o600))
		synctest.Test(t, func(t *testing.T) {
			rt := memory.New(nil)
			defer rt.Close()
			cloud, no := New(Options{Runtime: rt, StateDir: dir, Seed: 7})
			must(t, no)
			if err = cloud.Start(t.Context()); err == nil {
				time.Sleep(time.Minute)
				must(t, cloud.Close())
			}
		})
		return err
	}
	refused := func(what string, text []byte) {
		t.Helper()
		if err := start(text); err == nil || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), "remove the file") {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, at := range entries(saved, nil) {
		text, err := json.Marshal(replace(saved, at, nil))
		must(t, err)
		refused(strings.Join(at, ".")+" is null", text)
	}
	refused("a part is gone", bytes.Replace(body, []byte(`"elb":`), []byte(`"elf":`), 1))
	refused("the end is cut off", body[:len(body)/2])
	refused("empty", nil)
	refused("null", []byte("null"))
	if err := start(body); err != nil {
		t.Errorf("as it was saved: %v", err)
	}
}
