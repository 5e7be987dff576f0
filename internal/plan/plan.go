// Package plan turns a decoded application file and what would change into a
// deploy.Plan: whether to sync quickly or through the pipeline, and with which
// stages. It is pure; the platform's own part of a plan comes in as a value.
package plan

import (
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/penstock-cd/penstock/internal/change"
	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/spec"
)

// Input is what a plan is made of.
type Input struct {
	App           *spec.Application
	Trigger       deploy.Trigger
	CommitMessage string         // whole message, for commitMatcher and skipOn
	Exists        bool           // something is live
	Changes       change.Changes // from live to desired
	From, To      []deploy.Version
	RunningCommit string   // commit of the last good state, "" when unknown
	Changed       []string // paths changed since RunningCommit, nil when unknown
	DesiredDigest string
	LiveDigest    string
	Account       string
}

// Part is the platform's part of a plan.
type Part struct {
	Stages     []deploy.PlanStage // one for each stage of the platform in the pipeline, or the quick-sync stages
	Rollback   []deploy.PlanStage // the way back, empty when there is nothing to return to
	Claims     []deploy.Claim
	Notes      []deploy.Reason // which rules will change, what cannot change, …
	SettleTime time.Duration
	// RollbackLimit bounds the way back, from its start.
	RollbackLimit time.Duration
}

// Choice is how the change is brought out and why. Nothing means that live is
// what git declares already.
type Choice struct {
	Strategy deploy.Strategy
	Why      deploy.Reason
	Nothing  bool
}

// Choose decides between quick sync and pipeline (behaviour reference 2.3, in
// its order, with two differences: a first deployment is one where nothing is
// live rather than one without a record, and a commit that changes nothing
// does nothing unless a person asked for it).
func Choose(in Input) (Choice, error) {
	if err := refuse(in); err != nil {
		return Choice{}, err
	}
	pipeline := len(in.App.Stages) > 0
	switch in.Trigger.Strategy {
	case deploy.StrategyQuick:
		return Choice{Strategy: deploy.StrategyQuick, Why: deploy.Why(deploy.ReasonUserCommand, "by", in.Trigger.By)}, nil
	case deploy.StrategyPipeline:
		if !pipeline {
			return Choice{}, deploy.Errorf(deploy.CodeInvalid, "a pipeline sync was asked for, but %s has no pipeline", in.App.File)
		}
		return Choice{Strategy: deploy.StrategyPipeline, Why: deploy.Why(deploy.ReasonUserCommand, "by", in.Trigger.By)}, nil
	}
	if in.Exists && in.Changes.Empty() && in.Trigger.Kind != deploy.OnCommand {
		return Choice{Strategy: deploy.StrategyQuick, Nothing: true, Why: deploy.Why(deploy.ReasonNoChanges, "commit", in.Trigger.Commit.Short())}, nil
	}
	if !pipeline {
		return Choice{Strategy: deploy.StrategyQuick, Why: deploy.Why(deploy.ReasonNoPipeline)}, nil
	}
	if in.App.AlwaysUsePipeline {
		return Choice{Strategy: deploy.StrategyPipeline, Why: deploy.Why(deploy.ReasonAlwaysPipeline)}, nil
	}
	if c, ok, err := byMessage(in); ok || err != nil {
		return c, err
	}
	if !in.Exists {
		return Choice{Strategy: deploy.StrategyQuick, Why: deploy.Why(deploy.ReasonFirstDeployment)}, nil
	}
	return Choice{Strategy: deploy.StrategyPipeline, Why: whyPipeline(in)}, nil
}

// refuse names what makes any plan of this file wrong: what is understood but
// not active must stop before the first write, never be left out in silence.
func refuse(in Input) error {
	if stages := in.App.Inactive(); len(stages) > 0 {
		s := stages[0]
		return spec.Errors{s.With.Errorf("take the stage out, or wait for a version that has it", "stage %s is not active in this version: %s", s.Name, s.Inactive)}
	}
	if in.App.Encryption != nil || in.App.Attachment != nil {
		return deploy.Errorf(deploy.CodeUnsupported, "%s: encryption and attachment are not active in this version; the files would be deployed with their templates in them", in.App.File)
	}
	if in.Trigger.Kind == deploy.OnCommand && in.App.Trigger.OnCommand.Disabled {
		return deploy.Errorf(deploy.CodeInvalid, "%s: trigger.onCommand.disabled is set, so the application is deployed by commits only", in.App.File)
	}
	return nil
}

