//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"testing"
	"time"

	"connectrpc.com/connect"

	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
)

// takeover is the longest time from the death of an agent to its successor's first write (issue: two agents, kill -9).
const takeover = 15 * time.Second

// Two agents have one identity. The one that carries a canary on is killed in the middle of a stage; the other one goes on.
func TestSuccessorGoesOn(t *testing.T) {
	t.Parallel()
	r := newRing(t, "11s")
	r.first()
	r.listsBoth("")
	out := map[string]any{"test": "successor"}
	kills := 0
	for _, moments := range [][]string{{"canary create", "settle"}, {"wait", "primary create"}} {
		d := r.ship()
		r.listsBoth(d.Id)
		for _, m := range moments {
			kills++
			out[m] = r.killHolder(d.Id, m)
		}
		r.ends(d.Id, 2*time.Minute)
	}
	if twice := r.calls.twice(); len(twice) > 0 {
		t.Errorf("task sets were made twice under the tokens %v", twice)
	}
	r.account()
	out["kills"], out["task_sets"] = kills, len(r.calls.made())
	out["requests"], out["failed"] = r.users.sum()
	figures(t, out)
}

// listsBoth wants both processes on `penstock agent list`, one of which watches the application, and one of which holds the
// deployment, if there is one.
func (r *ring) listsBoth(deployment string) {
	t := r.t
	t.Helper()
	await(t, 20*time.Second, "both processes in the list", func() (bool, error) {
		cmd := exec.Command(penstock, "agent", "list", "-o", "json")
		cmd.Env = append(os.Environ(), "PENSTOCK_SERVER="+r.server.url, "PENSTOCK_TOKEN="+r.token)
		text, err := cmd.Output()
		if err != nil {
			return false, err
		}
		var list struct {
			Agents []struct {
				Processes []struct {
					Online                    bool
					Applications, Deployments []string
				}
			}
		}
		if err := json.Unmarshal(text, &list); err != nil {
			return false, err
		}
		online, watched, held := 0, 0, []string(nil)
		for _, a := range list.Agents {
			for _, p := range a.Processes {
				if p.Online {
					online++
				}
				watched += len(p.Applications)
				held = append(held, p.Deployments...)
			}
		}
		if online != 2 || watched != 1 || deployment != "" && !slices.Equal(held, []string{deployment}) {
			return false, fmt.Errorf("want two processes of which one watches the application and one holds %q: %s", deployment, text)
		}
		return true, nil
	})
}

// killHolder kills the agent that carries the deployment on at a named moment, starts it again when the other one has taken
// over, and gives the seconds from the kill until then: to the first write where one is due.
func (r *ring) killHolder(id, moment string) float64 {
	r.t.Helper()
	var victim *member
	var at time.Time
	epoch := int64(0)
	switch moment {
	case "canary create", "primary create":
		victim, at = r.killAtCreate(moment)
	default:
		d := r.reach(id, moment, time.Minute, func(_ *penstockv1.Deployment, s *penstockv1.Stage) bool {
			return s != nil && (moment == "wait" && s.Name == "WAIT" || moment == "settle" && s.GetWaiting().GetCode() == "ECS_SETTLING")
		})
		epoch = d.Epoch
		victim = await(r.t, 5*time.Second, "a holder", func() (*member, error) {
			if m := r.holder(id); m != nil {
				return m, nil
			}
			return nil, errors.New("neither agent says that it carries the deployment on")
		})
		at = time.Now()
		victim.run.kill()
	}
	var took time.Duration
	if epoch == 0 {
		c := await(r.t, takeover+5*time.Second, moment+": the first write of the other agent", func() (call, error) {
			return r.calls.firstWrite(r.other(victim.name).name, at)
		})
		took = c.at.Sub(at)
	} else {
		r.reach(id, moment+": another holder", takeover+5*time.Second, func(d *penstockv1.Deployment, _ *penstockv1.Stage) bool { return d.Epoch > epoch })
		took = time.Since(at)
	}
	if took > takeover {
		r.t.Errorf("%s: %s from the kill until the other agent went on, want at most %s", moment, took, takeover)
	}
	r.startAgent(victim)
	return float64(took.Milliseconds()) / 1000
}

// killAtCreate kills the agent in the middle of its next call that makes a task set: it is carried out, and nobody hears of it.
func (r *ring) killAtCreate(moment string) (*member, time.Time) {
	r.t.Helper()
	type death struct {
		m  *member
		at time.Time
	}
	died := make(chan death, 1)
	r.calls.on(func(c call) {
		if c.op != "CreateTaskSet" {
			return
		}
		select {
		case died <- death{r.agents[c.agent], time.Now()}:
			r.agents[c.agent].run.kill()
		default:
		}
	})
	defer r.calls.on(nil)
	select {
	case d := <-died:
		<-d.m.run.ended
		return d.m, d.at
	case <-time.After(90 * time.Second):
		r.t.Fatalf("%s: no task set was made", moment)
		return nil, time.Time{}
	}
}

