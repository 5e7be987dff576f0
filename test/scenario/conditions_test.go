package scenario

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/penstock-cd/penstock/internal/deploy"
)

// deployment resolves APP#N.
func (s *script) deployment(ref string) (string, deploy.Deployment, error) {
	app, n, ok := strings.Cut(ref, "#")
	if !ok {
		return app, deploy.Deployment{}, fmt.Errorf("%s is not APP#N", ref)
	}
	i, err := strconv.Atoi(n)
	if err != nil {
		return app, deploy.Deployment{}, err
	}
	d, ok := s.w.Deployment(app, i)
	if !ok {
		return app, d, fmt.Errorf("there is no deployment %s", ref)
	}
	return app, d, nil
}

// stageOf finds a stage by id, or by name: the running one first, then the
// first of that name.
func stageOf(d deploy.Deployment, name string) (deploy.Stage, error) {
	if i := d.StageByID(name); i >= 0 {
		return d.Stages[i], nil
	}
	if i := d.Current(); i >= 0 && d.Stages[i].Name == name {
		return d.Stages[i], nil
	}
	if i := slices.IndexFunc(d.Stages, func(s deploy.Stage) bool { return s.Name == name }); i >= 0 {
		return d.Stages[i], nil
	}
	return deploy.Stage{}, fmt.Errorf("%s has no stage %s", d.ID, name)
}

// holds checks one condition.
func (s *script) holds(args []string) error {
	switch {
	case args[0] == "aws":
		return s.awsHolds(args[1:])
	case strings.Contains(args[0], "#"):
		_, d, err := s.deployment(args[0])
		if err != nil {
			return err
		}
		return deploymentHolds(d, args[1:])
	}
	return s.applicationHolds(args[0], args[1:])
}

func deploymentHolds(d deploy.Deployment, args []string) error {
	switch args[0] {
	case "at":
		i := d.Current()
		if i < 0 || d.Stages[i].Name != args[1] && d.Stages[i].ID != args[1] {
			now := d.Display()
			if i >= 0 {
				now = d.Stages[i].ID + " " + d.Stages[i].Name
			}
			return fmt.Errorf("it is at %s", now)
		}
		return nil
	case "stage":
		st, err := stageOf(d, args[1])
		if err == nil && string(st.Status) != args[2] {
			err = fmt.Errorf("stage %s is %s (%s)", st.ID, st.Status, st.Reason)
		}
		return err
	}
	if d.Display() != args[0] {
		return fmt.Errorf("it is %s (%s)", d.Display(), d.Reason)
	}
	for i, a := range args[1:] {
		if k, v, ok := strings.Cut(a, "~"); ok && k == "detail" {
			want := strings.Join(append([]string{v}, args[i+2:]...), " ")
			if !strings.Contains(d.Failed.String(), want) && !strings.Contains(d.Reason.String(), want) {
				return fmt.Errorf("the reason is %s, failed %s", d.Reason, d.Failed)
			}
			return nil
		}
		k, v, _ := strings.Cut(a, "=")
		got := map[string]string{"reason": d.Reason.Code, "failed": d.Failed.Code, "end": string(d.End), "status": string(d.Status), "commit": d.Trigger.Commit.Hash}
		if d.Plan != nil {
			got["strategy"], got["why"], got["stages"] = string(d.Plan.Strategy), d.Plan.Why.Code, strconv.Itoa(len(d.Plan.Stages))
		}
		if got[k] != v {
			return fmt.Errorf("%s is %s (%s; failed %s)", k, got[k], d.Reason, d.Failed)
		}
	}
	return nil
}

// driftText is the drift of an application as scripts compare it.
func driftText(a deploy.Application) string {
	switch {
	case a.Drift == nil:
		return "none"
	case a.Drift.Stale:
		return "stale"
	}
	return a.Drift.Summary
}

