package ecs

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/penstock-cd/penstock/internal/platform"
)

// fakeCloud behaves like ECS and ELB as far as the steps can see: task sets with computed counts, tasks that need time to
// start and stop, targets that need time to become healthy, rules with weights. Time passes in ticks of one second.
//
// After every write and every tick it checks the traffic invariant: a group that has weight, or had it within the last
// lag seconds (nodes of a load balancer apply weights late), has the healthy targets that its share needs.
type fakeCloud struct {
	rollouts  // none: services of the controller ECS are tried on the local cloud (test/world)
	mu        sync.Mutex
	now       time.Time
	n         int
	account   string
	services  map[string]*service
	sets      map[string]*fakeSet
	revisions []revision
	groupsMap map[string]*group
	rules     []route
	writes    int
	afterCall func(op string) error // after a write was done: its error is the lost answer
	before    func(op string) error // before any call: throttling, denied access
	history   []weightsAt
	broken    []string      // violations of the invariant
	delay     time.Duration // of each call
	hidden    int           // reads of the service that do not show its newest task set
	lax       bool          // downtime is asked for: the invariant is not checked
	created   map[string]int
	oneShots  []*fakeTask
	staleFor  int // reads that still show the routes before the last write
	stale     []route
}

type weightsAt struct {
	at    time.Time
	route string
	share map[string]float64
}

type fakeSet struct {
	taskSet
	service, token string
	tasks          []*fakeTask
	gone           time.Time
}

type fakeTask struct {
	task
	age     int // ticks in the state
	healthy bool
	ip      string
}

const lag = 10 * time.Second

func newFake() *fakeCloud {
	return &fakeCloud{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), account: "111122223333/eu-west-1", services: map[string]*service{}, sets: map[string]*fakeSet{}, groupsMap: map[string]*group{}, created: map[string]int{}}
}

// fork copies the whole cloud, so that a test can go on from here in several ways.
func (f *fakeCloud) fork() *fakeCloud {
	f.mu.Lock()
	defer f.mu.Unlock()
	g := &fakeCloud{
		now: f.now, n: f.n, account: f.account, services: map[string]*service{}, sets: map[string]*fakeSet{}, groupsMap: f.groupsMap,
		revisions: slices.Clone(f.revisions), rules: slices.Clone(f.rules), writes: f.writes, history: slices.Clone(f.history), broken: slices.Clone(f.broken),
		lax: f.lax, created: maps.Clone(f.created),
	}
	for k, v := range f.services {
		c := *v
		c.Tags = maps.Clone(v.Tags)
		g.services[k] = &c
	}
	for k, v := range f.sets {
		c := *v
		c.tasks = make([]*fakeTask, len(v.tasks))
		for i, t := range v.tasks {
			one := *t
			c.tasks[i] = &one
		}
		g.sets[k] = &c
	}
	return g
}

// enter is called at the begin of every call.
func (f *fakeCloud) enter(op string) error {
	time.Sleep(f.delay)
	f.mu.Lock()
	if f.before != nil {
		return f.before(op)
	}
	return nil
}

// wrote is called when a write has been done.
func (f *fakeCloud) wrote(op string) error {
	f.writes++
	f.check(op)
	if f.afterCall != nil {
		return f.afterCall(op)
	}
	return nil
}

func (f *fakeCloud) id(kind string) string {
	f.n++
	return fmt.Sprintf("%s-%d", kind, f.n)
}

func (f *fakeCloud) version(revisionARN string) string {
	for _, r := range f.revisions {
		if r.ARN == revisionARN {
			_, v := platform.SplitImage(aws.ToString(r.Content.ContainerDefinitions[0].Image))
			return v
		}
	}
	return ""
}

// tick lets a second pass.
func (f *fakeCloud) tick() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = f.now.Add(time.Second)
	for _, arn := range f.order() {
		f.tickSet(f.sets[arn])
	}
	for _, t := range f.oneShots {
		if t.age++; t.age > 3 && t.Status != "STOPPED" {
			code := int32(0)
			if f.version(t.Revision) == "crash" {
				code = 3
			}
			t.Status, t.StopCode, t.Stopped, t.Container, t.ExitCode = "STOPPED", "EssentialContainerExited", "Essential container in task exited", "web", &code
		}
	}
	f.check("tick")
}