// Agents and control plane are killed at random moments of canaries that follow one another; every third one is cancelled by
// a person on its way and goes back. PENSTOCK_CHAOS_KILLS says how often, PENSTOCK_CHAOS_SEED repeats a choice of victims and
// pauses.
func TestChaos(t *testing.T) {
	t.Parallel()
	seed := number(t, "PENSTOCK_CHAOS_SEED", int(time.Now().Unix()))
	c := &chaos{ring: newRing(t, "11s"), rnd: rand.New(rand.NewPCG(uint64(seed), 7)), kills: number(t, "PENSTOCK_CHAOS_KILLS", 12), by: map[string]int{}}
	c.first()
	began, live, ends := time.Now(), c.now(), map[string]int{}
	for i := 0; c.done < c.kills || i < 2; i++ {
		want := "SUCCESS"
		if i%3 == 1 {
			want = "ROLLED_BACK"
		}
		d := c.canary(want)
		ends[d.Display]++
		if want == "SUCCESS" {
			live = c.now()
		}
		onlyVersion(t, c.cloud.Router().Addr(c.route.Listener), live, 15*time.Second)
	}
	if twice := c.calls.twice(); len(twice) > 0 {
		t.Errorf("task sets were made twice under the tokens %v", twice)
	}
	c.account()
	total, failed := c.users.sum()
	figures(t, map[string]any{
		"test": "chaos", "seed": seed, "kills": c.done, "by": c.by, "ends": ends, "task_sets": len(c.calls.made()), "revisions": len(c.revisions()),
		"seconds": int(time.Since(began).Seconds()), "requests": total, "failed": failed,
	})
}

// chaos is a ring in which processes die.
type chaos struct {
	*ring
	rnd   *rand.Rand
	kills int // wanted
	done  int
	by    map[string]int // by process
}

// canary ships a version and strikes until it has ended as wished. One that is to be rolled back is cancelled in the stage
// that chance names: the wait, the primary's rollout or the shift of all traffic.
func (c *chaos) canary(want string) *penstockv1.Deployment {
	c.t.Helper()
	d := c.ship()
	next := time.Now().Add(pauseOf(c.rnd))
	cancelAt, cancelled := 2+c.rnd.IntN(3), want == "SUCCESS"
	return c.reach(d.Id, "the end of "+c.now()+" as "+want, 10*time.Minute, func(d *penstockv1.Deployment, running *penstockv1.Stage) bool {
		if d.FinishedAt != nil {
			return d.Display == want
		}
		if !cancelled && running != nil && slices.Index(d.Stages, running) >= cancelAt {
			cancelled = c.cancel(d.Id) == nil
		}
		if c.done < c.kills && time.Now().After(next) {
			for _, victim := range victims(c.rnd, min(2, c.kills-c.done)) {
				c.strike(victim)
				c.by[victim]++
				c.done++
			}
			next = time.Now().Add(pauseOf(c.rnd))
		}
		return false
	})
}

func (r *ring) cancel(id string) error {
	ctx, cancel := context.WithTimeout(r.t.Context(), 5*time.Second)
	defer cancel()
	_, err := r.api.Deployments.CancelDeployment(ctx, connect.NewRequest(&penstockv1.CancelDeploymentRequest{RequestId: "cancel-" + id, DeploymentId: id, Choice: "FORCE"}))
	return err
}

// pauseOf is the time between two strikes: short enough to hit a successor that has just begun, long enough for a lease.
func pauseOf(rnd *rand.Rand) time.Duration {
	return time.Second + time.Duration(rnd.Int64N(int64(15*time.Second)))
}

// victims draws who dies next: one process, or two at once.
func victims(rnd *rand.Rand, atMost int) []string {
	all := []string{"a", "b", "server"}
	rnd.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	if rnd.IntN(4) > 0 {
		atMost = 1
	}
	return all[:atMost]
}

// strike kills a process and starts it again at once.
func (r *ring) strike(victim string) {
	if victim == "server" {
		r.server.kill()
		r.startServer()
		return
	}
	r.agents[victim].run.kill()
	r.startAgent(r.agents[victim])
}

// The control plane is gone for more than three leases while the canary has 20 % of the traffic, which stands for half an
// hour: requests rest where they are, nothing is written, and afterwards the canary goes on to its end.
func TestServerDownAtTwentyPercent(t *testing.T) {
	t.Parallel()
	const down = 32 * time.Second
	r := newRing(t, "11s")
	r.first()
	d := r.ship()
	r.reach(d.Id, "the wait", time.Minute, func(_ *penstockv1.Deployment, s *penstockv1.Stage) bool { return s != nil && s.Name == "WAIT" })
	r.server.kill()
	killed := time.Now()
	for time.Since(killed) < down {
		if p, c := r.weights(); p != 80 || c != 20 {
			t.Fatalf("without a control plane the weights became %d and %d", p, c)
		}
		time.Sleep(100 * time.Millisecond) // the outage itself
	}
	writes := r.calls.writes(killed, time.Now())
	if len(writes) > 0 {
		t.Errorf("without a control plane agents wrote: %+v", writes)
	}
	r.startServer()
	back := time.Now()
	r.ends(d.Id, 2*time.Minute)
	rest := time.Since(back)
	r.account()
	total, failed := r.users.sum()
	figures(t, map[string]any{
		"test": "server down", "down_seconds": down.Seconds(), "leases": down.Seconds() / 9, "writes_meanwhile": len(writes), "to_the_end_seconds": rest.Seconds(),
		"requests": total, "failed": failed,
	})
}

// number reads a whole number from the environment.
func number(t *testing.T, name string, otherwise int) int {
	t.Helper()
	v := os.Getenv(name)
	if v == "" {
		return otherwise
	}
	n, err := strconv.Atoi(v)
	must(t, err)
	return n
}
