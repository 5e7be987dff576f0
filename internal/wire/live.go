package wire

import (
	"strings"
	"time"

	"github.com/penstock-cd/penstock/internal/deploy"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
)

// LiveState renders one observation of an application.
func LiveState(l deploy.LiveState) *penstockv1.LiveState {
	m := &penstockv1.LiveState{At: Time(l.At), Health: string(l.Health), Digest: l.Digest, Truncated: int32(l.Truncated)}
	for _, r := range l.Resources {
		m.Resources = append(m.Resources, &penstockv1.Resource{
			Id: r.ID, Parent: r.Parent, Kind: r.Kind, Name: r.Name, Health: string(r.Health), Status: r.Status,
			Variant: r.Variant, Version: r.Version, Fields: r.Fields, Created: Time(r.Created),
			Reason: Reason(r.Reason), Events: resourceEvents(r.Events), Url: r.URL,
		})
	}
	for _, t := range l.Traffic {
		m.Traffic = append(m.Traffic, traffic(t))
	}
	return m
}

func resourceEvents(es []deploy.ResourceEvent) []*penstockv1.ResourceEvent {
	var out []*penstockv1.ResourceEvent
	for _, e := range es {
		out = append(out, &penstockv1.ResourceEvent{At: Time(e.At), Text: e.Text})
	}
	return out
}

// TrafficSample renders what the routes were observed to do for a while.
func TrafficSample(at, until time.Time, routes []deploy.Traffic) *penstockv1.TrafficSample {
	m := &penstockv1.TrafficSample{At: Time(at), Until: Time(until)}
	for _, t := range routes {
		m.Traffic = append(m.Traffic, traffic(t))
	}
	return m
}

func traffic(t deploy.Traffic) *penstockv1.Traffic {
	m := &penstockv1.Traffic{Route: t.Route}
	for _, g := range t.Groups {
		s := &penstockv1.Share{Group: g.Group, Variant: g.Variant, Percent: g.Percent, Healthy: int32(g.Healthy), Total: int32(g.Total)}
		for v, n := range g.Versions {
			if s.Versions == nil {
				s.Versions = make(map[string]int32, len(g.Versions))
			}
			s.Versions[v] = int32(n)
		}
		m.Groups = append(m.Groups, s)
	}
	return m
}

// LiveStateFromWire reads an observation.
func LiveStateFromWire(m *penstockv1.LiveState) deploy.LiveState {
	l := deploy.LiveState{At: TimeFromWire(m.GetAt()), Health: deploy.Health(m.GetHealth()), Digest: m.GetDigest(), Truncated: int(m.GetTruncated())}
	for _, r := range m.GetResources() {
		l.Resources = append(l.Resources, deploy.Resource{
			ID: r.GetId(), Parent: r.GetParent(), Kind: r.GetKind(), Name: r.GetName(), Health: deploy.Health(r.GetHealth()), Status: r.GetStatus(),
			Variant: r.GetVariant(), Version: r.GetVersion(), Fields: r.GetFields(), Created: TimeFromWire(r.GetCreated()),
			Reason: ReasonFromWire(r.GetReason()), Events: resourceEventsFromWire(r.GetEvents()), URL: webURL(r.GetUrl()),
		})
	}
	for _, t := range m.GetTraffic() {
		l.Traffic = append(l.Traffic, trafficFromWire(t))
	}
	return l
}

func resourceEventsFromWire(es []*penstockv1.ResourceEvent) []deploy.ResourceEvent {
	var out []deploy.ResourceEvent
	for _, e := range es[:min(len(es), deploy.MaxResourceEvents)] {
		out = append(out, deploy.ResourceEvent{At: TimeFromWire(e.GetAt()), Text: e.GetText()})
	}
	return out
}

// webURL lets only addresses through that a browser may be sent to.
func webURL(s string) string {
	if strings.HasPrefix(s, "https://") || strings.HasPrefix(s, "http://") {
		return s
	}
	return ""
}

func trafficFromWire(m *penstockv1.Traffic) deploy.Traffic {
	t := deploy.Traffic{Route: m.GetRoute()}
	for _, g := range m.GetGroups() {
		s := deploy.Share{Group: g.GetGroup(), Variant: g.GetVariant(), Percent: g.GetPercent(), Healthy: int(g.GetHealthy()), Total: int(g.GetTotal())}
		for v, n := range g.GetVersions() {
			if s.Versions == nil {
				s.Versions = make(map[string]int, len(g.GetVersions()))
			}
			s.Versions[v] = int(n)
		}
		t.Groups = append(t.Groups, s)
	}
	return t
}
