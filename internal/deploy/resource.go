package deploy

import "time"

// Health is how a live resource is.
type Health string

// The health values.
const (
	HealthUnknown     Health = "UNKNOWN"
	HealthHealthy     Health = "HEALTHY"
	HealthProgressing Health = "PROGRESSING"
	HealthUnhealthy   Health = "UNHEALTHY"
)

// Resource is one node of a live state tree, neutral of the platform: agents
// send it, the server stores it and interprets nothing.
type Resource struct {
	ID      string            `json:"id"`
	Parent  string            `json:"parent,omitempty"` // id of the owning resource
	Kind    string            `json:"kind"`             // Service, TaskSet, Task, TargetGroup, …
	Name    string            `json:"name"`
	Health  Health            `json:"health"`
	Status  string            `json:"status,omitempty"`  // the platform's own word
	Variant string            `json:"variant,omitempty"` // primary, canary
	Version string            `json:"version,omitempty"`
	Fields  map[string]string `json:"fields,omitempty"` // facts for people; environment values are masked
	Created time.Time         `json:"created,omitzero"`
	Reason  Reason            `json:"reason,omitzero"`  // why it is not healthy, when the platform knows
	Events  []ResourceEvent   `json:"events,omitempty"` // what the platform told of it, newest first, at most MaxResourceEvents
	URL     string            `json:"url,omitempty"`    // where the platform's own console shows it
}

// MaxResourceEvents is how many events of one resource are kept.
const MaxResourceEvents = 20

// ResourceEvent is one thing that a platform told of a resource, in its own words.
type ResourceEvent struct {
	At   time.Time `json:"at"`
	Text string    `json:"text"`
}

// Traffic is the state of one route: how the weights are spread over groups.
type Traffic struct {
	Route  string  `json:"route"` // listener or rule
	Groups []Share `json:"groups"`
}

// Share is one group behind a route.
type Share struct {
	Group   string  `json:"group"`   // identity, an ARN for instance
	Variant string  `json:"variant"` // primary, canary
	Percent float64 `json:"percent"` // 0–100, as the API reads
	Healthy int     `json:"healthy"` // targets that may be given requests
	Total   int     `json:"total"`
	// Versions is how the group's healthy targets are spread over versions.
	Versions map[string]int `json:"versions,omitempty"`
}

// LiveState is one observation of an application.
type LiveState struct {
	At        time.Time  `json:"at"`
	Digest    string     `json:"digest"`
	Health    Health     `json:"health"`
	Resources []Resource `json:"resources,omitempty"`
	Traffic   []Traffic  `json:"traffic,omitempty"`
	Truncated int        `json:"truncated,omitempty"` // resources left out to keep the report bounded
}

// HealthOf folds the health of resources: the worst one decides; none is unknown.
func HealthOf(rs []Resource) Health {
	rank := map[Health]int{HealthHealthy: 1, HealthUnknown: 2, HealthProgressing: 3, HealthUnhealthy: 4}
	worst := HealthUnknown
	best := 0
	for _, r := range rs {
		if rank[r.Health] > best {
			worst, best = r.Health, rank[r.Health]
		}
	}
	return worst
}
