package agent

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/penstock-cd/penstock/internal/client"
	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/git"
	"github.com/penstock-cd/penstock/internal/git/gitmem"
	"github.com/penstock-cd/penstock/internal/platform"
	"github.com/penstock-cd/penstock/internal/spec"
)

// reported returns what was reported of heads and forgets it.
func (b *bench) reported() []client.HeadReport {
	b.rec.mu.Lock()
	defer b.rec.mu.Unlock()
	out := b.rec.heads
	b.rec.heads = nil
	return out
}

// one expects exactly one report of a head.
func (b *bench) one() client.HeadReport {
	b.t.Helper()
	r := b.reported()
	if len(r) != 1 {
		b.t.Fatalf("%d reports of heads, want 1: %+v", len(r), r)
	}
	return r[0]
}

func TestAPollWhenNothingMovedIsOneRequest(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.ready(quick)
		b.start()
		time.Sleep(25 * time.Second)
		before, calls := b.repo.Requests(), 0
		b.reported()
		b.rec.set(func() { b.rec.calls = nil })
		time.Sleep(100 * time.Second)
		after := b.repo.Requests()
		if n := after.Heads - before.Heads; n < 8 || n > 12 || after.Fetches != before.Fetches {
			t.Errorf("%d polls and %d fetches in 100 s, want about 10 and none", n, after.Fetches-before.Fetches)
		}
		b.rec.set(func() {
			for _, c := range b.rec.calls {
				if c == "report head" || c == "report files" {
					calls++
				}
			}
		})
		if calls != 0 {
			t.Errorf("%d calls to the control plane although nothing moved", calls)
		}
	})
}

func TestAWakeUpPollsAtOnce(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.ready(quick)
		b.start(func(o *Options) { o.PollEvery = time.Hour })
		time.Sleep(time.Minute)
		b.commit(map[string]string{"web/version": "v2"})
		b.rec.set(func() { b.rec.ring(client.Wakeup{Repos: []string{"r"}}) })
		began := time.Now()
		d := b.until("the deployment", time.Minute, finished)
		if took := d.FinishedAt.Sub(began); d.Status != deploy.StatusSuccess || took > 100*time.Millisecond {
			t.Errorf("%s, from wake-up to the end %s", d.Status, took)
		}
	})
}

func TestWhatAMovementIsDueFor(t *testing.T) {
	const ignoring = quick + "  trigger:\n    onCommit: {paths: [lib/**], ignores: [web/*.md]}\n"
	for name, c := range map[string]struct {
		file    string
		commit  map[string]string
		due     bool
		sent    bool   // it is a candidate at all
		invalid string // part of the detail
	}{
		"its directory":      {quick, map[string]string{"web/version": "v2"}, true, true, ""},
		"another directory":  {quick, map[string]string{"website/version": "v2"}, false, false, ""},
		"a further path":     {ignoring, map[string]string{"lib/x/y": "1"}, true, true, ""},
		"an ignored file":    {ignoring, map[string]string{"web/a.md": "1", "web/version": "v2"}, false, false, ""},
		"off":                {quick + "  trigger: {onCommit: {disabled: true}}\n", map[string]string{"web/version": "v2"}, false, false, ""},
		"its file":           {quick, map[string]string{"web/app.pipecd.yaml": quick + "  description: new\n"}, true, true, ""},
		"its file, unusable": {quick, map[string]string{"web/app.pipecd.yaml": quick + "  timeout: soon\n"}, true, true, "web/app.pipecd.yaml:5:12"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(b *bench) {
				b.ready(c.file)
				b.start()
				time.Sleep(time.Second)
				b.reported()
				sha := b.commit(c.commit)
				time.Sleep(11 * time.Second)
				r := b.one()
				if r.New != sha || r.Old == "" || r.Commit.Subject != "change" {
					t.Errorf("reported %+v", r)
				}
				if (len(r.Candidates) == 1) != c.sent {
					t.Fatalf("candidates %+v", r.Candidates)
				}
				if c.sent && (r.Candidates[0].Due != c.due || !strings.Contains(r.Candidates[0].InvalidDetail, c.invalid) || (c.invalid == "") != (r.Candidates[0].InvalidDetail == "")) {
					t.Errorf("candidate %+v", r.Candidates[0])
				}
			})
		})
	}
}