func (f *fakeCloud) order() []string {
	var arns []string
	for a := range f.sets {
		arns = append(arns, a)
	}
	slices.Sort(arns)
	return arns
}

func (f *fakeCloud) tickSet(s *fakeSet) {
	svc := f.services[s.service]
	if svc == nil {
		delete(f.sets, s.ARN)
		return
	}
	s.Computed = computed(svc.Count, s.Scale)
	if s.Status == statusDraining {
		s.Computed = 0
	}
	live := 0
	for _, t := range s.tasks {
		t.age++
		switch t.Status {
		case "PENDING":
			if t.age >= 2 {
				t.Status, t.age = "RUNNING", 0
			}
			live++
		case "RUNNING":
			live++
			v := f.version(s.Revision)
			t.healthy = t.age >= 2 && v != "bad" && f.attached(s)
			if v == "crash" && t.age >= 2 {
				code := int32(1)
				t.Status, t.Desired, t.StopCode, t.Stopped, t.Container, t.ExitCode = "STOPPED", "STOPPED", "EssentialContainerExited", "Essential container in task exited", "web", &code
				t.healthy = false
				live--
			}
		case "DEACTIVATING":
			if t.age >= 3 {
				t.Status, t.StopCode, t.Stopped = "STOPPED", "ServiceSchedulerInitiated", "Scaling activity initiated by deployment"
			}
		}
	}
	for ; live < s.Computed; live++ {
		id := f.id("task")
		s.tasks = append(s.tasks, &fakeTask{ip: id, task: task{ARN: "arn:aws:ecs:eu-west-1:1:task/c/" + id, Status: "PENDING", Desired: "RUNNING", Set: s.ID, Addresses: []string{id}, Revision: s.Revision, Created: f.now}})
	}
	for _, t := range s.tasks {
		if live > s.Computed && (t.Status == "RUNNING" || t.Status == "PENDING") {
			t.Status, t.Desired, t.age, t.healthy = "DEACTIVATING", "STOPPED", 0, false
			live--
		}
	}
	s.Running, s.Pending, s.Steady = 0, 0, true
	for _, t := range s.tasks {
		switch t.Status {
		case "RUNNING", "DEACTIVATING":
			s.Running++
			if t.Status == "RUNNING" && !t.healthy {
				s.Steady = false
			}
		case "PENDING":
			s.Pending++
		}
	}
	s.Steady = s.Steady && s.Running == s.Computed && s.Pending == 0
	if s.Status == statusDraining && s.Running == 0 && f.now.After(s.gone) {
		delete(f.sets, s.ARN)
	}
}

func (f *fakeCloud) attached(s *fakeSet) bool {
	for _, g := range setGroups(s.Shape) {
		if !slices.ContainsFunc(f.rules, func(r route) bool { return mentions(r.Actions, g) }) {
			return false
		}
	}
	return true
}

func (f *fakeCloud) targets(arn string) []target {
	var out []target
	for _, a := range f.order() {
		s := f.sets[a]
		if !slices.Contains(setGroups(s.Shape), arn) {
			continue
		}
		for _, t := range s.tasks {
			switch {
			case t.Status == "RUNNING" && t.healthy:
				out = append(out, target{ID: t.ip, State: "healthy"})
			case t.Status == "RUNNING" && t.age < 3:
				out = append(out, target{ID: t.ip, State: "initial"})
			case t.Status == "RUNNING":
				out = append(out, target{ID: t.ip, State: "unhealthy", Detail: "Target.ResponseCodeMismatch"})
			case t.Status == "DEACTIVATING":
				out = append(out, target{ID: t.ip, State: "draining"})
			}
		}
	}
	return out
}

