package lambda

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/platform"
	"github.com/penstock-cd/penstock/internal/platform/awsaccess"
)

// create makes the function. Its name is unique, and its tags say whose it is: a repeat finds it.
func (j *job) create(ctx context.Context) (platform.Outcome, error) {
	token := j.token(objFunction)
	f, err := j.c.Function(ctx, j.d.Name)
	if err != nil {
		return platform.Outcome{}, err
	}
	if f != nil {
		if f.Tags[awsaccess.TagDeployment] != j.s.DeploymentID {
			return fail(ReasonExists, "function", j.d.Name)
		}
		return done(j.led.Created(ctx, objFunction, token, j.d.Name))
	}
	if o, ok, err := j.led.Find(objFunction, token); err != nil || ok && o.State == deploy.LedgerCreated {
		if err != nil {
			return platform.Outcome{}, err
		}
		return orStop(j.unseen(ctx, "function "+j.d.Name))
	}
	if err := j.making(ctx, objFunction, token, j.d.Name); err != nil {
		return platform.Outcome{}, err
	}
	if err := j.c.CreateFunction(ctx, j.d, merged(j.d.Tags, j.managed())); err != nil {
		return platform.Outcome{}, err
	}
	j.logf("function %s created", j.d.Name)
	return done(j.led.Created(ctx, objFunction, token, j.d.Name))
}

// managed are the tags by which a function is found again and known as ours.
func (j *job) managed() tags {
	return tags{
		awsaccess.TagManagedBy: awsaccess.ManagedBy, awsaccess.TagPiped: j.s.App.AgentID, awsaccess.TagApplication: j.s.App.ID, awsaccess.TagCommit: j.s.Commit.Hash, awsaccess.TagDeployment: j.s.DeploymentID,
	}
}

// ready reads the function and waits until it can be changed.
func (j *job) ready(ctx context.Context) (*function, *platform.Outcome, error) {
	f, stop, err := j.function(ctx)
	if err != nil || stop != nil {
		return nil, stop, err
	}
	var out platform.Outcome
	switch state := f.Latest.busy(); {
	case state != "":
		out, _ = ask(ReasonUpdating, "function", j.d.Name, "state", state)
		return nil, &out, nil
	case f.Latest.State == stateFailed: // a failed update can be followed by another one, a failed creation cannot
		out, _ = fail(ReasonBroken, "function", j.d.Name, "version", latest, "reason", f.Latest.broken())
		return nil, &out, nil
	}
	return f, nil, nil
}

// configure brings the configuration of $LATEST to what the manifest says, and waits until AWS has taken it over.
func (j *job) configure(ctx context.Context) (platform.Outcome, error) {
	f, stop, err := j.ready(ctx)
	if err != nil || stop != nil {
		return orStop(stop, err)
	}
	have, want := f.Latest.Config, j.d.Config
	have.Architecture = want.Architecture // a field of the code
	if platform.Digest(configView(have)) == platform.Digest(configView(want)) {
		if f.Latest.Update == updateFailed {
			return fail(ReasonBroken, "function", j.d.Name, "version", latest, "reason", f.Latest.broken())
		}
		return platform.DoneNow()
	}
	if err := j.c.Configure(ctx, j.d.Name, have, want, f.Latest.Revision); err != nil {
		return platform.Outcome{}, err
	}
	j.logf("configuration of %s written", j.d.Name)
	return ask(ReasonUpdating, "function", j.d.Name, "state", updateInProgress)
}

// hasCode reports whether $LATEST has the code of the manifest: AWS tells which image it is; of a zip this deployment knows
// what it uploaded, and the tags what an earlier one did.
func (j *job) hasCode(f *function) (bool, error) {
	v := f.Latest
	if v.Config.Architecture != j.d.Config.Architecture {
		return false, nil
	}
	rec, known, err := platform.Recall[codeRecord](j.j, keyCode)
	if err != nil {
		return false, err
	}
	if known && rec.Source == j.d.Source.id() && rec.Sha == v.Sha {
		return true, nil
	}
	return codeMatches(v, j.d, f.Tags), nil
}