func TestAnUnusableFileIsSaidUntilItIsRepaired(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.ready(quick)
		b.start()
		time.Sleep(time.Second)
		b.reported()
		for i, c := range []struct {
			path, content string
			invalid       bool
		}{
			{"web/app.pipecd.yaml", "kind: [", true},
			{"web/version", "v2", true}, // not its file: still unusable
			{"web/app.pipecd.yaml", quick, false},
		} {
			b.commit(map[string]string{c.path: c.content})
			time.Sleep(12 * time.Second)
			r := b.one()
			if len(r.Candidates) != 1 || (r.Candidates[0].InvalidDetail != "") != c.invalid || !r.Candidates[0].Due {
				t.Errorf("commit %d: %+v", i, r.Candidates)
			}
		}
	})
}

func TestANewApplicationIsLookedAtOnce(t *testing.T) {
	inBubble(t, func(b *bench) {
		sha := b.commit(map[string]string{"web/app.pipecd.yaml": quick, "web/version": "v1", "deep/er/x.pipecd.yaml": "kind: Nonsense\n", "noname/app.pipecd.yaml": strings.Replace(quick, "  name: web\n", "  description: x\n", 1)})
		b.rec.set(func() { b.rec.head = sha })
		b.start()
		time.Sleep(30 * time.Second)
		r := b.one()
		if r.Old != sha || r.New != sha || len(r.Candidates) != 1 || !r.Candidates[0].Due || r.Candidates[0].Name != "web" {
			t.Errorf("reported %+v", r)
		}
		if len(b.rec.files) != 1 || len(b.rec.files[0].Files) != 3 {
			t.Fatalf("files %+v", b.rec.files)
		}
		for _, f := range b.rec.files[0].Files {
			switch f.Path {
			case "web":
				if f.Kind != "FakeApp" || f.InvalidDetail != "" || len(f.Providers) != 1 || f.ConfigFile != "app.pipecd.yaml" {
					t.Errorf("found %+v", f)
				}
			case "deep/er", "noname":
				if !strings.Contains(f.InvalidDetail, f.Path+"/"+f.ConfigFile) {
					t.Errorf("found %+v", f)
				}
			default:
				t.Errorf("found %+v", f)
			}
		}
	})
}

func TestAForcePushCountsAsTouchingEverything(t *testing.T) {
	inBubble(t, func(b *bench) {
		first := b.commit(map[string]string{"web/app.pipecd.yaml": quick, "web/version": "v1"})
		gone := b.commit(map[string]string{"README.md": "gone"})
		b.seen(gone)
		mirror := b.repo.Mirror("main")
		b.start(func(o *Options) {
			o.OpenRepo = openMirror(mirror)
		})
		time.Sleep(time.Second)
		b.reported()
		sha, err := b.repo.Commit(git.Change{Branch: "main", Parent: first, Message: "instead", Files: map[string]string{"docs/x": "1"}})
		if err != nil {
			t.Fatal(err)
		}
		mirror.Forget(gone)
		time.Sleep(12 * time.Second)
		r := b.one()
		if r.Old != gone || r.New != sha || len(r.Candidates) != 1 || !r.Candidates[0].Due || !strings.Contains(r.Candidates[0].Why.Args["path"], "former head is unknown") {
			t.Errorf("reported %+v", r)
		}
	})
}

func TestAnOlderHeadMustStayToBeBelieved(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.ready(quick)
		old := b.rec.head
		b.start()
		b.commit(map[string]string{"README.md": "1"})
		time.Sleep(15 * time.Second)
		b.reported()
		b.repo.AnswerOld(2) // a replica of the host that lags
		time.Sleep(40 * time.Second)
		if r := b.reported(); len(r) != 0 {
			t.Errorf("a lagging replica was believed: %+v", r)
		}
		if err := b.repo.ForcePush("main", old); err != nil {
			t.Fatal(err)
		}
		time.Sleep(45 * time.Second)
		if r := b.one(); r.New != old {
			t.Errorf("the branch was set back to %s, reported %+v", old, r)
		}
	})
}

