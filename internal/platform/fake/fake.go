package fake

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/penstock-cd/penstock/internal/change"
	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/platform"
	"github.com/penstock-cd/penstock/internal/spec"
)

// The names of the kind and its stages.
const (
	Kind         = deploy.Kind("FakeApp")
	StageSync    = "FAKE_SYNC"
	StageCanary  = "FAKE_CANARY_ROLLOUT"
	StageRoute   = "FAKE_TRAFFIC_ROUTING"
	StagePrimary = "FAKE_PRIMARY_ROLLOUT"
	StageClean   = "FAKE_CANARY_CLEAN"
	StageBack    = "FAKE_ROLLBACK"
)

// Reason codes of this platform.
const (
	ReasonOrdered   = "FAKE_ORDERED"   // the file asked for a failure; args: step
	ReasonStarting  = "FAKE_STARTING"  // instances are not healthy yet; args: healthy, want
	ReasonNoStart   = "FAKE_NO_START"  // instances never became healthy; args: after
	ReasonSettling  = "FAKE_SETTLING"  // routes apply a new weight
	ReasonSplit     = "FAKE_SPLIT"     // traffic goes to the canary, so no deployment should start from here; args: share
	ReasonOthers    = "FAKE_OTHERS"    // besides the main set there are sets with replicas, so no deployment should start from here; args: sets
	ReasonSick      = "FAKE_SICK"      // instances of the new version are unhealthy; args: set
	ReasonForeign   = "FAKE_FOREIGN"   // args: expected, found
	ReasonDifferent = "FAKE_DIFFERENT" // live is not the snapshot; args: expected, found
	ReasonNoTarget  = "FAKE_NO_TARGET" // nothing to route; args: group
)

// Mistake is a fault that is built in to see whether tests find it.
type Mistake string

// The mistakes.
const (
	NoMistake          Mistake = ""
	CanaryBeforeWeight Mistake = "canary removed before its weight"
	SettleSkipped      Mistake = "settle step skipped"
	SnapshotSkipped    Mistake = "way back to the desired state instead of the snapshot"
	LedgerNotDrained   Mistake = "ledger not drained"
	TokenNotSent       Mistake = "token not sent and nothing looked up"
	HealthNotAwaited   Mistake = "traffic before health"
)

// Options of a platform.
type Options struct {
	Cloud *Cloud
	By    string // name of the process in the cloud's record
	// Settle is how long a new weight takes to be applied; 0 means 10 s.
	Settle  time.Duration
	Mistake Mistake
}

// Platform is the fake platform of one agent process.
type Platform struct{ opt Options }

// New returns a platform over a cloud.
func New(opt Options) *Platform {
	if opt.Settle == 0 {
		opt.Settle = 10 * time.Second
	}
	return &Platform{opt: opt}
}

// KindInfo is what the generic decoder has to know.
func KindInfo() spec.KindInfo {
	return spec.KindInfo{
		Kind: spec.Kind(Kind), Platform: "FAKE", Plugin: "fake", AutoRollback: true,
		Stages: []string{StageSync, StageCanary, StageRoute, StagePrimary, StageClean},
	}
}

// Kind implements platform.Platform.
func (*Platform) Kind() deploy.Kind { return Kind }

// Stages implements platform.Platform.
func (*Platform) Stages() []platform.StageInfo {
	return []platform.StageInfo{
		{Name: StageSync, Desc: "Replaces everything at once."},
		{Name: StageCanary, Desc: "Starts instances of the new version beside the old ones.", Options: []platform.OptionInfo{{Name: "replicas", Type: "int", Default: "1", Desc: "How many."}}},
		{Name: StageRoute, Desc: "Shifts traffic.", Options: []platform.OptionInfo{
			{Name: "canary", Type: "percent", Default: "0", Desc: "Share of the canary."}, {Name: "primary", Type: "percent", Default: "100", Desc: "Share of the primary."},
		}},
		{Name: StagePrimary, Desc: "Replaces the primary instances."},
		{Name: StageClean, Desc: "Removes the canary."},
	}
}

