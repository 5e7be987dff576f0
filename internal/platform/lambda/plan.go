package lambda

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/platform"
	"github.com/penstock-cd/penstock/internal/spec"
)

// backLimit bounds the way back: an alias is changed in seconds; a call in doubt holds it longest.
const backLimit = 15 * time.Minute

// planner resolves one plan.
type planner struct {
	in   platform.PlanInput
	d    *desired
	snap *snapshot
	out  platform.PlanPart

	built  bool // a stage before has published the version
	weight int  // share of the new version now
}

// Plan implements platform.Platform.
func (*Platform) Plan(in platform.PlanInput) (platform.PlanPart, error) {
	p := &planner{in: in}
	var err error
	if p.d, err = platform.DecodeBody[desired]("desired state", in.Desired.Body); err != nil {
		return p.out, err
	}
	if p.snap, err = platform.DecodeBody[snapshot]("live state", in.Live.Body); err != nil {
		return p.out, err
	}
	p.out.SettleTime, p.out.RollbackLimit = p.d.Settle, backLimit
	stages, err := p.requests()
	if err != nil {
		return p.out, err
	}
	if err := p.check(stages); err != nil {
		return p.out, err
	}
	for i, st := range stages {
		ps, err := p.stage(st, i == len(stages)-1)
		if err != nil {
			return p.out, err
		}
		p.out.Stages = append(p.out.Stages, ps)
	}
	if p.weight != 100 {
		return p.out, invalid("the pipeline ends while the new version has %d %% of the invocations: add %s with percent: 100 at its end", p.weight, stagePromote)
	}
	p.out.Rollback = []deploy.PlanStage{p.back()}
	p.notes()
	for kind, key := range map[string]string{"function": p.d.Name, "alias": p.d.Name + ":" + p.d.Alias} {
		p.out.Claims = append(p.out.Claims, deploy.Claim{Kind: kind, Key: p.snap.Account + "/" + key})
	}
	slices.SortFunc(p.out.Claims, func(a, b deploy.Claim) int { return len(a.Kind) - len(b.Kind) })
	return p.out, nil
}

func invalid(format string, args ...any) error {
	return deploy.Errorf(deploy.CodeInvalid, format, args...)
}

// request is a stage with its options.
type request struct {
	platform.StageRequest
	opt options
}

// requests decodes the options of all stages at once, so that every mistake is found in one go.
func (p *planner) requests() ([]request, error) {
	if p.in.Strategy != deploy.StrategyPipeline {
		return []request{{StageRequest: platform.StageRequest{ID: stageSync, Name: stageSync}, opt: options{Percent: 100}}}, nil
	}
	d := spec.NewDecoder()
	var out []request
	for _, st := range p.in.Stages {
		out = append(out, request{st, decodeStage(d, st.Name, st.With)})
	}
	_, err := d.Finish()
	return out, err
}

// check refuses what cannot work, before the first write.
func (p *planner) check(stages []request) error {
	f := p.snap.Function
	if f != nil && f.Latest.Package != p.d.Source.pack() {
		return invalid("function %s holds code of type %s, the manifest declares %s: Lambda cannot change that; give the manifest another name and move the triggers", p.d.Name, f.Latest.Package, p.d.Source.pack())
	}
	v := p.snap.serving()
	for _, s := range stages {
		if s.Name != stagePromote || s.opt.Percent == 0 || s.opt.Percent == 100 {
			continue
		}
		switch {
		case p.snap.Alias == nil:
			return invalid("alias %s of %s does not exist yet, so there is nothing that could be split: deploy it once with a quick sync, or with %s and percent: 100", p.d.Alias, p.d.Name, stagePromote)
		case v != nil && v.Config.Role != p.d.Config.Role:
			return invalid("an alias can be split only between versions with the same role, and this commit changes it from %s to %s: change the role in a commit of its own with a quick sync", v.Config.Role, p.d.Config.Role)
		case v != nil && v.DeadLetters != f.Latest.DeadLetters:
			return invalid("an alias can be split only between versions with the same dead-letter target, and %s of %s has another one than the version that serves: bring it out with a quick sync", latest, p.d.Name)
		}
	}
	return nil
}

// stage resolves one stage and follows versions and weights through it.
func (p *planner) stage(r request, last bool) (deploy.PlanStage, error) {
	ps := deploy.PlanStage{ID: r.ID, Name: r.Name, Type: deploy.StagePlatform, Holds: true}
	from := p.weight
	var steps []string
	switch r.Name {
	case stageCanary:
		steps, ps.Display = p.build(), "publish the new version"
	case stagePromote:
		if !p.built {
			return ps, invalid("%s finds no new version to send anybody to: put %s before it", stagePromote, stageCanary)
		}
		p.weight = r.opt.Percent
		steps, ps.Display = p.route(), fmt.Sprintf("new version %d %%, former %d %%", p.weight, 100-p.weight)
	case stageSync:
		p.weight = 100
		steps, ps.Display = append(p.build(), p.route()...), "replace the serving version at once"
	default:
		return ps, invalid("stage %s is not one of this platform", r.Name)
	}
	if last {
		steps = append(steps, stepKeep)
	}
	for _, s := range steps {
		ps.Steps = append(ps.Steps, deploy.PlanStep{Name: s, Class: deploy.StepInstant})
	}
	ps.Exposure = deploy.Exposure{From: float64(from), To: float64(p.weight)}
	b, err := json.Marshal(r.opt)
	ps.Options = b
	return ps, err
}

// build are the steps that publish the new version, once in a pipeline.
func (p *planner) build() []string {
	if p.built {
		return nil
	}
	p.built = true
	steps := []string{stepConfigure, stepUpload, stepPublish, stepAwait, stepTag}
	if p.snap.Function == nil {
		steps = append([]string{stepCreate}, steps...)
	}
	return steps
}

func (p *planner) route() []string { return []string{stepShift, stepSettle, stepVerify} }

// back is the way back, one stage whose steps look for themselves how far the pipeline came.
func (p *planner) back() deploy.PlanStage {
	ps := deploy.PlanStage{ID: "Rollback", Name: stageBack, Type: deploy.StagePlatform, Timeout: backLimit, Display: "return to the recorded alias", Holds: true}
	steps := []string{backAlias, backSettle, backTags, backRemove, backVerify}
	if p.snap.Function == nil {
		steps = []string{backRemoveAll, backVerifyGone}
		ps.Display = "remove what was created"
	}
	for _, s := range steps {
		ps.Steps = append(ps.Steps, deploy.PlanStep{Name: s, Class: deploy.StepInstant})
	}
	return ps
}

// notes are what a reader should know before the plan runs.
func (p *planner) notes() {
	if p.snap.Alias == nil {
		p.out.Notes = append(p.out.Notes, deploy.Why(NoteAlias, "alias", p.d.Alias))
	}
	if v := p.snap.serving(); v != nil && sameContent(*v, p.d, p.snap.Function.Tags) {
		p.out.Notes = append(p.out.Notes, deploy.Why(NoteSame, "version", v.Number))
	}
}