func TestAnotherHeadInTheRecordIsStartedFrom(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.ready(quick)
		b.start()
		time.Sleep(time.Second)
		b.reported()
		other := b.commit(map[string]string{"web/version": "v2"})
		sha := b.commit(map[string]string{"README.md": "1"})
		b.rec.set(func() { b.rec.refuseHead = other }) // another process reported it meanwhile
		time.Sleep(12 * time.Second)
		r := b.reported()
		if len(r) != 2 || len(r[0].Candidates) != 1 || r[1].Old != other || r[1].New != sha || len(r[1].Candidates) != 0 {
			t.Errorf("reported %+v", r)
		}
	})
}

func TestAnUnreachableRepositoryIsSaidOnceAndCleared(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.ready(quick)
		b.start()
		time.Sleep(time.Second)
		b.reported()
		b.repo.Fail(git.ErrUnreachable)
		time.Sleep(5 * time.Minute)
		if r := b.one(); !strings.Contains(r.Error, "unreachable") || r.RepoID != "r" {
			t.Errorf("reported %+v", r)
		}
		b.repo.Fail(git.ErrAuth)
		time.Sleep(3 * time.Minute)
		if r := b.one(); !strings.Contains(r.Error, "refused") {
			t.Errorf("reported %+v", r)
		}
		b.repo.Fail(nil)
		time.Sleep(3 * time.Minute)
		if r := b.one(); r.Error != "" || r.Old != r.New || len(r.Candidates) != 0 {
			t.Errorf("the error was not cleared: %+v", r)
		}
	})
}

func TestPlansThatCannotBeMade(t *testing.T) {
	for name, c := range map[string]struct {
		files   map[string]string
		change  func(b *bench)
		options func(*Options)
		code    string
		detail  string
	}{
		"a mistake in the platform's file": {files: map[string]string{"web/version": "bad"}, code: deploy.ReasonInvalidConfig, detail: "web/version:1:3: no such version"},
		"not settled": {
			change: func(b *bench) { b.world.unsettled = []deploy.Reason{deploy.Why("RUN_IN_PROGRESS", "by", "somebody")} },
			code:   deploy.ReasonNotSettled, detail: "RUN_IN_PROGRESS",
		},
		"made before the record was": {
			change: func(b *bench) { b.world.makers = []string{"d0", "d1"} },
			code:   deploy.ReasonMadeBefore,
		},
		"no provider":     {options: func(o *Options) { o.Config.PlatformProviders[0].Name = "other" }, code: deploy.ReasonPlanFailed, detail: `no platformProvider "p" of type FAKE`},
		"denied":          {change: func(b *bench) { b.world.observeErr = platform.Final(errDenied) }, code: deploy.ReasonPlanFailed, detail: "allow this action"},
		"inactive stages": {files: map[string]string{"web/app.pipecd.yaml": quick + "  pipeline: {stages: [{name: SCRIPT_RUN, with: {run: \"true\"}}]}\n"}, code: deploy.ReasonInvalidConfig, detail: "web/app.pipecd.yaml:5:"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(b *bench) {
				b.ready(quick)
				if c.change != nil {
					c.change(b)
				}
				if c.options == nil {
					c.options = func(*Options) {}
				}
				b.start(c.options)
				files := map[string]string{"web/version": "v2"}
				if c.files != nil {
					files = c.files
				}
				b.commit(files)
				d := b.until("the end", time.Minute, finished)
				if d.Status != deploy.StatusFailure || d.Reason.Code != c.code || !strings.Contains(d.Reason.Args["detail"], c.detail) {
					t.Errorf("ended %s: %s", d.Status, d.Reason)
				}
				if len(b.world.did()) > 0 || d.End != deploy.EndNone {
					t.Errorf("something was written: %v", b.world.did())
				}
			})
		})
	}
}

var errDenied = spec.Error{Message: "access denied: allow this action"}

func TestAThrottledObservationIsTriedAgain(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.ready(quick)
		b.world.observeErr = platform.Retryable(spec.Error{Message: "throttled"}, 2*time.Second)
		b.start()
		b.commit(map[string]string{"web/version": "v2"})
		time.Sleep(time.Minute)
		if d := b.rec.deployment(); d.Status != deploy.StatusPending {
			t.Fatalf("%s: %s", d.Status, d.Reason)
		}
		b.world.mu.Lock()
		b.world.observeErr = nil
		b.world.mu.Unlock()
		if d := b.until("the deployment", time.Minute, finished); d.Status != deploy.StatusSuccess {
			t.Errorf("ended %s: %s", d.Status, d.Reason)
		}
	})
}