// check notes the present weights and verifies the invariant for those that nodes may still apply.
func (f *fakeCloud) check(op string) {
	for _, r := range f.rules {
		w := weightsAt{f.now, r.ARN, map[string]float64{}}
		_, ws := forward(r.Actions)
		for _, g := range ws {
			w.share[g.ARN] = share(r.Actions, g.ARN)
		}
		f.history = append(f.history, w)
	}
	f.history = slices.DeleteFunc(f.history, func(w weightsAt) bool { return f.now.Sub(w.at) > lag })
	if f.lax {
		return
	}
	for _, w := range f.history {
		for g, sh := range w.share {
			need := 0
			for _, s := range f.services {
				need = max(need, 1, computed(s.Count, sh))
			}
			if sh > 0 && healthyTargets(f.targets(g)) < need && len(f.broken) < 5 {
				f.broken = append(f.broken, fmt.Sprintf("after %s: %s has %g %% of %s since %s ago but %d of %d healthy targets", op, tail(g), sh, w.route, f.now.Sub(w.at), healthyTargets(f.targets(g)), need))
			}
		}
	}
}

// The interface.

func (f *fakeCloud) Account(context.Context) (string, error) {
	err := f.enter("Account")
	defer f.mu.Unlock()
	return f.account, err
}

func clone[T any](v T) T {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	var out T
	if err := json.Unmarshal(b, &out); err != nil {
		panic(err)
	}
	return out
}

func (f *fakeCloud) Service(_ context.Context, _, name string) (*service, error) {
	err := f.enter("Service")
	defer f.mu.Unlock()
	s := f.services[name]
	if err != nil || s == nil {
		return nil, err
	}
	out := *s
	for _, a := range f.order() {
		if f.sets[a].service == name {
			t := f.sets[a].taskSet
			if f.hidden > 0 && f.now.Sub(t.Created) < 20*time.Second {
				f.hidden--
				continue
			}
			out.Sets = append(out.Sets, t)
			out.Running += t.Running
			out.Pending += t.Pending
		}
	}
	return &out, nil
}

func (f *fakeCloud) CreateService(_ context.Context, in newService) error {
	err := f.enter("CreateService")
	defer f.mu.Unlock()
	if err != nil {
		return err
	}
	if f.services[in.Name] != nil {
		return &apiError{codeServiceExists, errors.New("Creation of service was not idempotent.")}
	}
	f.created["service"]++
	f.services[in.Name] = &service{ARN: "arn:aws:ecs:eu-west-1:1:service/c/" + in.Name, Name: in.Name, Status: statusActive, Controller: external, Count: in.Count, Fields: in.Fields, Tags: in.Tags}
	return f.wrote("CreateService")
}

func (f *fakeCloud) UpdateService(_ context.Context, _, name string, u serviceUpdate) error {
	err := f.enter("UpdateService")
	defer f.mu.Unlock()
	if err != nil {
		return err
	}
	s := f.services[name]
	if u.Count != nil {
		s.Count = *u.Count
	}
	if u.Fields != nil {
		keep := s.Fields
		s.Fields = *u.Fields
		s.Fields.Deployment, s.Fields.Role, s.Fields.Exec, s.Fields.Scheduling = keep.Deployment, keep.Role, keep.Exec, keep.Scheduling
	}
	return f.wrote("UpdateService")
}

func (f *fakeCloud) DeleteService(_ context.Context, _, name string) error {
	err := f.enter("DeleteService")
	defer f.mu.Unlock()
	if err != nil {
		return err
	}
	delete(f.services, name)
	return f.wrote("DeleteService")
}

func (f *fakeCloud) TagService(_ context.Context, arn string, set tags, remove []string) error {
	err := f.enter("TagService")
	defer f.mu.Unlock()
	if err != nil {
		return err
	}
	for _, s := range f.services {
		if s.ARN != arn {
			continue
		}
		t := tags{}
		for k, v := range s.Tags {
			if !slices.Contains(remove, k) {
				t[k] = v
			}
		}
		for k, v := range set {
			t[k] = v
		}
		s.Tags = t
	}
	return f.wrote("TagService")
}

