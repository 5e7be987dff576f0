package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path"
	"regexp"
	"strings"
	"time"

	"github.com/penstock-cd/penstock/internal/platform"
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

// everythingHealthy shows every target as healthy as soon as it is registered, as
// an agent would see them that does not look.
func everythingHealthy(w *world.World) {
	state := regexp.MustCompile(`<State>[a-z]+</State>`)
	w.TamperAWS(nil, func(c world.AWSCall, body []byte) []byte {
		if c.Op != "DescribeTargetHealth" {
			return body
		}
		return state.ReplaceAll(body, []byte("<State>healthy</State>"))
	})
}

// hastyPlatform looks once at tasks that it should wait for. Weights have a check
// of their own that everythingHealthy deceives.
type hastyPlatform struct{ platform.Platform }

func hasty(_ *world.Process, p platform.Platform) platform.Platform { return hastyPlatform{p} }

func (p hastyPlatform) Run(ctx context.Context, s platform.Step, j platform.Journal) (platform.Outcome, error) {
	out, err := p.Platform.Run(ctx, s, j)
	if err == nil && out.Progress == platform.Waiting && strings.HasPrefix(s.Name, "await-") {
		return platform.DoneNow()
	}
	return out, err
}

// Guard implements platform.Guarded.
func (p hastyPlatform) Guard(ctx context.Context, h platform.Held) (platform.Breach, error) {
	g, ok := p.Platform.(platform.Guarded)
	if !ok {
		return platform.Breach{}, nil
	}
	return g.Guard(ctx, h)
}