func TestAPersonMayDeployFromAnUnsettledState(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.ready(quick)
		b.world.unsettled = []deploy.Reason{deploy.Why("BUSY")}
		b.start()
		time.Sleep(time.Second)
		b.rec.set(func() {
			b.rec.trigger(deploy.Trigger{Kind: deploy.OnCommand, Commit: b.rec.app.Head, By: "ann"})
			b.rec.ring(client.Wakeup{Work: true})
		})
		if d := b.until("the deployment", 2*time.Minute, finished); d.Status != deploy.StatusSuccess || len(d.Stages) == 0 {
			t.Errorf("ended %s: %s", d.Status, d.Reason)
		}
	})
}

// A read that shows a run in the middle may be older than the last write: the end
// is what a later one shows.
func TestTheEndIsNotReadInTheMiddle(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.ready(quick)
		b.start()
		b.rec.set(func() {
			b.rec.trigger(deploy.Trigger{Kind: deploy.OnCommand, Commit: b.rec.app.Head, By: "ann"})
			b.rec.ring(client.Wakeup{Work: true})
		})
		b.world.locked(func() { b.world.unsettled = []deploy.Reason{deploy.Why("BUSY")} })
		began := time.Now()
		time.AfterFunc(10*time.Second, func() { b.world.locked(func() { b.world.unsettled = nil }) })
		d := b.until("the deployment", time.Minute, finished)
		if took := time.Since(began); d.Status != deploy.StatusSuccess || took < 10*time.Second || took > 15*time.Second {
			t.Errorf("ended %s (%s) after %s, want soon after the 10 s in which reads showed a run in the middle", d.Status, d.Reason, took)
		}
	})
}

func TestLiveStateIsReportedWhenItChanges(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.ready(quick)
		b.start()
		time.Sleep(4 * time.Minute)
		b.rec.set(func() {
			if len(b.rec.live) != 1 || b.rec.live[0].Digest != "live-v1" || b.rec.live[0].Health != deploy.HealthHealthy {
				t.Errorf("reported %d times: %+v", len(b.rec.live), b.rec.live)
			}
		})
		b.world.locked(func() {
			if n := b.world.observed; n < 7 || n > 10 {
				t.Errorf("observed %d times in 4 minutes, want every 30 s", n)
			}
		})
		b.commit(map[string]string{"web/version": "v2"})
		b.until("the deployment", time.Minute, finished)
		time.Sleep(time.Second)
		b.rec.set(func() {
			if last := b.rec.live[len(b.rec.live)-1]; last.Digest != "live-v2" {
				t.Errorf("the last report is %s", last.Digest)
			}
		})
		b.world.mu.Lock()
		b.world.observeErr = platform.Retryable(spec.Error{Message: "throttled"}, 0)
		b.world.mu.Unlock()
		time.Sleep(3 * time.Minute)
		b.rec.set(func() {
			if last := b.rec.live[len(b.rec.live)-1]; last.Health != deploy.HealthUnknown || len(last.Resources) != 0 {
				t.Errorf("a state that cannot be observed is told as %+v", last)
			}
		})
	})
}

// openMirror gives every process the same mirror.
func openMirror(m *gitmem.Mirror) func(ctx context.Context, r spec.Repository) (Repo, error) {
	return func(context.Context, spec.Repository) (Repo, error) { return m, nil }
}

