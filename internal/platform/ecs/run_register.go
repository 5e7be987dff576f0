package ecs

import (
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/platform"
	"github.com/penstock-cd/penstock/internal/platform/awsaccess"
)

// register finds or makes the revision of the new version: the one of an earlier stage, the newest one if its content is
// equal, or a new one.
func (j *job) register(ctx context.Context) (platform.Outcome, error) {
	rec, known, err := platform.Recall[revisionRecord](j.j, keyRevision)
	if err != nil {
		return platform.Outcome{}, err
	}
	if known {
		r, err := j.c.Revision(ctx, rec.ARN)
		if err != nil {
			return platform.Outcome{}, err
		}
		if r != nil && !r.Inactive {
			return platform.DoneNow()
		}
	}
	rec, err = j.registered(ctx, j.d.Task, j.token("revision"), "")
	if err != nil {
		return platform.Outcome{}, err
	}
	if err := platform.Remember(ctx, j.j, keyRevision, rec); err != nil {
		return platform.Outcome{}, err
	}
	return platform.DoneNow()
}

// registered returns an active revision with a content, registering it when there is none. RegisterTaskDefinition takes no
// token, so the revision carries it as a tag and is looked for before. The note tells revisions of the snapshot from ours.
func (j *job) registered(ctx context.Context, content *taskDefinition, token, note string) (revisionRecord, error) {
	family := aws.ToString(content.Family)
	want := platform.Digest(taskView(content))
	newest, err := j.c.Revision(ctx, family)
	if err != nil {
		return revisionRecord{}, err
	}
	_, intended, err := j.led.Find(objRevision, token)
	if err != nil {
		return revisionRecord{}, err
	}
	if newest != nil && !newest.Inactive && platform.Digest(taskView(newest.Content)) == want {
		return j.adopt(ctx, newest, token, intended)
	}
	if intended {
		found, err := j.byToken(ctx, family, token)
		if err != nil {
			return revisionRecord{}, err
		}
		if found != nil && platform.Digest(taskView(found.Content)) == want {
			return j.adopt(ctx, found, token, intended)
		}
	}
	if err := j.led.Intend(ctx, objRevision, token, note); err != nil {
		return revisionRecord{}, err
	}
	t := tags{awsaccess.TagManagedBy: awsaccess.ManagedBy, awsaccess.TagApplication: j.s.App.ID, tagToken: token}
	arn, err := j.c.Register(ctx, content, t)
	if err != nil {
		return revisionRecord{}, err
	}
	j.logf("registered %s", tail(arn))
	if err := j.led.Created(ctx, objRevision, token, arn); err != nil {
		return revisionRecord{}, err
	}
	return revisionRecord{ARN: arn, Ours: true, Token: token}, nil
}

// adopt takes a revision that is there; with our token on it, it is one that we registered before a crash.
func (j *job) adopt(ctx context.Context, r *revision, token string, intended bool) (revisionRecord, error) {
	if r.Tags[tagToken] == token {
		return revisionRecord{ARN: r.ARN, Ours: true, Token: token}, j.led.Created(ctx, objRevision, token, r.ARN)
	}
	j.logf("%s has the same content: no new revision is registered", tail(r.ARN))
	if intended {
		if err := j.led.Removed(ctx, objRevision, token); err != nil {
			return revisionRecord{}, err
		}
	}
	return revisionRecord{ARN: r.ARN}, nil
}

// byToken looks for our token on the newest revisions.
func (j *job) byToken(ctx context.Context, family, token string) (*revision, error) {
	arns, err := j.c.Revisions(ctx, family)
	if err != nil {
		return nil, err
	}
	for _, arn := range arns {
		r, err := j.c.Revision(ctx, arn)
		if err != nil {
			return nil, err
		}
		if r != nil && r.Tags[tagToken] == token {
			return r, nil
		}
	}
	return nil, nil
}

