package ecs

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/penstock-cd/penstock/internal/localcloud/awserr"
)

// defaultNetwork is 127.10.0.0/16: tasks have loopback addresses of their own, away from 127.0.0.1 where people's servers listen.
const defaultNetwork byte = 10

// firstIP is the first address of the tasks' network.
func (c *ECS) firstIP() uint32 {
	n := c.cfg.Network
	if n == 0 {
		n = defaultNetwork
	}
	return 127<<24 | uint32(n)<<16 | 1
}

// arn builds an ECS ARN: arn:aws:ecs:<region>:<account>:<resource>.
func (c *ECS) arn(resource string) string {
	return "arn:aws:ecs:" + c.cfg.Region + ":" + c.cfg.Account + ":" + resource
}

// hexID makes an identifier of 32 hexadecimal digits, as tasks have.
func hexID(r *rand.Rand) string { return fmt.Sprintf("%016x%016x", r.Uint64(), r.Uint64()) }

// dashedID makes an identifier in the form of a UUID, as containers and service events have.
func dashedID(r *rand.Rand) string {
	id := hexID(r)
	return id[:8] + "-" + id[8:12] + "-" + id[12:16] + "-" + id[16:20] + "-" + id[20:]
}

// setID makes the identifier of a task set or deployment: ecs-svc/ and 19 digits.
func (c *ECS) setID() string {
	return "ecs-svc/" + strconv.FormatUint(1_000_000_000_000_000_000+c.rnd.Uint64N(8_000_000_000_000_000_000), 10)
}

func (c *ECS) seq() int64 {
	c.st.NextSeq++
	return c.st.NextSeq
}

// address takes the next free loopback address. Addresses of ended tasks are used again only after 65,000 others, so that connections kept alive
// to an old task never meet a new one.
func (c *ECS) address() string {
	used := map[string]bool{}
	for _, t := range c.st.sortedTasks() {
		if t.LastStatus != statusStopped {
			used[t.IP] = true
		}
	}
	first := c.firstIP()
	last := first | 254<<8 | 254
	for {
		if c.st.NextIP < first || c.st.NextIP > last {
			c.st.NextIP = first
		}
		n := c.st.NextIP
		c.st.NextIP++
		ip := fmt.Sprintf("%d.%d.%d.%d", n>>24, n>>16&255, n>>8&255, n&255)
		if low := n & 255; low == 0 || low == 255 || used[ip] {
			continue
		}
		return ip
	}
}

// lastPart is what follows the resource type in an ARN, or the name itself: arn:aws:ecs:r:a:service/c/web and service kind "service" → "c/web".
func lastPart(ref, kind string) (string, bool) {
	if !strings.HasPrefix(ref, "arn:") {
		return ref, true
	}
	parts := strings.SplitN(ref, ":", 6)
	if len(parts) != 6 || parts[2] != "ecs" {
		return "", false
	}
	return strings.CutPrefix(parts[5], kind+"/")
}

// cluster finds a cluster by name or ARN; none given means "default" (SDK: "If you do not specify a cluster, the default cluster is assumed").
func (st *state) cluster(ref *string) (*cluster, error) {
	name := "default"
	if ref != nil && *ref != "" {
		name = *ref
	}
	part, ok := lastPart(name, "cluster")
	cl := st.Clusters[part]
	if !ok || cl == nil || (part != name && cl.ARN != name) {
		return nil, awserr.New("ClusterNotFoundException", "Cluster not found.")
	}
	return cl, nil
}

// service finds a service by name or ARN (long form, or the old form without the cluster's name).
func (cl *cluster) service(ref *string) (*service, error) {
	missing := awserr.New("ServiceNotFoundException", "Service not found.")
	if ref == nil || *ref == "" {
		return nil, errInvalid("Service cannot be empty.")
	}
	part, ok := lastPart(*ref, "service")
	if !ok {
		return nil, missing
	}
	if name, found := strings.CutPrefix(part, cl.Name+"/"); found {
		part = name
	}
	s := cl.Services[part]
	if s == nil {
		return nil, missing
	}
	return s, nil
}

// activeService is service, refusing one that is being deleted (API: ServiceNotActiveException).
func (cl *cluster) activeService(ref *string) (*service, error) {
	s, err := cl.service(ref)
	if err != nil {
		return nil, err
	}
	if s.Status != serviceActive {
		return nil, awserr.New("ServiceNotActiveException", "Service was not ACTIVE.")
	}
	return s, nil
}

// taskSet finds a visible task set by id or ARN.
func (s *service) taskSet(ref string) (*taskSet, error) {
	for _, set := range s.Sets {
		if !set.Hidden && (set.ID == ref || set.ARN == ref || strings.TrimPrefix(set.ID, "ecs-svc/") == ref) {
			return set, nil
		}
	}
	return nil, awserr.New("TaskSetNotFoundException", "The specified task set does not exist.")
}

// task finds a task by id or ARN.
func (cl *cluster) task(ref string) *task {
	part, ok := lastPart(ref, "task")
	if !ok {
		return nil
	}
	if id, found := strings.CutPrefix(part, cl.Name+"/"); found {
		part = id
	}
	return cl.Tasks[part]
}

// definition finds a task definition by family (its newest ACTIVE revision), family:revision or ARN (SDK, DescribeTaskDefinition).
func (st *state) definition(ref string) (*revision, bool) {
	part, ok := lastPart(ref, "task-definition")
	if !ok {
		return nil, false
	}
	name, number, numbered := strings.Cut(part, ":")
	f := st.Families[name]
	if f == nil {
		return nil, false
	}
	if !numbered {
		for i := len(f.Revisions) - 1; i >= 0; i-- {
			if f.Revisions[i].Active {
				return f.Revisions[i], true
			}
		}
		return nil, false
	}
	n, err := strconv.Atoi(number)
	if err != nil || n < 1 || n > len(f.Revisions) {
		return nil, false
	}
	return f.Revisions[n-1], true
}

// startable is definition for calls that start something new: an INACTIVE revision is refused. DG "Task definition states": "You can't use an INACTIVE
// task definition to run new tasks or create new services, and you can't update an existing service to reference an INACTIVE task definition".
func (st *state) startable(ref *string) (*revision, error) {
	if ref == nil || *ref == "" {
		return nil, errInvalid("TaskDefinition cannot be empty.")
	}
	rev, ok := st.definition(*ref)
	if !ok {
		return nil, errClient("TaskDefinition not found.")
	}
	if !rev.Active {
		return nil, errClient("TaskDefinition is inactive")
	}
	return rev, nil
}