func (f *fakeCloud) CreateTaskSet(_ context.Context, in newTaskSet) (string, error) {
	err := f.enter("CreateTaskSet")
	defer f.mu.Unlock()
	if err != nil {
		return "", err
	}
	count := 0
	for _, s := range f.sets {
		if s.service != in.Service {
			continue
		}
		if s.token == in.Token {
			return s.ARN, nil
		}
		count++
	}
	if count >= maxSets {
		return "", &apiError{codeTooManySets, errors.New("5 deployments exist on the service")}
	}
	s := &fakeSet{service: in.Service, token: in.Token}
	s.taskSet = taskSet{ID: f.id("ecs-svc/9"), Status: statusActive, Revision: in.Revision, Scale: in.Scale, Shape: in.Shape, Tags: in.Tags, Created: f.now}
	s.ARN = "arn:aws:ecs:eu-west-1:1:task-set/c/" + in.Service + "/" + s.ID
	if !f.attached(s) {
		return "", platform.Final(&apiError{codeNotAttached, errors.New("the target group does not have an associated load balancer")})
	}
	for _, r := range f.revisions {
		if r.ARN == in.Revision && r.Inactive {
			return "", platform.Final(errors.New("TaskDefinition is inactive"))
		}
	}
	f.created["set/"+in.Tags[tagRole]]++
	s.Computed = computed(f.services[in.Service].Count, in.Scale)
	f.sets[s.ARN] = s
	return s.ARN, f.wrote("CreateTaskSet")
}

func (f *fakeCloud) ScaleTaskSet(_ context.Context, _, _, set string, scale float64) error {
	err := f.enter("ScaleTaskSet")
	defer f.mu.Unlock()
	if err != nil {
		return err
	}
	s := f.sets[set]
	s.Scale, s.Steady = scale, false
	s.Computed = computed(f.services[s.service].Count, scale)
	return f.wrote("ScaleTaskSet")
}

func (f *fakeCloud) SetPrimary(_ context.Context, _, name, set string) error {
	err := f.enter("SetPrimary")
	defer f.mu.Unlock()
	if err != nil {
		return err
	}
	for _, s := range f.sets {
		if s.service == name && s.Status == statusPrimary {
			s.Status = statusActive
		}
	}
	f.sets[set].Status = statusPrimary
	return f.wrote("SetPrimary")
}

func (f *fakeCloud) DeleteTaskSet(_ context.Context, _, _, set string, force bool) error {
	err := f.enter("DeleteTaskSet")
	defer f.mu.Unlock()
	if err != nil {
		return err
	}
	s := f.sets[set]
	if s == nil {
		return nil
	}
	if !force && (s.Running > 0 || s.Scale > 0 || s.Status == statusPrimary) {
		return platform.Final(fmt.Errorf("InvalidParameterException: task set %s is not scaled to 0 or primary", set))
	}
	s.Status, s.Computed, s.gone = statusDraining, 0, f.now.Add(2*time.Second)
	return f.wrote("DeleteTaskSet")
}

func (f *fakeCloud) Revision(_ context.Context, ref string) (*revision, error) {
	err := f.enter("Revision")
	defer f.mu.Unlock()
	if err != nil {
		return nil, err
	}
	for i := len(f.revisions) - 1; i >= 0; i-- {
		r := f.revisions[i]
		if r.ARN == ref || !r.Inactive && aws.ToString(r.Content.Family) == ref {
			return &r, nil
		}
	}
	return nil, nil
}

func (f *fakeCloud) Revisions(_ context.Context, family string) ([]string, error) {
	err := f.enter("Revisions")
	defer f.mu.Unlock()
	var out []string
	for i := len(f.revisions) - 1; i >= 0 && len(out) < 10; i-- {
		if r := f.revisions[i]; !r.Inactive && aws.ToString(r.Content.Family) == family {
			out = append(out, r.ARN)
		}
	}
	return out, err
}

func (f *fakeCloud) Register(_ context.Context, content *taskDefinition, t tags) (string, error) {
	err := f.enter("Register")
	defer f.mu.Unlock()
	if err != nil {
		return "", err
	}
	arn := fmt.Sprintf("arn:aws:ecs:eu-west-1:1:task-definition/%s:%d", aws.ToString(content.Family), len(f.revisions)+1)
	f.revisions = append(f.revisions, revision{ARN: arn, Content: clone(content), Tags: t})
	f.created["revision"]++
	return arn, f.wrote("Register")
}