// desired is what a file declares and the orders it carries.
type desired struct {
	Service  string `json:"service"`
	Version  string `json:"version"`
	Replicas int    `json:"replicas"`
	Size     int    `json:"size"`
	Unrouted bool   `json:"unrouted,omitempty"`

	Health Health `json:"health,omitzero"`
	FailAt string `json:"failAt,omitempty"` // STAGE/step
	Panic  string `json:"panic,omitempty"`  // STAGE/step
	Give   int    `json:"give"`             // seconds until a start counts as failed
}

// Load implements platform.Platform.
func (*Platform) Load(ctx context.Context, src platform.Source) (platform.Desired, error) {
	out := platform.Desired{Kind: Kind, AutoRollback: true}
	d := spec.NewDecoder()
	in := d.Object(src.Config.Input)
	var x desired
	var manifest string
	in.StringOr("service", &x.Service, src.Config.Name)
	in.String("version", &x.Version)
	in.String("manifest", &manifest)
	in.IntOr("replicas", &x.Replicas, 2)
	in.IntOr("size", &x.Size, 1)
	in.IntOr("give", &x.Give, 120)
	in.Bool("unrouted", &x.Unrouted)
	in.String("failAt", &x.FailAt)
	in.String("panicAt", &x.Panic)
	in.Duration("startAfter", &x.Health.StartAfter)
	in.Bool("neverHealthy", &x.Health.Never)
	in.Duration("unhealthyAfter", &x.Health.SickAfter)
	in.Ignore("autoRollback")
	if x.Replicas < 1 {
		in.Fail("replicas", "write a number from 1 on", "replicas is %d", x.Replicas)
	}
	if manifest == "" && x.Version == "" {
		in.Required("version")
	}
	warnings, err := d.Finish()
	out.Warnings = warnings
	if err != nil {
		return out, err
	}
	if manifest != "" {
		name := path.Join(path.Dir(src.Config.File), manifest)
		text, err := src.Files.ReadFile(ctx, name)
		if err != nil {
			return out, spec.Errors{src.Config.Input.Get("manifest").Errorf("commit the file, or correct its name", "cannot read %s: %v", name, err)}
		}
		node, _, err := spec.Parse(name, text)
		if err != nil {
			return out, err
		}
		x.Version = node.Get("version").Text()
	}
	out.Versions = []deploy.Version{{Kind: "FAKE_IMAGE", Name: x.Service, Version: x.Version}}
	if out.Body, err = json.Marshal(x); err != nil {
		return out, fmt.Errorf("encode desired state: %w", err)
	}
	effect, err := json.Marshal([]any{x.Service, x.Version, x.Replicas, x.Size, x.Unrouted})
	if err != nil {
		return out, fmt.Errorf("encode desired state: %w", err)
	}
	out.Digest = digest(effect)
	return out, nil
}

func digest(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:8])
}

func decode[T any](what string, b json.RawMessage) (T, error) {
	var v T
	if len(b) == 0 {
		return v, nil
	}
	if err := json.Unmarshal(b, &v); err != nil {
		return v, platform.Final(fmt.Errorf("decode %s: %w", what, err))
	}
	return v, nil
}

// Observe implements platform.Platform.
func (p *Platform) Observe(ctx context.Context, t platform.Target) (platform.Live, error) {
	d, err := decode[desired]("desired state", t.Desired.Body)
	if err != nil {
		return platform.Live{}, err
	}
	s, err := p.opt.Cloud.read(ctx, d.Service)
	if err != nil {
		return platform.Live{}, err
	}
	return p.live(s)
}

