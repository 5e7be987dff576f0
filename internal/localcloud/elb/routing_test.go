package elb_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"pgregory.net/rapid"

	"github.com/penstock-cd/penstock/internal/localcloud/ecs"
	"github.com/penstock-cd/penstock/internal/localcloud/elb"
	"github.com/penstock-cd/penstock/internal/localcloud/router"
	"github.com/penstock-cd/penstock/internal/localcloud/runtime/memory"
)

const maxLag = 10 * time.Second

// model is the load balancer, the data plane and the tasks in memory, and
// beside them what a client of the API knows.
type model struct {
	lb       *elb.ELB
	router   *router.Router
	tasks    *memory.Runtime
	listener string
	groups   []string

	registered []map[string]bool // per group: targets that may get new requests
	zeroSince  []time.Time       // per group: when its weight became 0, zero while above
	serial     int
}

func newModel(seed uint64) (*model, error) {
	ctx := context.Background()
	m := &model{tasks: memory.New(nil)}
	m.lb = elb.New(elb.Options{Seed: seed, Prober: m.tasks})
	m.router = router.New(m.lb, router.Options{Nodes: 2, LagMin: 2 * time.Second, LagMax: maxLag, Seed: seed, Deliver: m.tasks})
	m.lb.Watch(m.router.Changed)
	lb, err := m.lb.CreateLoadBalancer(ctx, &elbv2.CreateLoadBalancerInput{Name: aws.String("web"), Subnets: []string{"a", "b"}})
	if err != nil {
		return nil, err
	}
	for i := range 3 {
		out, err := m.lb.CreateTargetGroup(ctx, &elbv2.CreateTargetGroupInput{
			Name: aws.String(fmt.Sprint("g", i)), Port: aws.Int32(80), Protocol: types.ProtocolEnumHttp,
			TargetType: types.TargetTypeEnumIp, VpcId: aws.String("vpc-1"),
		})
		if err != nil {
			return nil, err
		}
		m.groups = append(m.groups, *out.TargetGroups[0].TargetGroupArn)
		m.registered = append(m.registered, map[string]bool{})
		m.zeroSince = append(m.zeroSince, time.Time{})
	}
	out, err := m.lb.CreateListener(ctx, &elbv2.CreateListenerInput{
		LoadBalancerArn: lb.LoadBalancers[0].LoadBalancerArn, Port: aws.Int32(80), Protocol: types.ProtocolEnumHttp,
		DefaultActions: m.actions([]int32{1, 1, 1}),
	})
	if err != nil {
		return nil, err
	}
	m.listener = *out.Listeners[0].ListenerArn
	return m, nil
}

func (m *model) close() {
	m.router.Close()
	m.lb.Close()
	m.tasks.Close()
}

func (m *model) actions(weights []int32) []types.Action {
	f := &types.ForwardActionConfig{}
	for i, w := range weights {
		f.TargetGroups = append(f.TargetGroups, types.TargetGroupTuple{TargetGroupArn: &m.groups[i], Weight: aws.Int32(w)})
	}
	return []types.Action{{Type: types.ActionTypeEnumForward, ForwardConfig: f}}
}

// move is one thing a client does.
type move struct {
	Kind    string // register, deregister, weights or wait
	Group   int
	Weights []int32
	Wait    time.Duration
}

func moves() *rapid.Generator[[]move] {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) move {
		return move{
			Kind:    rapid.SampledFrom([]string{"register", "deregister", "weights", "wait"}).Draw(t, "kind"),
			Group:   rapid.IntRange(0, 2).Draw(t, "group"),
			Weights: rapid.SliceOfN(rapid.SampledFrom([]int32{0, 0, 1, 20, 999}), 3, 3).Draw(t, "weights"),
			Wait:    time.Duration(rapid.IntRange(0, 15_000).Draw(t, "wait")) * time.Millisecond,
		}
	}), 1, 25)
}

