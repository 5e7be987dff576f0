package ecs

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
	stepRegister      = "register"       // the revision of the new version
	stepSweep         = "sweep"          // left-over task sets without tasks
	stepAttach        = "attach"         // the canary group at weight 0
	stepCreateService = "create-service" //
	stepService       = "service"        // service-level fields and tags
	stepCreateCanary  = "create-canary"  //
	stepAwaitCanary   = "await-canary"   // steady and healthy
	stepCreatePrimary = "create-primary" //
	stepAwaitPrimary  = "await-primary"  //
	stepPromote       = "promote"        // the new set becomes the service's PRIMARY
	stepStopFormer    = "stop-former"    // recreate: the former set goes to 0 first
	stepScaleFormer   = "scale-former"   // the former set goes to 0 once the new one serves
	stepDrainFormer   = "drain-former"   // until its tasks have stopped
	stepShift         = "shift"          // weights
	stepSettle        = "settle"         //
	stepVerify        = "verify"         //
	stepCheckWeights  = "check-weights"  // the canary has none
	stepDrainCanary   = "drain-canary"   //
	stepRemoveCanary  = "remove-canary"  //
	stepKeep          = "keep"           // what was created is part of the declared end
	stepRemoveFormer  = "remove-former"  //
	stepRunTask       = "run-task"       //
	stepAwaitTask     = "await-task"     //

	backCapacity   = "restore-capacity"
	backAwait      = "await-former"
	backWeights    = "restore-weights"
	backPromote    = "promote-former"
	backSettle     = "settle-back"
	backRemove     = "remove-new"
	backService    = "restore-service"
	backRoutes     = "restore-rules"
	backVerify     = "verify-restored"
	backRemoveAll  = "remove-created"
	backVerifyGone = "verify-removed"
	backStopTask   = "stop-task"
)

// The roles of task sets that a deployment creates.
const (
	roleCanary  = "canary"
	rolePrimary = "primary"
	roleFormer  = "former" // created again on the way back
)

// job is one step being done.
type job struct {
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
		stepRegister: (*job).register, stepSweep: (*job).sweep, stepAttach: (*job).attach, stepCreateService: (*job).createService, stepService: (*job).updateService,
		stepCreateCanary:  func(j *job, ctx context.Context) (platform.Outcome, error) { return j.create(ctx, roleCanary) },
		stepAwaitCanary:   func(j *job, ctx context.Context) (platform.Outcome, error) { return j.await(ctx, roleCanary) },
		stepCreatePrimary: func(j *job, ctx context.Context) (platform.Outcome, error) { return j.create(ctx, rolePrimary) },
		stepAwaitPrimary:  func(j *job, ctx context.Context) (platform.Outcome, error) { return j.await(ctx, rolePrimary) },
		stepPromote:       (*job).promote, stepStopFormer: (*job).stopFormer, stepScaleFormer: (*job).scaleFormer, stepDrainFormer: (*job).drainFormer,
		stepShift: (*job).shift, stepSettle: (*job).settle, stepVerify: (*job).verify, stepCheckWeights: (*job).checkWeights,
		stepDrainCanary: (*job).drainCanary, stepRemoveCanary: (*job).removeCanary, stepKeep: (*job).keep, stepRemoveFormer: (*job).removeFormer,
		stepRunTask: (*job).runTask, stepAwaitTask: (*job).awaitTask,
		backCapacity: (*job).backCapacity, backAwait: (*job).backAwait, backWeights: (*job).backWeights, backPromote: (*job).backPromote, backSettle: (*job).settle,
		backRemove: (*job).backRemove, backService: (*job).backService, backRoutes: (*job).backRoutes, backVerify: (*job).backVerify,
		backRemoveAll: (*job).backRemoveAll, backVerifyGone: (*job).backVerifyGone, backStopTask: (*job).backStopTask,
	}
}

// Run implements platform.Platform.
func (p *Platform) Run(ctx context.Context, s platform.Step, j platform.Journal) (platform.Outcome, error) {
	do, ok := stepTable()[s.Name]
	if !ok {
		do, ok = nativeTable()[s.Name]
	}
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
	d.orient(snap)
	run := &job{c: c, s: s, j: j, led: platform.Ledger{J: j}, d: d, snap: snap}
	if len(s.Stage.Options) > 0 {
		if err := json.Unmarshal(s.Stage.Options, &run.opt); err != nil {
			return platform.Outcome{}, platform.Final(fmt.Errorf("read the pinned options of %s: %w", s.Stage.Name, err))
		}
	}
	return do(run, ctx)
}

// unseen notes since when something that should be there is not shown, and is an
// outcome as long as that may be a read that lags behind, or a creation that is
// carried out after its time-out.
func (j *job) unseen(ctx context.Context, what string) (*platform.Outcome, error) {
	since, err := platform.Since(ctx, j.j, keyUnseen+what, j.s.Now)
	if err != nil || j.s.Now.Sub(since) >= visibleLimit {
		return nil, err
	}
	out, _ := ask(ReasonStabilizing, "set", what, "running", "0", "desired", "?", "pending", "0")
	return &out, nil
}

// seen ends what unseen began.
func (j *job) seen(ctx context.Context, what string) error {
	return platform.Over(ctx, j.j, keyUnseen+what)
}

func (j *job) logf(format string, args ...any) {
	if j.s.Log != nil {
		j.s.Log.Logf(slog.LevelInfo, format, args...)
	}
}

// token is the idempotency token of the step for one kind of object, in at most 36 characters (CreateTaskSet's limit).
func (j *job) token(kind string) string {
	h := sha256.Sum256([]byte(j.s.Token + "/" + kind))
	return hex.EncodeToString(h[:16])
}

// service reads the live service; it must exist.
func (j *job) service(ctx context.Context) (*service, *platform.Outcome, error) {
	s, err := j.c.Service(ctx, j.d.Cluster, j.d.Name)
	if err != nil {
		return nil, nil, err
	}
	if !serving(s) {
		// A read may be older than the service, and show nothing or a former one of its name.
		waiting, err := j.unseen(ctx, objService)
		if err != nil || waiting != nil {
			return nil, waiting, err
		}
	}
	if !serving(s) {
		out, _ := platform.Fail(deploy.Why(ReasonServiceGone, "service", j.d.Name))
		return nil, &out, nil
	}
	if err := j.seen(ctx, objService); err != nil {
		return nil, nil, err
	}
	return s, nil, nil
}

// pollTime is how soon a step that waits for tasks looks again; the agent backs off from there.
const pollTime = 2 * time.Second

func ask(code string, pairs ...string) (platform.Outcome, error) {
	return platform.AskAgain(pollTime, deploy.Why(code, pairs...))
}

func fail(code string, pairs ...string) (platform.Outcome, error) {
	return platform.Fail(deploy.Why(code, pairs...))
}

// tags are what a created object carries, so that it is found again and known as ours.
func (j *job) tags(role, token string) tags {
	t := tags{awsaccess.TagManagedBy: awsaccess.ManagedBy, awsaccess.TagPiped: j.s.App.AgentID, awsaccess.TagApplication: j.s.App.ID, awsaccess.TagCommit: j.s.Commit.Hash}
	for k, v := range j.d.Tags {
		t[k] = v
	}
	if role != "" {
		t[awsaccess.TagDeployment], t[tagRole] = j.s.DeploymentID, role
	}
	if token != "" {
		t[tagToken] = token
	}
	return t
}