// What is live is compared with what was deployed, not with a head that is ahead of it, and told when two looks agree.
func TestDriftIsToldWhenTwoLooksAgree(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.ready(quick)
		b.start()
		b.commit(map[string]string{"web/version": "v2"})
		d := b.until("the deployment", time.Minute, finished)
		if d.Status != deploy.StatusSuccess {
			t.Fatalf("ended %s: %s", d.Status, d.Reason)
		}
		time.Sleep(2 * time.Minute)
		last := func() (c client.Comparison, n int) {
			b.rec.set(func() {
				if n = len(b.rec.compared); n > 0 {
					c = b.rec.compared[n-1]
				}
			})
			return c, n
		}
		if c, n := last(); n == 0 || c.Count != 0 || c.Good != d.ID {
			t.Fatalf("after the deployment: %d comparisons, the last one %+v", n, c)
		}
		looks := func(n int) {
			var from int
			b.world.locked(func() { from = b.world.observed })
			for seen := from; seen < from+n; b.world.locked(func() { seen = b.world.observed }) {
				time.Sleep(time.Second)
			}
		}
		b.world.locked(func() { b.world.version = "v9" })
		looks(1)
		if c, _ := last(); c.Count != 0 {
			t.Errorf("one look was believed: %+v", c)
		}
		looks(1)
		c, n := last()
		if c.Count != 1 || c.Summary == "" || c.Blob == "" || c.Digest == "" || c.Good != d.ID {
			t.Errorf("two looks were not: %+v", c)
		}
		time.Sleep(3 * time.Minute)
		if _, now := last(); now != n {
			t.Errorf("the same drift was told %d times more", now-n)
		}
		b.world.locked(func() { b.world.version = "v2" })
		time.Sleep(40 * time.Second)
		if c, _ := last(); c.Count != 0 {
			t.Errorf("it is told although it is gone: %+v", c)
		}
	})
}

// A folder that was renamed is not lost: the registration goes to the file of the same name and kind that came with the
// movement, where that is beyond doubt; else the application says that its file is gone.
func TestTheRegistrationFollowsARenamedFolder(t *testing.T) {
	const gone = "web/app.pipecd.yaml: there is no such file"
	for name, c := range map[string]struct {
		add  map[string]string
		to   string // the folder
		want string // in the detail
		due  bool
	}{
		"renamed":              {map[string]string{"site/app.pipecd.yaml": quick}, "site", "", true},
		"to the root":          {map[string]string{"app.pipecd.yaml": quick}, "", "", true},
		"renamed and broken":   {map[string]string{"site/app.pipecd.yaml": quick + "  timeout: soon\n"}, "", gone, true},
		"deleted":              {nil, "", gone, true},
		"another one appeared": {map[string]string{"site/app.pipecd.yaml": strings.Replace(quick, "name: web", "name: other", 1)}, "", gone, true},
		"two of that name":     {map[string]string{"site/app.pipecd.yaml": quick, "two/app.pipecd.yaml": quick}, "", "several files of the same name came with it (site/app.pipecd.yaml, two/app.pipecd.yaml)", true},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(b *bench) {
				b.ready(quick)
				b.start()
				time.Sleep(time.Second)
				b.reported()
				b.rec.set(func() { b.rec.files = nil })
				if _, err := b.repo.Commit(git.Change{Branch: "main", Message: "move", Remove: []string{"web"}, Files: c.add}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(12 * time.Second)
				// The record of this test knows no movement, so the application is looked at again where the record has it.
				r := b.reported()
				if len(r) == 0 || len(r[0].Candidates) != 1 {
					t.Errorf("reported %+v", r)
					return
				}
				got := r[0].Candidates[0]
				moved := c.want == ""
				if (got.MovedFile != "") != moved || got.MovedPath != c.to || !strings.Contains(got.InvalidDetail, c.want) || moved && (got.InvalidDetail != "" || got.Why.Code != deploy.ReasonMoved || got.Name != "web") || got.Due != c.due {
					t.Errorf("reported %+v", got)
				}
				b.rec.set(func() {
					if len(b.rec.files) != 1 || len(b.rec.files[0].Files) != len(c.add) {
						t.Errorf("offered %+v", b.rec.files)
					}
				})
			})
		})
	}
}