func (m *model) do(mv move) error {
	switch mv.Kind {
	case "register":
		m.serial++
		id := fmt.Sprint("task-", m.serial)
		ip := fmt.Sprintf("127.1.%d.%d", m.serial/250, 1+m.serial%250)
		if err := m.tasks.Start(ecs.TaskSpec{ID: id, IP: ip, Containers: []ecs.ContainerSpec{{Name: "app", Image: "x"}}}, func(ecs.TaskEvent) {}); err != nil {
			return err
		}
		m.lb.Register(m.groups[mv.Group], id, ip, 80)
		m.registered[mv.Group][id] = true
	case "deregister":
		for id := range m.registered[mv.Group] {
			m.lb.Deregister(m.groups[mv.Group], id)
			delete(m.registered[mv.Group], id)
			break
		}
	case "weights":
		if _, err := m.lb.ModifyListener(context.Background(), &elbv2.ModifyListenerInput{
			ListenerArn: &m.listener, DefaultActions: m.actions(mv.Weights),
		}); err != nil {
			return err
		}
		for i, w := range mv.Weights {
			if w > 0 {
				m.zeroSince[i] = time.Time{}
			} else if m.zeroSince[i].IsZero() {
				m.zeroSince[i] = time.Now()
			}
		}
	case "wait":
		time.Sleep(mv.Wait)
		synctest.Wait()
	}
	return nil
}

// look sends requests and compares where they went with what may be.
func (m *model) look() error {
	for range 20 {
		res := m.router.Route(m.listener, router.Request{})
		for i, arn := range m.groups {
			if res.TargetGroupARN != arn {
				continue
			}
			if z := m.zeroSince[i]; !z.IsZero() && time.Since(z) > maxLag {
				return fmt.Errorf("group %d has had weight 0 for %v and got a request", i, time.Since(z))
			}
			if res.TargetID != "" && !m.registered[i][res.TargetID] {
				return fmt.Errorf("%s is deregistered and got a new request", res.TargetID)
			}
			if len(m.registered[i]) == 0 && res.Status != 503 {
				return fmt.Errorf("empty group %d answered %d", i, res.Status)
			}
		}
	}
	return nil
}

func TestNoRequestGoesWhereItMustNot(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		seed, plan := rapid.Uint64().Draw(rt, "seed"), moves().Draw(rt, "moves")
		var failure error
		synctest.Test(t, func(*testing.T) {
			m, err := newModel(seed)
			if err != nil {
				failure = err
				return
			}
			defer m.close()
			for i, mv := range plan {
				if err := m.do(mv); err != nil {
					failure = fmt.Errorf("move %d: %w", i, err)
					return
				}
				if err := m.look(); err != nil {
					failure = fmt.Errorf("after move %d: %w", i, err)
					return
				}
			}
		})
		if failure != nil {
			rt.Fatal(failure)
		}
	})
}

// The whole way in memory: a canary takes its share only after the nodes' lag,
// and its share is what its weight says.
func TestShareAfterLag(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, err := newModel(11)
		if err != nil {
			t.Fatal(err)
		}
		defer m.close()
		for g := range 2 {
			if err := m.do(move{Kind: "register", Group: g}); err != nil {
				t.Fatal(err)
			}
		}
		share := func() float64 {
			n := 0
			for range 5000 {
				if m.router.Route(m.listener, router.Request{}).TargetGroupARN == m.groups[1] {
					n++
				}
			}
			return float64(n) / 50
		}
		_ = m.do(move{Kind: "weights", Weights: []int32{100, 0, 0}})
		time.Sleep(maxLag)
		synctest.Wait()
		_ = m.do(move{Kind: "weights", Weights: []int32{80, 20, 0}})
		if got := share(); got != 0 {
			t.Errorf("at once: %.2f %%", got)
		}
		time.Sleep(maxLag)
		synctest.Wait()
		if got := share(); got < 18 || got > 22 {
			t.Errorf("after the lag: %.2f %%", got)
		}
		for _, c := range m.router.Stats() {
			if c.Status != 200 {
				t.Errorf("counted %+v", c)
			}
		}
	})
}
