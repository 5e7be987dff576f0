package server

import (
	"context"
	"encoding/json"
	"reflect"
	"time"

	"github.com/penstock-cd/penstock/internal/deploy"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
	"github.com/penstock-cd/penstock/internal/wire"
)

// maxTrafficSamples bounds the record of one application. A canary changes
// what is observed some dozens of times: weights, and healthy targets.
const maxTrafficSamples = 120

// trafficSample is what the routes were observed to do from At to Until.
type trafficSample struct {
	At      time.Time        `json:"at"`
	Until   time.Time        `json:"until"`
	Traffic []deploy.Traffic `json:"traffic"`
}

// recordTraffic keeps what routes do when it differs from the observation
// before, so that a page that is opened late can draw the way of the shares.
// Only a change is written: an idle application costs nothing. Two reports of
// one application at once can lose a sample, never mix two.
func (s *Server) recordTraffic(ctx context.Context, project, app string, before, now deploy.LiveState) error {
	if reflect.DeepEqual(before.Traffic, now.Traffic) {
		return nil
	}
	samples, err := s.trafficSamples(ctx, project, app)
	if err != nil {
		return err
	}
	if n := len(samples); n > 0 && before.At.After(samples[n-1].Until) {
		samples[n-1].Until = before.At
	}
	samples = append(samples, trafficSample{At: now.At, Until: now.At, Traffic: now.Traffic})
	if n := len(samples) - maxTrafficSamples; n > 0 {
		samples = samples[n:]
	}
	text, err := json.Marshal(samples)
	if err != nil {
		return err
	}
	return s.opt.Store.Side().PutSide(ctx, project, "traffic", app, now.At, text)
}

func (s *Server) trafficSamples(ctx context.Context, project, app string) ([]trafficSample, error) {
	text, _, ok, err := s.opt.Store.Side().GetSide(ctx, project, "traffic", app)
	if err != nil || !ok {
		return nil, err
	}
	var samples []trafficSample
	return samples, json.Unmarshal(text, &samples)
}

// trafficSince gives the samples that reach behind an instant; the newest one
// lasts until the newest observation, which is the same.
func (s *Server) trafficSince(ctx context.Context, project, app string, since time.Time, live deploy.LiveState) ([]*penstockv1.TrafficSample, error) {
	samples, err := s.trafficSamples(ctx, project, app)
	if err != nil {
		return nil, err
	}
	if n := len(samples); n > 0 && live.At.After(samples[n-1].Until) {
		samples[n-1].Until = live.At
	}
	var out []*penstockv1.TrafficSample
	for _, x := range samples {
		if x.Until.After(since) {
			out = append(out, wire.TrafficSample(x.At, x.Until, x.Traffic))
		}
	}
	return out, nil
}
