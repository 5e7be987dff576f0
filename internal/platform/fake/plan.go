package fake

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/platform"
	"github.com/penstock-cd/penstock/internal/spec"
)

// options of a stage.
type options struct {
	Replicas int  `json:"replicas,omitempty"`
	Canary   int  `json:"canary,omitempty"`
	Last     bool `json:"last,omitempty"` // cleans up behind the whole deployment
}

// Plan implements platform.Platform.
func (p *Platform) Plan(in platform.PlanInput) (platform.PlanPart, error) {
	out := platform.PlanPart{SettleTime: p.opt.Settle, RollbackLimit: 30 * time.Minute}
	d, err := decode[desired]("desired state", in.Desired.Body)
	if err != nil {
		return out, err
	}
	stages := in.Stages
	if in.Strategy == deploy.StrategyQuick {
		stages = []platform.StageRequest{{ID: StageSync, Name: StageSync}}
	}
	dec := spec.NewDecoder()
	exposed := 0.0
	for i, s := range stages {
		o := options{Last: i == len(stages)-1}
		w := dec.With(spec.Stage{Name: s.Name, With: s.With})
		w.IntOr("replicas", &o.Replicas, 1)
		primary := 0
		w.Percent("canary", &o.Canary)
		w.Percent("primary", &primary)
		if primary > 0 {
			o.Canary = 100 - primary
		}
		if s.Name == StageRoute && d.Unrouted {
			return out, deploy.Errorf(deploy.CodeInvalid, "stage %s finds nothing to route: service %s has no route", s.Name, d.Service)
		}
		if !in.Live.Exists && s.Name != StageSync {
			return out, deploy.Errorf(deploy.CodeInvalid, "service %s does not exist yet: deploy it once with a quick sync", d.Service)
		}
		ps, err := p.stage(s, o, &exposed)
		if err != nil {
			return out, err
		}
		out.Stages = append(out.Stages, ps)
	}
	if _, err := dec.Finish(); err != nil {
		return out, err
	}
	out.Rollback = []deploy.PlanStage{{
		ID: "rollback", Name: StageBack, Type: deploy.StagePlatform, Timeout: 25 * time.Minute,
		Steps: steps("capacity", "ready", "weights", "settle", "main", "remove", "verify"),
	}}
	out.Claims = []deploy.Claim{{Kind: "service", Key: in.Live.Account + "/" + d.Service}}
	return out, nil
}

// stageSteps are the steps of each stage.
var stageSteps = map[string][]string{
	StageSync:    {"create", "ready", "shift", "settle", "promote", "retire"},
	StageCanary:  {"create", "ready"},
	StageRoute:   {"shift", "settle", "verify"},
	StagePrimary: {"create", "ready", "promote", "retire"},
	StageClean:   {"drain", "settle", "remove"},
}

func (p *Platform) stage(s platform.StageRequest, o options, exposed *float64) (deploy.PlanStage, error) {
	names := stageSteps[s.Name]
	if o.Last {
		names = append(append([]string{}, names...), "finish")
	}
	body, err := json.Marshal(o)
	if err != nil {
		return deploy.PlanStage{}, fmt.Errorf("encode options: %w", err)
	}
	ps := deploy.PlanStage{
		ID: s.ID, Name: s.Name, Type: deploy.StagePlatform, Options: body, Steps: steps(names...), Timeout: time.Hour,
		Holds: !o.Last && s.Name != StageSync, Exposure: deploy.Exposure{From: *exposed, To: *exposed},
	}
	switch s.Name {
	case StageRoute:
		ps.Display = fmt.Sprintf("canary %d %%, primary %d %%", o.Canary, 100-o.Canary)
		if *exposed < 100 {
			ps.Exposure.To = float64(o.Canary)
		}
	case StagePrimary, StageSync:
		ps.Exposure.To = 100
	}
	*exposed = ps.Exposure.To
	return ps, nil
}

func steps(names ...string) []deploy.PlanStep {
	out := make([]deploy.PlanStep, len(names))
	for i, n := range names {
		out[i] = deploy.PlanStep{Name: n}
	}
	return out
}
