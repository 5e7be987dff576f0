package ecs

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/penstock-cd/penstock/internal/platform"
)

// lagging is a cloud that shows the service as it was at any earlier moment.
type lagging struct {
	cloud
	states []service // oldest first
	read   int       // which of them is shown
	refuse error
}

func (l *lagging) now() service { return l.states[len(l.states)-1] }

// then adds a state.
func (l *lagging) then(change func(*service)) error {
	if l.refuse != nil {
		return l.refuse
	}
	next := l.now()
	next.Sets = append([]taskSet(nil), next.Sets...)
	change(&next)
	l.states = append(l.states, next)
	return nil
}

func (l *lagging) Service(context.Context, string, string) (*service, error) {
	s := l.states[l.read]
	if s.Status == "" {
		return nil, nil
	}
	return &s, nil
}

func (l *lagging) CreateService(context.Context, newService) error {
	return l.then(func(s *service) { *s = service{Status: statusActive} })
}

func (l *lagging) DeleteService(context.Context, string, string) error {
	return l.then(func(s *service) { *s = service{Status: "INACTIVE"} })
}

func (l *lagging) CreateTaskSet(_ context.Context, in newTaskSet) (string, error) {
	return in.Token, l.then(func(s *service) {
		s.Sets = append(s.Sets, taskSet{ARN: in.Token, Status: statusActive, Scale: in.Scale})
	})
}

func (l *lagging) each(arn string, change func(*taskSet)) error {
	return l.then(func(s *service) {
		for i := range s.Sets {
			if s.Sets[i].ARN == arn {
				change(&s.Sets[i])
			}
		}
	})
}

func (l *lagging) ScaleTaskSet(_ context.Context, _, _, arn string, scale float64) error {
	return l.each(arn, func(t *taskSet) { t.Scale = scale })
}

func (l *lagging) SetPrimary(_ context.Context, _, _, arn string) error {
	return l.then(func(s *service) {
		for i := range s.Sets {
			switch {
			case s.Sets[i].ARN == arn:
				s.Sets[i].Status = statusPrimary
			case s.Sets[i].Status == statusPrimary:
				s.Sets[i].Status = statusActive
			}
		}
	})
}

func (l *lagging) DeleteTaskSet(_ context.Context, _, _, arn string, _ bool) error {
	return l.each(arn, func(t *taskSet) { t.Status = statusDraining })
}

// TestReadsAreNoOlderThanOwnWrites writes anything and reads any earlier state: what is shown is either as
// good as the present in everything that was written, or an error that asking again cures.
func TestReadsAreNoOlderThanOwnWrites(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		ctx, clock := t.Context(), time.Unix(0, 0)
		l := &lagging{states: []service{{}}}
		f := newFenced(l, func() time.Time { return clock })
		arns := []string{"none"}
		must := func(err error) {
			if err != nil {
				rt.Fatal(err)
			}
		}
		for range rapid.IntRange(1, 15).Draw(rt, "writes") {
			clock = clock.Add(time.Duration(rapid.IntRange(0, 3).Draw(rt, "seconds")) * time.Second)
			arn, now := rapid.SampledFrom(arns).Draw(rt, "set"), l.now()
			switch n := rapid.IntRange(0, 9).Draw(rt, "write"); {
			case now.Status != statusActive:
				must(f.CreateService(ctx, newService{}))
			case n == 0:
				must(f.DeleteService(ctx, "", ""))
			case now.set(arn) == nil:
				// A set that was deleted never comes back under its name.
				arns = append(arns, fmt.Sprint("set/", len(arns)))
				_, err := f.CreateTaskSet(ctx, newTaskSet{Token: arns[len(arns)-1], Scale: 30})
				must(err)
			case n < 4:
				must(f.ScaleTaskSet(ctx, "", "", arn, float64(10*n)))
			case n < 7:
				must(f.SetPrimary(ctx, "", "", arn))
			default:
				must(f.DeleteTaskSet(ctx, "", "", arn, false))
			}
		}
		present := l.now()
		l.read = len(l.states) - 1
		if _, err := f.Service(ctx, "", ""); err != nil {
			rt.Fatalf("the present is refused: %v", err)
		}
		l.read = rapid.IntRange(0, len(l.states)-1).Draw(rt, "read")
		s, err := f.Service(ctx, "", "")
		if err != nil {
			if can, _ := platform.CanRetry(err); !can {
				rt.Fatalf("a late answer is not tried again: %v", err)
			}
			return
		}
		if serving(s) != serving(&present) {
			rt.Fatalf("the service is shown as serving %v, it is %v", serving(s), serving(&present))
		}
		for _, arn := range arns {
			was, is := s.set(arn), present.set(arn)
			switch {
			case !serving(s):
			case (was == nil) != (is == nil):
				rt.Fatalf("%s is shown: %v, is there: %v", arn, was != nil, is != nil)
			case is != nil && was.Scale != is.Scale:
				rt.Fatalf("%s is shown with scale %g, it has %g", arn, was.Scale, is.Scale)
			case is != nil && is.Status == statusPrimary && was.Status != statusPrimary:
				rt.Fatalf("%s is the primary set and not shown as such", arn)
			}
		}
	})
}

func TestWhatContradictsAWriteForLongIsShown(t *testing.T) {
	clock := time.Unix(0, 0)
	l := &lagging{states: []service{{Status: statusActive, Sets: []taskSet{{ARN: "a", Status: statusPrimary, Scale: 100}}}}}
	f := newFenced(l, func() time.Time { return clock })
	if err := f.ScaleTaskSet(t.Context(), "", "", "a", 0); err != nil {
		t.Fatal(err)
	}
	clock = clock.Add(visibleLimit - time.Second)
	if _, err := f.Service(t.Context(), "", ""); err == nil {
		t.Error("an answer from before the write is shown")
	}
	clock = clock.Add(time.Second)
	if s, err := f.Service(t.Context(), "", ""); err != nil || s.Sets[0].Scale != 100 {
		t.Errorf("what somebody else wrote is not shown: %v", err)
	}
}

func TestARefusedWriteIsNoFence(t *testing.T) {
	l := &lagging{states: []service{{Status: statusActive, Sets: []taskSet{{ARN: "a", Status: statusPrimary, Scale: 100}}}}, refuse: errors.New("refused")}
	f := newFenced(l, time.Now)
	if err := f.ScaleTaskSet(t.Context(), "", "", "a", 0); !errors.Is(err, l.refuse) {
		t.Fatal(err)
	}
	if _, err := f.Service(t.Context(), "", ""); err != nil {
		t.Errorf("a write that was refused is waited for: %v", err)
	}
}