func (s *script) applicationHolds(name string, args []string) error {
	a, ok := s.w.App(name)
	if args[0] == "absent" {
		if ok {
			return fmt.Errorf("it is there")
		}
		return nil
	}
	if args[0] == "gone" {
		if svc, ok := s.w.Cloud.Service(name); ok {
			return fmt.Errorf("live is %s", svc.Text(time.Now()))
		}
		return nil
	}
	if args[0] == "live" {
		svc, _ := s.w.Cloud.Service(name)
		if got, want := svc.Text(time.Now()), strings.Join(args[1:], " "); got != want {
			return fmt.Errorf("live is %s", got)
		}
		return nil
	}
	if !ok {
		return fmt.Errorf("there is no application %s", name)
	}
	switch args[0] {
	case "count":
		if got := len(s.w.Deployments(name)); strconv.Itoa(got) != args[1] {
			return fmt.Errorf("there are %d deployments", got)
		}
		return nil
	case "queue":
		if strconv.Itoa(len(a.Queue)) != args[1] {
			return fmt.Errorf("%d are queued", len(a.Queue))
		}
		return nil
	case "drift":
		if got := driftText(a); !strings.Contains(got, strings.Join(args[1:], " ")) {
			return fmt.Errorf("drift is %s", got)
		}
		return nil
	case "held", "free":
		if (a.Hold != nil) != (args[0] == "held") {
			return fmt.Errorf("hold is %+v", a.Hold)
		}
		return nil
	case "invalid", "valid":
		if (a.Invalid != nil) != (args[0] == "invalid") {
			return fmt.Errorf("invalid is %+v", a.Invalid)
		}
		if want := strings.Join(args[1:], " "); a.Invalid != nil && !strings.Contains(a.Invalid.Detail, want) {
			return fmt.Errorf("it says %s", a.Invalid.Detail)
		}
		return nil
	case "sync":
		if string(a.Sync()) != args[1] {
			return fmt.Errorf("sync is %s", a.Sync())
		}
		return nil
	}
	return fmt.Errorf("unknown condition %s", args[0])
}

func (s *script) awsHolds(args []string) error {
	switch args[0] {
	case "weights":
		if got := s.w.AWS.Weights(); got != args[1] {
			return fmt.Errorf("weights are %s", got)
		}
		return nil
	case "sets":
		got := s.w.AWS.TaskSets(args[1])
		slices.Sort(got)
		if text := strings.Join(got, " "); text != strings.Join(args[2:], " ") {
			return fmt.Errorf("task sets are %s", text)
		}
		return nil
	case "service":
		if got := s.w.AWS.Service(args[1]); got != strings.Join(args[2:], " ") {
			return fmt.Errorf("the service is %s", got)
		}
		return nil
	case "family":
		if got := s.w.AWS.Family(args[1]); got != strings.Join(args[2:], " ") {
			return fmt.Errorf("the family is %s", got)
		}
		return nil
	case "alias":
		if got := s.w.AWS.Alias(args[1]); got != strings.Join(args[2:], " ") {
			return fmt.Errorf("the alias is %s", got)
		}
		return nil
	case "versions":
		if got := s.w.AWS.Published(args[1]); got != strings.Join(args[2:], " ") {
			return fmt.Errorf("versions are %s", got)
		}
		return nil
	case "failures":
		if got := s.w.AWS.Failures(); strconv.Itoa(got) != args[1] {
			return fmt.Errorf("%d requests failed", got)
		}
		return nil
	}
	return fmt.Errorf("unknown condition aws %s", args[0])
}

// status describes everything, for a failure.
func (s *script) status() string {
	var b strings.Builder
	if !s.w.Up() {
		return "the server is down"
	}
	for _, name := range []string{"web", "api", "other"} {
		a, ok := s.w.App(name)
		if !ok {
			continue
		}
		fmt.Fprintf(&b, "application %s: sync %s, current %q, queue %v, hold %+v, invalid %+v\n", name, a.Sync(), a.Current, a.Queue, a.Hold, a.Invalid)
		for i, d := range s.w.Deployments(name) {
			fmt.Fprintf(&b, "  #%d %s %s reason %s failed %s holder %s epoch %d\n", i+1, d.ID, d.Display(), d.Reason, d.Failed, d.Holder, d.Epoch)
			for _, st := range d.Stages {
				fmt.Fprintf(&b, "     %s %s %s step %d %s\n", st.ID, st.Name, st.Status, st.Step, st.Reason)
			}
		}
		svc, _ := s.w.Cloud.Service(name)
		fmt.Fprintf(&b, "  live %s\n", svc.Text(time.Now()))
		if s.w.AWS != nil {
			fmt.Fprintf(&b, "  aws %s %v\n", s.w.AWS.Weights(), s.w.AWS.TaskSets(name))
			fmt.Fprintf(&b, "  alias %s, versions %s\n", s.w.AWS.Alias(name), s.w.AWS.Published(name))
		}
	}
	return b.String()
}