func codeMatches(v version, d *desired, t tags) bool {
	if d.Source.Image != "" {
		return v.Image == d.Source.Image
	}
	return t[tagSource] == d.Source.id() && t[tagCode] == v.Sha
}

// sameContent reports whether a version is what the manifest declares.
func sameContent(v version, d *desired, t tags) bool {
	return codeMatches(v, d, t) && platform.Digest(configView(v.Config)) == platform.Digest(configView(d.Config))
}

// upload brings the code of $LATEST to what the manifest says, and waits until AWS has taken it over.
func (j *job) upload(ctx context.Context) (platform.Outcome, error) {
	f, stop, err := j.ready(ctx)
	if err != nil || stop != nil {
		return orStop(stop, err)
	}
	has, err := j.hasCode(f)
	if err != nil {
		return platform.Outcome{}, err
	}
	if has {
		if f.Latest.Update == updateFailed {
			return fail(ReasonBroken, "function", j.d.Name, "version", latest, "reason", f.Latest.broken())
		}
		return done(platform.Remember(ctx, j.j, keyCode, codeRecord{Source: j.d.Source.id(), Sha: f.Latest.Sha}))
	}
	sha, err := j.c.Upload(ctx, j.d.Name, j.d.Source, j.d.Config.Architecture, f.Latest.Revision)
	if err != nil {
		return platform.Outcome{}, err
	}
	j.logf("code of %s uploaded: %s", j.d.Name, versionOf(j.d).Version)
	if err := platform.Remember(ctx, j.j, keyCode, codeRecord{Source: j.d.Source.id(), Sha: sha}); err != nil {
		return platform.Outcome{}, err
	}
	return ask(ReasonUpdating, "function", j.d.Name, "state", updateInProgress)
}

// publish makes a version of $LATEST, or finds the one that is the same.
func (j *job) publish(ctx context.Context) (platform.Outcome, error) {
	rec, known, err := platform.Recall[versionRecord](j.j, keyVersion)
	if err != nil || known && rec.Number != "" {
		return done(err)
	}
	f, stop, err := j.ready(ctx)
	if err != nil || stop != nil {
		return orStop(stop, err)
	}
	has, err := j.hasCode(f)
	if err != nil {
		return platform.Outcome{}, err
	}
	if !has {
		return fail(ReasonChanged, "what", "the code", "function", j.d.Name)
	}
	if platform.Digest(configView(f.Latest.Config)) != platform.Digest(configView(j.d.Config)) {
		return fail(ReasonChanged, "what", "the configuration", "function", j.d.Name)
	}
	if v := j.snap.serving(); v != nil && platform.Digest(contentView(*v)) == platform.Digest(contentView(f.Latest)) {
		j.logf("nothing has changed: version %s stays", v.Number)
		return done(platform.Remember(ctx, j.j, keyVersion, versionRecord{Number: v.Number}))
	}
	return j.publishNew(ctx, f)
}

// publishNew asks AWS for a version. Its description holds the step's token, so that a repeat finds what was published.
func (j *job) publishNew(ctx context.Context, f *function) (platform.Outcome, error) {
	token := j.token(objVersion)
	_, tried, err := j.led.Find(objVersion, token)
	if err != nil {
		return platform.Outcome{}, err
	}
	if tried {
		found, err := j.published(ctx, token)
		if err != nil || found != "" {
			return j.accept(ctx, token, found, true, err)
		}
	}
	if err := j.making(ctx, objVersion, token, versionOf(j.d).Version); err != nil {
		return platform.Outcome{}, err
	}
	v, err := j.c.Publish(ctx, j.d.Name, f.Latest.Sha, f.Latest.Revision, describe(j.d, token))
	if err != nil {
		return platform.Outcome{}, err
	}
	return j.accept(ctx, token, v.Number, strings.Contains(v.Description, token), nil)
}

