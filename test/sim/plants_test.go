package sim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path"
	"time"

	"github.com/penstock-cd/penstock/test/world"
)

// touch sometimes commits something beside an application's files that changes
// nothing of what is deployed.
func (s *simulation) touch(app string) bool {
	if s.version == 0 || s.r.IntN(6) > 0 {
		return false
	}
	s.version++
	s.touched = s.w.Commit("main", fmt.Sprintf("notes of %s, %d", app, s.version), map[string]string{path.Join(app, "NOTES.md"): fmt.Sprintf("note %d\n", s.version)})
	return true
}

// forgetsHolds loses every hold as soon as it is set.
func forgetsHolds(w *world.World) {
	w.Go(func() {
		for !w.Ended() {
			time.Sleep(time.Second)
			w.ForgetHolds()
		}
	})
}

// tokenless sends creations of task sets without their token.
func tokenless(w *world.World) {
	w.TamperAWS(func(c world.AWSCall, r *http.Request) *http.Request {
		var in map[string]any
		if c.Op != "CreateTaskSet" || json.Unmarshal(c.Body, &in) != nil {
			return r
		}
		delete(in, "clientToken")
		body, err := json.Marshal(in)
		if err != nil {
			return r
		}
		r = r.Clone(r.Context())
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		return r
	}, nil)
}

// trustsOldReads lets agents answer reads from what they read in the last minute.
func trustsOldReads(w *world.World) { w.RememberReads(time.Minute) }
