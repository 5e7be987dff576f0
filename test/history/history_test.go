package history

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/engine"
	"github.com/penstock-cd/penstock/test/world"
)

var update = flag.Bool("update", false, "record the stories that have no file yet")

// story is what is recorded.
type story func(*world.World)

// onFake are the stories on the fake platform; see onECS.
var onFake = map[string]story{
	"canary": func(w *world.World) {
		push(w, "v1", nil)
		until(w, 1, "SUCCESS")
		push(w, "v2", nil)
		until(w, 2, "SUCCESS")
	},
	"rolled-back": func(w *world.World) {
		push(w, "v1", nil)
		until(w, 1, "SUCCESS")
		push(w, "v2", map[string]string{"failAt": "FAKE_CANARY_CLEAN/remove"})
		until(w, 2, "ROLLED_BACK")
		push(w, "v1", nil)
		until(w, 3, "SUCCESS")
	},
	"cancelled": func(w *world.World) {
		push(w, "v1", nil)
		until(w, 1, "SUCCESS")
		push(w, "v2", nil)
		w.Tick(40 * time.Second)
		if d, ok := w.Deployment("web", 2); ok {
			if err := w.Cancel("bob", d.ID, ""); err != nil {
				w.T.Error(err)
			}
		}
		until(w, 2, "ROLLED_BACK")
	},
	"superseded": func(w *world.World) {
		push(w, "v1", nil)
		until(w, 1, "SUCCESS")
		for _, v := range []string{"v2", "v3", "v4"} {
			push(w, v, nil)
			w.Tick(30 * time.Second)
		}
		until(w, 4, "SUCCESS")
	},
	"needs-attention": func(w *world.World) {
		push(w, "v1", nil)
		until(w, 1, "SUCCESS")
		push(w, "v2", map[string]string{"failAt": "FAKE_ROLLBACK/verify", "unhealthyAfter": "40s"})
		until(w, 2, "NEEDS_ATTENTION")
	},
	"taken-over": func(w *world.World) {
		push(w, "v1", nil)
		until(w, 1, "SUCCESS")
		push(w, "v2", nil)
		w.Tick(30 * time.Second)
		w.Process("a1").Kill()
		w.StartAgent("b1")
		w.StopServer(4 * time.Second)
		until(w, 2, "SUCCESS")
	},
	"invalid": func(w *world.World) {
		push(w, "v1", nil)
		until(w, 1, "SUCCESS")
		w.Commit("main", "broken", map[string]string{world.AppFile("web"): "kind: FakeApp\nspec: [\n"})
		w.Tick(30 * time.Second)
		push(w, "v2", nil)
		until(w, 2, "SUCCESS")
	},
	"first-deployment-fails": func(w *world.World) {
		push(w, "v1", map[string]string{"neverHealthy": "true", "give": "30"})
		until(w, 1, "ROLLED_BACK")
	},
}

func push(w *world.World, version string, orders map[string]string) {
	set := map[string]string{"version": version, "startAfter": "2s"}
	for k, v := range orders {
		set[k] = v
	}
	w.Commit("main", version, map[string]string{world.AppFile("web"): world.FakeApp("web", set, world.FakeCanary)})
}

func until(w *world.World, n int, display string) {
	last := ""
	for range 600 {
		w.Tick(time.Second)
		if !w.Up() {
			continue
		}
		d, _ := w.Deployment("web", n)
		if last = d.Display(); d.Status.Terminal() {
			break
		}
	}
	if last != display {
		w.T.Errorf("deployment %d is %s, want %s", n, last, display)
	}
}

// TestRecordedStreams folds what was recorded and compares with the state that
// was kept beside it when it was recorded.
func TestRecordedStreams(t *testing.T) {
	if *update {
		record(t)
	}
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) < len(onFake)+len(onECS) {
		t.Fatalf("%d recorded files, want at least %d: %v", len(files), len(onFake)+len(onECS), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var streams []world.Stream
			if err := json.Unmarshal(text, &streams); err != nil {
				t.Fatal(err)
			}
			events := 0
			for _, s := range streams {
				agrees(t, s)
				events += len(s.Events)
				goesOn(t, s)
			}
			if events < 10 {
				t.Errorf("only %d events are recorded", events)
			}
		})
	}
}

// agrees folds a stream and wants everything that was kept beside it.
func agrees(t *testing.T, s world.Stream) {
	t.Helper()
	var folded any
	var err error
	if s.Kind == deploy.StreamApplication {
		folded, err = engine.FoldApp(s.Events)
	} else {
		folded, err = engine.Fold(s.Events)
	}
	if err != nil {
		t.Fatalf("fold %s %s: %v", s.Kind, s.ID, err)
	}
	if ok, err := engine.Agrees(s.State, folded); err != nil || !ok {
		t.Errorf("%s %s: the fold of its %d events is not the state that was kept (%v):\nfold  %+v\nstate %s", s.Kind, s.ID, len(s.Events), err, folded, s.State)
	}
}

// goesOn folds every beginning of a stream: an upgrade may come at any moment,
// and what is due then must be known.
func goesOn(t *testing.T, s world.Stream) {
	if s.Kind != deploy.StreamDeployment {
		return
	}
	for n := 1; n <= len(s.Events); n++ {
		d, err := engine.Fold(s.Events[:n])
		if err != nil {
			t.Fatalf("%s: %v", s.ID, err)
		}
		if d.Parked != "" {
			t.Fatalf("%s: event %d, %s, is not known any more", s.ID, n, d.Parked)
		}
		// Inside one transaction nothing is due yet; between them something is, unless it waits in the queue.
		between := n == len(s.Events) || s.Events[n].At.After(s.Events[n-1].At)
		if due := engine.Due(d); between && !d.Status.Terminal() && !d.AdmittedAt.IsZero() && due.Work == engine.DueNothing {
			t.Errorf("%s: nothing is due after event %d, %s", s.ID, n, s.Events[n-1].Type)
		}
	}
}

// record runs the stories that were never recorded and writes what the record
// holds at their end.
func record(t *testing.T) {
	if err := os.MkdirAll("testdata", 0o750); err != nil {
		t.Fatal(err)
	}
	for name, f := range onFake {
		recordOne(t, name, world.Options{Latency: 10 * time.Millisecond}, f)
	}
	for name, f := range onECS {
		recordOne(t, name, world.Options{Latency: 10 * time.Millisecond, AWS: true, AWSOptions: quickCloud}, f)
	}
}

func recordOne(t *testing.T, name string, opt world.Options, f story) {
	file := filepath.Join("testdata", name+".json")
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		return // what was recorded once stays
	}
	var streams []world.Stream
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, opt)
		defer w.Close()
		f(w)
		streams = w.Streams()
	})
	sort.Slice(streams, func(i, j int) bool { return streams[i].ID < streams[j].ID })
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", " ")
	if err := enc.Encode(streams); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	fmt.Printf("recorded %s: %d streams\n", name, len(streams))
}