func (f *fakeCloud) Deregister(_ context.Context, arn string) error {
	err := f.enter("Deregister")
	defer f.mu.Unlock()
	if err != nil {
		return err
	}
	for i := range f.revisions {
		if f.revisions[i].ARN == arn {
			f.revisions[i].Inactive = true
		}
	}
	return f.wrote("Deregister")
}

func (f *fakeCloud) Tasks(_ context.Context, _, startedBy string, stopped bool) ([]task, error) {
	err := f.enter("Tasks")
	defer f.mu.Unlock()
	all := slices.Clone(f.oneShots)
	for _, a := range f.order() {
		all = append(all, f.sets[a].tasks...)
	}
	var out []task
	for _, t := range all {
		if t.Set == startedBy && (t.Status == "STOPPED") == stopped {
			out = append(out, t.task)
		}
	}
	return out, err
}

func (f *fakeCloud) RunTask(_ context.Context, in newTask) (string, error) {
	err := f.enter("RunTask")
	defer f.mu.Unlock()
	if err != nil {
		return "", err
	}
	for _, t := range f.oneShots {
		if t.Set == in.StartedBy {
			return t.ARN, nil
		}
	}
	f.created["task"]++
	t := &fakeTask{task: task{ARN: "arn:aws:ecs:eu-west-1:1:task/c/" + f.id("run"), Status: "PENDING", Desired: "RUNNING", Set: in.StartedBy, Revision: in.Revision}}
	f.oneShots = append(f.oneShots, t)
	return t.ARN, f.wrote("RunTask")
}

func (f *fakeCloud) StopTask(_ context.Context, _, arn, why string) error {
	err := f.enter("StopTask")
	defer f.mu.Unlock()
	for _, t := range f.oneShots {
		if t.ARN == arn {
			t.Status, t.Desired, t.Stopped, t.StopCode = "STOPPED", "STOPPED", why, "UserInitiated"
		}
	}
	return cmp.Or(err, f.wrote("StopTask"))
}

func (f *fakeCloud) Groups(_ context.Context, arns []string) ([]group, error) {
	err := f.enter("Groups")
	defer f.mu.Unlock()
	var out []group
	for _, a := range arns {
		if g := f.groupsMap[a]; g != nil {
			one := group{ARN: g.ARN, Name: g.Name}
			if slices.ContainsFunc(f.rules, func(r route) bool { return mentions(r.Actions, a) }) {
				one.LoadBalancers = []string{"arn:lb"}
			}
			out = append(out, one)
		}
	}
	return out, err
}

func (f *fakeCloud) Health(_ context.Context, arn string) ([]target, error) {
	err := f.enter("Health")
	defer f.mu.Unlock()
	return f.targets(arn), err
}

func (f *fakeCloud) RoutesOf(_ context.Context, lbs []string) ([]route, error) {
	err := f.enter("RoutesOf")
	defer f.mu.Unlock()
	if len(lbs) == 0 {
		return nil, err
	}
	return sortedRoutes(slices.Clone(f.rules)), err
}

func (f *fakeCloud) Reread(_ context.Context, known []route) ([]route, error) {
	err := f.enter("Reread")
	defer f.mu.Unlock()
	from := f.rules
	if f.staleFor > 0 {
		f.staleFor--
		from = f.stale
	}
	var out []route
	for _, r := range from {
		if slices.ContainsFunc(known, func(k route) bool { return k.ARN == r.ARN }) {
			out = append(out, r)
		}
	}
	return out, err
}

func (f *fakeCloud) SetActions(_ context.Context, r route, actions []elbtypes.Action) error {
	err := f.enter("SetActions")
	defer f.mu.Unlock()
	if err != nil {
		return err
	}
	for i := range f.rules {
		if f.rules[i].ARN != r.ARN {
			continue
		}
		f.rules[i].Actions = clone(writable(actions))
	}
	return f.wrote("SetActions")
}