// published is the number of the version that a token made, "" for none.
func (j *job) published(ctx context.Context, token string) (string, error) {
	all, err := j.c.Versions(ctx, j.d.Name)
	if err != nil {
		return "", err
	}
	if i := slices.IndexFunc(all, func(v version) bool { return strings.Contains(v.Description, token) }); i >= 0 {
		return all[i].Number, nil
	}
	return "", nil
}

// accept notes the version that this deployment brings out. One that was there before is not ours to remove.
func (j *job) accept(ctx context.Context, token, number string, ours bool, err error) (platform.Outcome, error) {
	switch {
	case err != nil:
	case ours:
		err = j.led.Created(ctx, objVersion, token, number)
	default:
		err = j.led.Removed(ctx, objVersion, token)
	}
	if err != nil {
		return platform.Outcome{}, err
	}
	j.logf("version %s of %s is %s", number, j.d.Name, versionOf(j.d).Version)
	return done(platform.Remember(ctx, j.j, keyVersion, versionRecord{Number: number, Ours: ours}))
}

// fresh is the number of the version that this deployment brings out.
func (j *job) fresh() (string, error) {
	rec, known, err := platform.Recall[versionRecord](j.j, keyVersion)
	if err == nil && (!known || rec.Number == "") {
		err = platform.Final(fmt.Errorf("no version was published before %s", j.s.Name))
	}
	return rec.Number, err
}

// await waits until the new version can be invoked.
func (j *job) await(ctx context.Context) (platform.Outcome, error) {
	number, err := j.fresh()
	if err != nil {
		return platform.Outcome{}, err
	}
	if out, err := j.usable(ctx, number); err != nil || out != nil {
		return orStop(out, err)
	}
	return platform.DoneNow()
}

// usable is nil when a version can be given invocations, else what to do until it can.
func (j *job) usable(ctx context.Context, number string) (*platform.Outcome, error) {
	v, err := j.c.Version(ctx, j.d.Name, number)
	if err != nil {
		return nil, err
	}
	what := "version " + number
	if v == nil {
		return j.unseen(ctx, what)
	}
	if err := j.seen(ctx, what); err != nil {
		return nil, err
	}
	var out platform.Outcome
	switch {
	case v.broken() != "":
		out, _ = fail(ReasonBroken, "function", j.d.Name, "version", number, "reason", v.broken())
	case !works(*v) || v.busy() != "":
		out, _ = ask(ReasonPublished, "function", j.d.Name, "version", number, "state", v.State)
	default:
		return nil, nil
	}
	return &out, nil
}

// tag brings the function's tags to what the manifest says.
func (j *job) tag(ctx context.Context) (platform.Outcome, error) {
	f, stop, err := j.function(ctx)
	if err != nil || stop != nil {
		return orStop(stop, err)
	}
	ours := j.managed()
	rec, known, err := platform.Recall[codeRecord](j.j, keyCode)
	if err != nil {
		return platform.Outcome{}, err
	}
	if known {
		ours[tagSource], ours[tagCode] = rec.Source, rec.Sha
	}
	return done(j.retag(ctx, f, merged(j.d.Tags, ours)))
}

// retag writes the tags that differ and removes those of the user that are not wanted; of ours it removes those that want
// does not know.
func (j *job) retag(ctx context.Context, f *function, want tags) error {
	write, remove := tags{}, []string(nil)
	for k, v := range want {
		if have, ok := f.Tags[k]; !ok || have != v {
			write[k] = v
		}
	}
	for k := range f.Tags {
		if _, ok := want[k]; !ok && !strings.HasPrefix(k, "aws:") {
			remove = append(remove, k)
		}
	}
	if len(write)+len(remove) == 0 {
		return nil
	}
	slices.Sort(remove)
	return j.c.Tag(ctx, f.ARN, write, remove)
}

// keep makes what was created part of the declared end.
func (j *job) keep(ctx context.Context) (platform.Outcome, error) {
	open, err := j.led.Open()
	if err != nil {
		return platform.Outcome{}, err
	}
	for _, o := range open {
		if err := j.led.Kept(ctx, o.Type, o.Token); err != nil {
			return platform.Outcome{}, err
		}
	}
	return platform.DoneNow()
}