// A file that is elsewhere makes the application unusable, with path and reason.
func TestAFileInLFSOrASubmoduleIsNamed(t *testing.T) {
	pointer := "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n"
	for name, c := range map[string]struct {
		change git.Change
		want   string
	}{
		"lfs":       {git.Change{Files: map[string]string{"web/app.pipecd.yaml": pointer}}, "Git LFS"},
		"submodule": {git.Change{Remove: []string{"web"}, Submodules: map[string]string{"web": strings.Repeat("a", 40)}}, "submodule"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(b *bench) {
				b.ready(quick)
				b.start()
				time.Sleep(time.Second)
				b.reported()
				c.change.Branch, c.change.Message = "main", "change"
				if _, err := b.repo.Commit(c.change); err != nil {
					t.Fatal(err)
				}
				time.Sleep(12 * time.Second)
				r := b.one()
				if len(r.Candidates) != 1 || !strings.Contains(r.Candidates[0].InvalidDetail, c.want) || !strings.Contains(r.Candidates[0].InvalidDetail, "web/app.pipecd.yaml") {
					t.Errorf("candidates %+v", r.Candidates)
				}
			})
		})
	}
}

// A branch that is gone is an error that is told, and nothing is deployed or lost
// meanwhile.
func TestADeletedBranchIsTold(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.ready(quick)
		b.start()
		time.Sleep(time.Second)
		b.reported()
		head := b.rec.head
		b.repo.DeleteBranch("main")
		time.Sleep(15 * time.Second)
		r := b.one()
		if r.New != "" || !strings.Contains(r.Error, "branch not found") {
			t.Errorf("reported %+v", r)
		}
		if err := b.repo.ForcePush("main", head); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Minute) // it is back, where it was
		if r := b.one(); r.Error != "" || r.Old != r.New || len(r.Candidates) != 0 {
			t.Errorf("reported %+v", r)
		}
	})
}

// A movement costs what it touches: with many applications only the files that
// changed are read again, whether they belong to an application or are offered.
func TestAMovementReadsOnlyWhatChanged(t *testing.T) {
	inBubble(t, func(b *bench) {
		all := map[string]string{"web/app.pipecd.yaml": quick, "web/version": "v1"}
		for i := range 30 {
			all[fmt.Sprintf("many/%02d/app.pipecd.yaml", i)] = strings.Replace(quick, "name: web", fmt.Sprintf("name: app%02d", i), 1)
		}
		b.seen(b.commit(all))
		reads := &countedRepo{Repo: b.repo.Mirror("main")}
		b.start(func(o *Options) {
			o.OpenRepo = func(context.Context, spec.Repository) (Repo, error) { return reads, nil }
		})
		time.Sleep(time.Second)
		b.reported()
		for _, c := range []struct {
			path, content    string
			reads, sent, all int
		}{
			{"README.md", "1", 1, 0, 0}, // the rule of the application, for the first time
			{"README.md", "2", 0, 0, 0},
			{"many/07/app.pipecd.yaml", strings.Replace(quick, "name: web", "name: seven", 1), 1, 0, 31},
			{"web/app.pipecd.yaml", quick + "  description: new\n", 2, 1, 31}, // as an application, and as a file to offer
		} {
			reads.take()
			b.rec.set(func() { b.rec.files = nil })
			b.commit(map[string]string{c.path: c.content})
			time.Sleep(11 * time.Second)
			r := b.one()
			// A candidate that is due is planned, which reads too: only the poller's reads are counted.
			if got := reads.take(); c.sent == 0 && got != c.reads || len(r.Candidates) != c.sent {
				t.Errorf("%s: %d files read, %d candidates; want %d and %d", c.path, got, len(r.Candidates), c.reads, c.sent)
			}
			b.rec.set(func() {
				if c.all == 0 && len(b.rec.files) != 0 || c.all > 0 && (len(b.rec.files) != 1 || len(b.rec.files[0].Files) != c.all) {
					t.Errorf("%s: reported files %d", c.path, len(b.rec.files))
				}
				for _, f := range b.rec.files {
					for _, x := range f.Files {
						if x.Path == "many/07" && x.Name != "seven" || x.Path == "many/08" && x.Name != "app08" {
							t.Errorf("offered %+v", x)
						}
					}
				}
			})
		}
	})
}

// countedRepo counts the files that are read.
type countedRepo struct {
	Repo
	n atomic.Int64
}

func (r *countedRepo) ReadFile(ctx context.Context, commit, name string) ([]byte, error) {
	r.n.Add(1)
	return r.Repo.ReadFile(ctx, commit, name)
}

func (r *countedRepo) take() int { return int(r.n.Swap(0)) }