// byMessage evaluates commitMatcher where the file's kind has it active.
func byMessage(in Input) (Choice, bool, error) {
	m := in.App.CommitMatcher
	if !m.Active || in.Trigger.Kind == deploy.OnCommand {
		return Choice{}, false, nil
	}
	for _, c := range []struct {
		pattern  string
		strategy deploy.Strategy
	}{{m.Pipeline, deploy.StrategyPipeline}, {m.QuickSync, deploy.StrategyQuick}} {
		if c.pattern == "" {
			continue
		}
		re, err := regexp.Compile(c.pattern)
		if err != nil {
			return Choice{}, false, deploy.Errorf(deploy.CodeInvalid, "commitMatcher %q: %v", c.pattern, err)
		}
		if re.MatchString(in.CommitMessage) {
			return Choice{Strategy: c.strategy, Why: deploy.Why(deploy.ReasonCommitMatcher, "pattern", c.pattern)}, true, nil
		}
	}
	return Choice{}, false, nil
}

func whyPipeline(in Input) deploy.Reason {
	from, to := display(in.From), display(in.To)
	if from != "" && to != "" && from != to {
		return deploy.Why(deploy.ReasonVersionChange, "from", from, "to", to)
	}
	return deploy.Why(deploy.ReasonChanges, "count", strconv.Itoa(in.Changes.Count()), "summary", in.Changes.Summary())
}

// display is the version a person reads: that of the first artefact.
func display(vs []deploy.Version) string {
	if len(vs) == 0 {
		return ""
	}
	return vs[0].Version
}

// Assemble makes the plan from a choice and the platform's part. Generic
// stages stand where the file has them.
func Assemble(in Input, c Choice, part Part) (deploy.Plan, error) {
	p := deploy.Plan{
		Strategy: c.Strategy, Why: c.Why, Versions: in.To, From: in.From,
		AutoRollback: in.App.AutoRollback, Timeout: in.App.Timeout, RollbackLimit: part.RollbackLimit,
		DesiredDigest: in.DesiredDigest, LiveDigest: in.LiveDigest, Account: in.Account,
		FirstDeploy: !in.Exists, RunningCommit: in.RunningCommit,
	}
	if c.Nothing {
		return p, nil
	}
	p.Rollback, p.Claims, p.Notes, p.SettleTime = part.Rollback, part.Claims, part.Notes, part.SettleTime
	var err error
	if c.Strategy == deploy.StrategyQuick {
		p.Stages = part.Stages
	} else if p.Stages, err = pipelineStages(in, part.Stages); err != nil {
		return p, err
	}
	return p, uniqueIDs(p)
}

// IsGeneric reports whether the server or people carry a stage out, not the platform.
func IsGeneric(s spec.Stage) bool { return s.Wait != nil || s.Approval != nil }

func pipelineStages(in Input, own []deploy.PlanStage) ([]deploy.PlanStage, error) {
	var out []deploy.PlanStage
	exposed := 0.0
	for _, s := range in.App.Stages {
		ps, err := stage(s, &own)
		if err != nil {
			return nil, err
		}
		if ps.Type != deploy.StagePlatform {
			ps.Exposure = deploy.Exposure{From: exposed, To: exposed}
		}
		exposed = ps.Exposure.To
		ps.Skip = skip(s, in)
		out = append(out, ps)
	}
	if len(own) > 0 {
		return nil, fmt.Errorf("plan: %d platform stages too many", len(own))
	}
	return out, nil
}

// stage builds one stage; the platform's are taken from own in order.
func stage(s spec.Stage, own *[]deploy.PlanStage) (deploy.PlanStage, error) {
	ps := deploy.PlanStage{ID: s.ID, Name: s.Name, Desc: s.Desc}
	switch {
	case s.Wait != nil:
		ps.Type, ps.Wait, ps.Display = deploy.StageWait, s.Wait.Duration, s.Wait.Duration.String()
	case s.Approval != nil:
		ps.Type, ps.Approvers, ps.Approvals = deploy.StageApproval, s.Approval.Approvers, s.Approval.MinApproverNum
		ps.Timeout = s.Approval.Timeout
	default:
		if len(*own) == 0 {
			return ps, fmt.Errorf("plan: the platform did not plan stage %s", s.Name)
		}
		ps = (*own)[0]
		*own = (*own)[1:]
		ps.ID, ps.Name, ps.Desc = s.ID, s.Name, s.Desc
		if ps.Timeout == 0 {
			ps.Timeout = s.Timeout
		}
	}
	return ps, nil
}

// skip resolves skipOn. Without a running commit there is nothing to compare
// with, so paths skip nothing.
func skip(s spec.Stage, in Input) deploy.Reason {
	if s.SkipOn.Empty() || in.RunningCommit == "" || !s.SkipOn.Skip(in.CommitMessage, in.Changed) {
		return deploy.Reason{}
	}
	return deploy.Why(deploy.ReasonSkipOn, "commit", in.Trigger.Commit.Short())
}

// uniqueIDs makes sure that a stage is named by its id alone, the way back included.
func uniqueIDs(p deploy.Plan) error {
	seen := make(map[string]bool)
	for _, list := range [][]deploy.PlanStage{p.Stages, p.Rollback} {
		for _, s := range list {
			if s.ID == "" || seen[s.ID] {
				return fmt.Errorf("plan: stage id %q is empty or used twice", s.ID)
			}
			seen[s.ID] = true
		}
	}
	return nil
}
