package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/penstock-cd/penstock/internal/agent/seal"
	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/platform"
)

// pinned is what a plan was made of. It is sealed, so that every process of
// this agent can carry on and nobody else can read it.
type pinned struct {
	Desired  platform.Desired  `json:"desired"`
	Live     platform.Live     `json:"live"`
	LastGood *platform.Desired `json:"lastGood,omitempty"`

	blob string // digest under which it is kept
}

// putPinned seals and stores what a plan of a deployment is made of.
func (a *Agent) putPinned(ctx context.Context, deployment string, p *pinned) error {
	data, err := json.Marshal(p)
	if err != nil {
		return platform.Final(fmt.Errorf("encode pinned state: %w", err))
	}
	p.blob, err = a.putBlob(ctx, a.key.Seal(deployment, data))
	return err
}

// getPinned reads what putPinned stored.
func (a *Agent) getPinned(ctx context.Context, deployment, digest string) (*pinned, error) {
	if digest == "" {
		return nil, platform.Final(errors.New("the plan has no pinned state"))
	}
	ctx, cancel := context.WithTimeout(ctx, transferLimit)
	defer cancel()
	sealed, err := a.link.GetBlob(ctx, a.gate.sessionID(), digest)
	if err != nil {
		a.linkFailed("get blob", err)
		if deploy.CodeOf(err) == deploy.CodeNotFound {
			return nil, platform.Final(fmt.Errorf("the pinned state of the plan is gone from the control plane: %w", err))
		}
		return nil, fmt.Errorf("read pinned state: %w", err)
	}
	data, err := a.key.Open(deployment, sealed)
	if errors.Is(err, seal.ErrWrongKey) {
		return nil, platform.Final(fmt.Errorf("the pinned state of the plan cannot be opened: the agent's key is another one than when it was planned; start a new deployment (%w)", err))
	}
	p := &pinned{blob: digest}
	if err := json.Unmarshal(data, p); err != nil {
		return nil, platform.Final(fmt.Errorf("decode pinned state: %w", err))
	}
	return p, nil
}

func (a *Agent) putBlob(ctx context.Context, data []byte) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, transferLimit)
	defer cancel()
	digest, err := a.link.PutBlob(ctx, a.gate.sessionID(), data)
	if err != nil {
		a.linkFailed("put blob", err)
		return "", fmt.Errorf("store blob: %w", err)
	}
	return digest, nil
}

// state returns what the plan of the deployment was made of.
func (w *worker) state(ctx context.Context, d deploy.Deployment) (*pinned, error) {
	if d.Plan == nil {
		return nil, platform.Final(errors.New("the deployment has no plan"))
	}
	if w.pin != nil && w.pin.blob == d.Plan.PinnedBlob {
		return w.pin, nil
	}
	p, err := w.a.getPinned(ctx, d.ID, d.Plan.PinnedBlob)
	if err == nil {
		w.pin = p
	}
	return p, err
}
