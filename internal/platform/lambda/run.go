package lambda

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/platform"
	"github.com/penstock-cd/penstock/internal/platform/awsaccess"
)

// The steps. Each looks before it writes and can be asked for again at any point.
const (
	stepCreate    = "create-function"
	stepConfigure = "configure"     // until $LATEST has the configuration of the manifest
	stepUpload    = "upload"        // until $LATEST has its code
	stepPublish   = "publish"       // a version of it
	stepAwait     = "await-version" // until it is Active
	stepTag       = "tag"           //
	stepShift     = "shift"         // weights of the alias
	stepSettle    = "settle"        //
	stepVerify    = "verify"        //
	stepKeep      = "keep"          // what was created is part of the declared end

	backAlias      = "restore-alias"
	backSettle     = "settle-back"
	backTags       = "restore-tags"
	backRemove     = "remove-version"
	backVerify     = "verify-restored"
	backRemoveAll  = "remove-created"
	backVerifyGone = "verify-removed"
)

// lateLimit is how long a call may take effect behind the loss of its answer: a request that waits in a connection or in a
// retry of somebody between.
const lateLimit = 65 * time.Second

// unseenLimit is how long a read may not show what was created.
const unseenLimit = time.Minute

// job is one step being done.
type job struct {
	p    *Platform
	c    cloud
	s    platform.Step
	j    platform.Journal
	led  platform.Ledger
	d    *desired
	snap *snapshot
	opt  options
}

type step func(*job, context.Context) (platform.Outcome, error)

func stepTable() map[string]step {
	return map[string]step{
		stepCreate: (*job).create, stepConfigure: (*job).configure, stepUpload: (*job).upload, stepPublish: (*job).publish, stepAwait: (*job).await, stepTag: (*job).tag,
		stepShift: (*job).shift, stepSettle: (*job).settle, stepVerify: (*job).verify, stepKeep: (*job).keep,
		backAlias: (*job).backAlias, backSettle: (*job).settle, backTags: (*job).backTags, backRemove: (*job).backRemove, backVerify: (*job).backVerify,
		backRemoveAll: (*job).backRemoveAll, backVerifyGone: (*job).backVerifyGone,
	}
}

// Run implements platform.Platform.
func (p *Platform) Run(ctx context.Context, s platform.Step, j platform.Journal) (platform.Outcome, error) {
	do, ok := stepTable()[s.Name]
	if !ok {
		return platform.Outcome{}, platform.Final(fmt.Errorf("step %s of %s is not known to this version", s.Name, s.Stage.Name))
	}
	c, _, err := p.client(ctx, s.ProviderConfig)
	if err != nil {
		return platform.Outcome{}, err
	}
	if err := awsaccess.SameAccount(ctx, c, s.Plan.Account); err != nil {
		return platform.Outcome{}, err
	}
	d, err := platform.DecodeBody[desired]("desired state", s.Desired.Body)
	if err != nil {
		return platform.Outcome{}, err
	}
	snap, err := platform.DecodeBody[snapshot]("snapshot", s.Live.Body)
	if err != nil {
		return platform.Outcome{}, err
	}
	run := &job{p: p, c: c, s: s, j: j, led: platform.Ledger{J: j}, d: d, snap: snap}
	if len(s.Stage.Options) > 0 {
		if err := json.Unmarshal(s.Stage.Options, &run.opt); err != nil {
			return platform.Outcome{}, platform.Final(fmt.Errorf("read the pinned options of %s: %w", s.Stage.Name, err))
		}
	}
	return do(run, ctx)
}

func (j *job) logf(format string, args ...any) {
	if j.s.Log != nil {
		j.s.Log.Logf(slog.LevelInfo, format, args...)
	}
}

// token names what one step of one deployment creates.
func (j *job) token(kind string) string {
	h := sha256.Sum256([]byte(j.s.Token + "/" + kind))
	return hex.EncodeToString(h[:16])
}

// function reads the live function; it must exist.
func (j *job) function(ctx context.Context) (*function, *platform.Outcome, error) {
	f, err := j.c.Function(ctx, j.d.Name)
	if err != nil {
		return nil, nil, err
	}
	if f == nil {
		out, err := j.unseen(ctx, "function "+j.d.Name)
		return nil, out, err
	}
	return f, nil, j.seen(ctx, "function "+j.d.Name)
}

// unseen is the outcome for something that should be there and is not shown: a wait as long as that may be a read that lags
// behind, or a creation that is carried out after its time-out, and a failure afterwards.
func (j *job) unseen(ctx context.Context, what string) (*platform.Outcome, error) {
	since, err := platform.Since(ctx, j.j, keyUnseen+what, j.s.Now)
	if err != nil {
		return nil, err
	}
	out, _ := fail(ReasonGone, "what", what)
	if j.s.Now.Sub(since) < unseenLimit {
		out, _ = ask(ReasonUpdating, "function", j.d.Name, "state", "not shown")
	}
	return &out, nil
}

// seen ends what unseen began.
func (j *job) seen(ctx context.Context, what string) error {
	return platform.Over(ctx, j.j, keyUnseen+what)
}

// making notes when something was first about to be created, durably and before the call.
func (j *job) making(ctx context.Context, typ, token, note string) error {
	if _, err := platform.Since(ctx, j.j, keyMade+typ, j.s.Now); err != nil {
		return err
	}
	return j.led.Intend(ctx, typ, token, note)
}

// inDoubt is a wait as long as a creation whose answer never came may still take effect, nil afterwards.
func (j *job) inDoubt(typ string) (*platform.Outcome, error) {
	at, known, err := platform.Recall[time.Time](j.j, keyMade+typ)
	if err != nil || !known {
		return nil, err
	}
	until := at.Add(lateLimit)
	if rest := until.Sub(j.s.Now); rest > 0 {
		out, _ := platform.AskAgain(min(rest, 10*time.Second), deploy.Why(ReasonCallInDoubt, "until", until.UTC().Format(time.RFC3339)))
		return &out, nil
	}
	return nil, nil
}

// pollTime is how soon a step that waits for AWS looks again; the agent backs off from there.
const pollTime = time.Second

func ask(code string, pairs ...string) (platform.Outcome, error) {
	return platform.AskAgain(pollTime, deploy.Why(code, pairs...))
}

func fail(code string, pairs ...string) (platform.Outcome, error) {
	return platform.Fail(deploy.Why(code, pairs...))
}

// done is the outcome of a step whose last write went well, or not.
func done(err error) (platform.Outcome, error) {
	if err != nil {
		return platform.Outcome{}, err
	}
	return platform.DoneNow()
}

// orStop passes on what stopped a step.
func orStop(stop *platform.Outcome, err error) (platform.Outcome, error) {
	if err != nil {
		return platform.Outcome{}, err
	}
	return *stop, nil
}
