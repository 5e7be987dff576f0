package localcloud

import (
	"fmt"
	"time"
)

// Profile is how much like the real AWS the cloud behaves in time.
type Profile struct {
	// Name is for people.
	Name string
	// Latency is added to every API call.
	Latency time.Duration
	// Nodes is the number of router nodes; each takes a weight change over after its own delay between WeightLagMin and WeightLagMax.
	Nodes                      int
	WeightLagMin, WeightLagMax time.Duration
	// ReadLag is how far ECS reads may lag behind writes; each read draws its own lag from zero to this. Zero reads the present.
	ReadLag time.Duration
	// Provision and Deprovision are the times a task spends before its processes are started and after they ended.
	Provision, Deprovision time.Duration
	// FunctionSetup is how long a function stays Pending behind its creation, and InProgress behind an update.
	FunctionSetup time.Duration
	// Watch is how often the scheduler looks at target health; zero is one second.
	Watch time.Duration
	// Throttle is the token bucket per action group; without an entry a group is not limited.
	Throttle map[string]Bucket
}

// Bucket is a token bucket: Burst calls at once, then Rate calls per second.
type Bucket struct {
	Burst int     `json:"burst"`
	Rate  float64 `json:"rate"`
}

// Ideal is the profile of unit tests: nothing takes time.
func Ideal() Profile { return Profile{Name: "ideal", Nodes: 1} }

// AWSLike is the profile of the demo: 40 ms per API call, two router nodes that apply new weights 2 to 10 s after the API shows them, and call limits in the
// order of those in "Request throttling for the Amazon ECS API" (burst 50 to 100, 5 to 20 per second); other services have the same here.
func AWSLike() Profile {
	reads, writes := Bucket{Burst: 100, Rate: 20}, Bucket{Burst: 50, Rate: 5}
	return Profile{
		Name: "aws-like", Latency: 40 * time.Millisecond, Nodes: 2, WeightLagMin: 2 * time.Second, WeightLagMax: 10 * time.Second,
		Provision: 100 * time.Millisecond, Deprovision: 100 * time.Millisecond, FunctionSetup: 1500 * time.Millisecond,
		Throttle: map[string]Bucket{
			"ecs:read": reads, "ecs:write": writes, "elasticloadbalancing:read": reads, "elasticloadbalancing:write": writes,
			"ssm:read": reads, "ssm:write": writes, "secretsmanager:read": reads, "secretsmanager:write": writes,
			"lambda:read": {Burst: 100, Rate: 100}, "lambda:write": {Burst: 15, Rate: 15}, // guide, "Lambda quotas"
		},
	}
}

// shift is how long a service deployment waits behind a change of weights: until the slowest node has it. What AWS waits is not documented.
func (p Profile) shift() time.Duration {
	if p.WeightLagMax == 0 {
		return 0
	}
	return p.WeightLagMax + time.Second
}

// ProfileNamed finds a profile by name: "ideal" or "aws-like".
func ProfileNamed(name string) (Profile, error) {
	switch name {
	case "ideal":
		return Ideal(), nil
	case "aws-like":
		return AWSLike(), nil
	default:
		return Profile{}, fmt.Errorf("profile %q is unknown; there are ideal and aws-like", name)
	}
}