// live renders what was read.
func (p *Platform) live(s *Service) (platform.Live, error) {
	out := platform.Live{Account: p.opt.Cloud.Account}
	if s == nil || len(s.Sets) == 0 {
		out.State = deploy.LiveState{Health: deploy.HealthUnknown, Digest: "nothing"}
		out.Digest = "nothing"
		return out, nil
	}
	body, err := json.Marshal(s)
	if err != nil {
		return out, fmt.Errorf("encode live state: %w", err)
	}
	out.Exists, out.Body, out.Digest = true, body, effectOf(*s)
	if m, ok := s.Set(s.Main); ok {
		out.Versions = []deploy.Version{{Kind: "FAKE_IMAGE", Name: s.Name, Version: m.Version}}
	}
	now, others := time.Now(), []string{}
	for _, x := range s.Sets {
		out.Makers = append(out.Makers, x.Creator)
		if x.ID != s.Main && x.Replicas > 0 {
			others = append(others, x.ID)
		}
		h := deploy.HealthHealthy
		if x.Healthy(now) < x.Replicas {
			h = deploy.HealthUnhealthy
		}
		out.State.Resources = append(out.State.Resources, deploy.Resource{
			ID: x.ID, Kind: "Set", Name: x.ID, Health: h, Variant: x.Group, Version: x.Version,
			Fields: map[string]string{"replicas": strconv.Itoa(x.Replicas)},
		})
	}
	if len(s.Weights) > 0 {
		tr := deploy.Traffic{Route: s.Name}
		for _, g := range []string{Primary, Canary} {
			tr.Groups = append(tr.Groups, deploy.Share{Group: g, Variant: g, Percent: float64(s.Weights[g]), Healthy: s.HealthyIn(g, now)})
		}
		out.State.Traffic = []deploy.Traffic{tr}
		if sh := s.Weights[Canary]; sh > 0 {
			out.Unsettled = append(out.Unsettled, deploy.Why(ReasonSplit, "share", strconv.Itoa(sh)))
		}
	}
	if len(others) > 0 {
		out.Unsettled = append(out.Unsettled, deploy.Why(ReasonOthers, "sets", strings.Join(others, ", ")))
	}
	out.State.Health, out.State.Digest = deploy.HealthOf(out.State.Resources), out.Digest
	return out, nil
}

// effectOf is equal for services that do the same, whatever their objects are called.
func effectOf(s Service) string {
	type line struct {
		Group, Version string
		Main           bool
	}
	count := map[line]int{}
	for _, x := range s.Sets {
		if x.Replicas > 0 {
			count[line{x.Group, x.Version, x.ID == s.Main}] += x.Replicas
		}
	}
	parts := []string{fmt.Sprint("size ", s.Size), "weights " + weightsText(s.Weights)}
	for l, n := range count {
		parts = append(parts, fmt.Sprint(l, " × ", n))
	}
	sort.Strings(parts)
	return digest([]byte(fmt.Sprint(parts)))
}

// Compare implements platform.Platform: what matters of a service, as two maps.
func (*Platform) Compare(from, to platform.State) (change.Changes, error) {
	a, err := essence(from)
	if err != nil {
		return change.Changes{}, err
	}
	b, err := essence(to)
	if err != nil {
		return change.Changes{}, err
	}
	return change.Diff(a, b, change.Options{}), nil
}

func essence(s platform.State) (map[string]any, error) {
	if s.Desired != nil {
		d, err := decode[desired]("desired state", s.Desired.Body)
		return map[string]any{"version": d.Version, "replicas": d.Replicas, "size": d.Size, "canary": 0, "route": !d.Unrouted}, err
	}
	if s.Live == nil || !s.Live.Exists {
		return map[string]any{}, nil
	}
	v, err := decode[Service]("live state", s.Live.Body)
	out := map[string]any{"version": "", "replicas": 0, "size": v.Size, "canary": v.Weights[Canary], "route": len(v.Weights) > 0}
	if m, ok := v.Set(v.Main); ok {
		out["version"], out["replicas"] = m.Version, m.Replicas
	}
	return out, err
}