// createService makes the service of a first deployment. Its name is its identity.
func (j *job) createService(ctx context.Context) (platform.Outcome, error) {
	token := j.token("service")
	s, err := j.c.Service(ctx, j.d.Cluster, j.d.Name)
	if err != nil {
		return platform.Outcome{}, err
	}
	if s != nil && s.Status == statusActive {
		return done(j.led.Created(ctx, objService, token, s.ARN))
	}
	if s != nil {
		return ask(ReasonServiceRemoving, "service", j.d.Name)
	}
	if err := j.led.Intend(ctx, objService, token, j.d.Name); err != nil {
		return platform.Outcome{}, err
	}
	err = j.c.CreateService(ctx, newService{Cluster: j.d.Cluster, Name: j.d.Name, Token: token, Count: j.d.Count, Fields: j.d.Service, Tags: j.tags("", "")})
	if err != nil && !isCode(err, codeServiceExists) {
		return platform.Outcome{}, err
	}
	j.logf("created service %s in %s", j.d.Name, j.d.Cluster)
	return ask(ReasonStabilizing, "set", j.d.Name, "running", "0", "desired", fmt.Sprint(j.d.Count), "pending", "0")
}

func done(err error) (platform.Outcome, error) {
	if err != nil {
		return platform.Outcome{}, err
	}
	return platform.DoneNow()
}

// updateService brings the changeable service-level fields, the count and the tags to what the file says.
func (j *job) updateService(ctx context.Context) (platform.Outcome, error) {
	s, stop, err := j.service(ctx)
	if err != nil || stop != nil {
		return orStop(stop, err)
	}
	var u serviceUpdate
	if platform.Digest(fieldsView(j.d.Service)) != platform.Digest(fieldsView(s.Fields)) {
		u.Fields, u.Have = &j.d.Service, s.Fields
	}
	if n := j.opt.Count; n > 0 && (n > s.Count || n < s.Count && j.opt.Lower) {
		u.Count = &n
		if err := j.noteCount(ctx, s.Count, n); err != nil {
			return platform.Outcome{}, err
		}
	}
	if u.Fields != nil || u.Count != nil {
		if err := j.c.UpdateService(ctx, j.d.Cluster, j.d.Name, u); err != nil {
			return platform.Outcome{}, err
		}
		j.logf("updated service %s", j.d.Name)
	}
	return done(j.retag(ctx, s, j.tags("", "")))
}

// noteCount journals the first count that was there before ours.
func (j *job) noteCount(ctx context.Context, from, to int) error {
	rec, known, err := platform.Recall[countRecord](j.j, keyCount)
	if err != nil {
		return err
	}
	if known {
		from = rec.From
	}
	return platform.Remember(ctx, j.j, keyCount, countRecord{From: from, To: to})
}

// retag sets the wanted tags and removes those that neither the file nor a tool keeps.
func (j *job) retag(ctx context.Context, s *service, want tags) error {
	set, remove := tags{}, []string(nil)
	for k, v := range want {
		if have, ok := s.Tags[k]; !ok || have != v {
			set[k] = v
		}
	}
	for k := range userTags(s.Tags) {
		if _, ok := want[k]; !ok {
			remove = append(remove, k)
		}
	}
	if len(set) == 0 && len(remove) == 0 {
		return nil
	}
	slices.Sort(remove)
	return j.c.TagService(ctx, s.ARN, set, remove)
}

func orStop(stop *platform.Outcome, err error) (platform.Outcome, error) {
	if err != nil || stop == nil {
		return platform.Outcome{}, err
	}
	return *stop, nil
}

// keep notes that what is left of the deployment's objects is the declared end.
func (j *job) keep(ctx context.Context) (platform.Outcome, error) {
	open, err := j.led.Open()
	if err != nil {
		return platform.Outcome{}, err
	}
	for _, o := range open {
		if o.State == deploy.LedgerIntended {
			err = j.led.Removed(ctx, o.Type, o.Token) // a later attempt made it under another token
		} else {
			err = j.led.Kept(ctx, o.Type, o.Token)
		}
		if err != nil {
			return platform.Outcome{}, err
		}
	}
	return platform.DoneNow()
}
