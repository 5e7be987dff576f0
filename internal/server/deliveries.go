package server

import (
	"context"
	"sync"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
)

// deliveries remembers what came of the last webhooks of each project and host,
// for the person who sets one up. In memory, because strangers can send as many
// as they like: no delivery writes to the store.
type deliveries struct {
	since time.Time

	mu   sync.Mutex
	last map[deliveryKey]delivery // of projects that exist: a few for each
}

// deliveryKey has what is proven and what is not apart, so that no stranger hides the host's.
type deliveryKey struct {
	project, host string
	proven        bool
}

type delivery struct {
	at     time.Time
	status int
	woken  int
	proven bool
}

func newDeliveries(now time.Time) *deliveries {
	return &deliveries{since: now, last: map[deliveryKey]delivery{}}
}

func (d *deliveries) note(project, host string, x delivery) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last[deliveryKey{project, host, x.proven}] = x
}

// wire is nil when there was none.
func (d *deliveries) wire(k deliveryKey) *penstockv1.WebhookDelivery {
	d.mu.Lock()
	defer d.mu.Unlock()
	x, ok := d.last[k]
	if !ok {
		return nil
	}
	return &penstockv1.WebhookDelivery{At: timestamppb.New(x.at), Status: int32(x.status), Woken: int32(x.woken)}
}

// GetWebhooks implements ProjectService.
func (s *Server) GetWebhooks(ctx context.Context, _ *connect.Request[penstockv1.GetWebhooksRequest]) (*connect.Response[penstockv1.GetWebhooksResponse], error) {
	p, err := s.project(ctx, who(ctx).Project)
	if err != nil {
		return nil, err
	}
	out := &penstockv1.GetWebhooksResponse{SecretSet: p.WebhookKey != nil, Since: timestamppb.New(s.deliveries.since)}
	for _, h := range gitHosts() {
		out.Webhooks = append(out.Webhooks, &penstockv1.Webhook{
			Host: h.name, Path: webhookPath + h.name + "/" + p.ID,
			Last: s.deliveries.wire(deliveryKey{p.ID, h.name, true}), Refused: s.deliveries.wire(deliveryKey{p.ID, h.name, false}),
		})
	}
	return connect.NewResponse(out), nil
}
