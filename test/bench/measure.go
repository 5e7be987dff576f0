package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"connectrpc.com/connect"

	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
	"github.com/penstock-cd/penstock/internal/git"
	"github.com/penstock-cd/penstock/test/kit"
)

// deploymentLimit ends a run that hangs.
const deploymentLimit = 3 * time.Minute

// measureStarts starts the server, waits until it is ready, starts the agent and waits until it has its session, again and
// again. The value is the sum of both. The last pair goes on running.
func (w *world) measureStarts(ctx context.Context, n int) ([]float64, error) {
	var out []float64
	for range n {
		w.stop()
		from := time.Now()
		if err := w.start(nil, "server"); err != nil {
			return nil, err
		}
		if err := answers(ctx, w.server+"/readyz"); err != nil {
			return nil, err
		}
		if err := w.start(w.env, "agent"); err != nil {
			return nil, err
		}
		if err := answers(ctx, "http://"+w.admin+"/readyz"); err != nil {
			return nil, err
		}
		out = append(out, time.Since(from).Seconds())
	}
	return out, nil
}

// pushes is what deployments of pushed commits cost, in seconds.
type pushes struct {
	total   []float64 // webhook to the first cloud write, as the cloud's call log has it
	own     []float64 // the same without the time in which an API or git request was under way
	between []float64 // end of a stage to the first API call of the next
}

// measurePushes deploys v1, then pushes one version after the other through the whole pipeline.
func (w *world) measurePushes(ctx context.Context, n int) (p pushes, err error) {
	stages := []string{
		"name: ECS_CANARY_ROLLOUT\n        with: {scale: 50}", "name: ECS_TRAFFIC_ROUTING\n        with: {canary: 20}", "name: WAIT\n        with: {duration: 1s}",
		"name: ECS_PRIMARY_ROLLOUT", "name: ECS_TRAFFIC_ROUTING\n        with: {primary: 100}", "name: ECS_CANARY_CLEAN",
	}
	files := map[string]string{
		"shop/app.pipecd.yaml": kit.AppFile("shop", w.route, stages...), "shop/servicedef.yaml": kit.ServiceFile(w.stage.ARN, "shop", 2),
		"shop/taskdef.yaml": kit.TaskFile("shop", "v1"),
	}
	if _, _, err := w.push(ctx, "Ship v1", files); err != nil {
		return p, fmt.Errorf("the first deployment: %w", err)
	}
	for i := range n {
		version := fmt.Sprintf("v%d", i+2)
		from, d, err := w.push(ctx, "Ship "+version, map[string]string{"shop/taskdef.yaml": kit.TaskFile("shop", version)})
		if err != nil {
			return p, fmt.Errorf("push %d: %w", i+1, err)
		}
		if err := w.costs(&p, from, d); err != nil {
			return p, fmt.Errorf("push %d: %w", i+1, err)
		}
		fmt.Fprintf(os.Stderr, "push %2d: first write after %.3f s, of them own %.3f s\n", i+1, p.total[i], p.own[i])
	}
	return p, nil
}

// push commits, tells the control plane, and waits for the end of the deployment. from is the moment before the webhook.
func (w *world) push(ctx context.Context, message string, files map[string]string) (from time.Time, d *penstockv1.Deployment, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, deploymentLimit, fmt.Errorf("no end within %s", deploymentLimit))
	defer cancel()
	sha, err := w.git.Commit(ctx, repo, "main", message, files, git.Signature{Name: "Bench", Email: "bench@localhost"})
	if err != nil {
		return from, nil, err
	}
	from = time.Now()
	if err := kit.Push(ctx, w.server, project, secret, w.remote); err != nil {
		return from, nil, err
	}
	for {
		d, err = w.deployment(ctx, sha)
		switch {
		case err != nil:
			return from, nil, errors.Join(context.Cause(ctx), err)
		case d != nil && d.FinishedAt != nil && d.Display != "SUCCESS":
			return from, nil, fmt.Errorf("the deployment ended %s: %s %s", d.Display, d.GetReason().GetText(), d.GetFailed().GetText())
		case d != nil && d.FinishedAt != nil:
			return from, d, nil
		}
		select {
		case <-ctx.Done():
			return from, nil, context.Cause(ctx)
		case <-time.After(250 * time.Millisecond):
		}
	}
}

// deployment finds the one of a commit; nil while there is none.
func (w *world) deployment(ctx context.Context, sha string) (*penstockv1.Deployment, error) {
	list, err := w.api.Deployments.ListDeployments(ctx, connect.NewRequest(&penstockv1.ListDeploymentsRequest{Page: &penstockv1.PageRequest{PageSize: 1}}))
	if err != nil || len(list.Msg.Deployments) == 0 || list.Msg.Deployments[0].GetTrigger().GetCommit().GetHash() != sha {
		return nil, err
	}
	got, err := w.api.Deployments.GetDeployment(ctx, connect.NewRequest(&penstockv1.GetDeploymentRequest{DeploymentId: list.Msg.Deployments[0].Id}))
	if err != nil {
		return nil, err
	}
	return got.Msg.Deployment, nil
}

// costs adds what one deployment cost. Requests beside the critical path, of the live state for example, are rare and short;
// where they overlap with it they count once.
func (w *world) costs(p *pushes, from time.Time, d *penstockv1.Deployment) error {
	_, writes := w.cloud.Calls()
	var first time.Time
	for _, c := range writes {
		if c.At.After(from) {
			first = c.At
			break
		}
	}
	if first.IsZero() {
		return errors.New("nothing was written to the cloud")
	}
	total := first.Sub(from)
	p.total = append(p.total, total.Seconds())
	p.own = append(p.own, (total - covered(w.calls.all(), from, first)).Seconds())
	for i := 1; i < len(d.Stages); i++ {
		before, next := d.Stages[i-1], d.Stages[i]
		if next.Type != "PLATFORM" || next.StartedAt == nil || before.EndedAt == nil {
			continue
		}
		end := before.EndedAt.AsTime()
		if at, ok := w.calls.first(end); ok {
			p.between = append(p.between, at.Sub(end).Seconds())
		}
	}
	return nil
}

// idleCost is what two processes with nothing to do cost.
type idleCost struct {
	cpu float64 // percent of one core
	rss float64 // MB (10^6 bytes), both together
}

// measureIdle watches server and agent while nobody commits.
func (w *world) measureIdle(ctx context.Context, d time.Duration) (c idleCost, err error) {
	if err := wait(ctx, 5*time.Second); err != nil { // what follows a deployment is over
		return c, err
	}
	before, err := w.cpu()
	if err != nil {
		return c, err
	}
	from := time.Now()
	if err := wait(ctx, d); err != nil {
		return c, err
	}
	after, err := w.cpu()
	if err != nil {
		return c, err
	}
	c.cpu = 100 * (after - before).Seconds() / time.Since(from).Seconds()
	c.rss, err = w.rss()
	return c, err
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// cpu is the processor time of both processes until now: the first field of schedstat of every thread, nanoseconds on a
// processor (Documentation/scheduler/sched-stats.rst of Linux). /proc/PID/stat counts in 10 ms, too coarse for an idle program.
func (w *world) cpu() (sum time.Duration, err error) {
	for _, cmd := range w.running {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", cmd.Process.Pid))
		if err != nil || len(threads) == 0 {
			return 0, fmt.Errorf("the idle figures need Linux with scheduler statistics, and process %d running", cmd.Process.Pid)
		}
		for _, name := range threads {
			b, err := os.ReadFile(name)
			if err != nil {
				return 0, err
			}
			first, _, _ := bytes.Cut(b, []byte(" "))
			n, err := strconv.ParseInt(string(first), 10, 64)
			if err != nil {
				return 0, fmt.Errorf("%s: %w", name, err)
			}
			sum += time.Duration(n)
		}
	}
	return sum, nil
}

// rss is the resident memory of both processes: field 2 of /proc/PID/statm, in pages.
func (w *world) rss() (mb float64, err error) {
	for _, cmd := range w.running {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", cmd.Process.Pid))
		if err != nil {
			return 0, err
		}
		fields := bytes.Fields(b)
		if len(fields) < 2 {
			return 0, errors.New("/proc/PID/statm is too short")
		}
		pages, err := strconv.ParseInt(string(fields[1]), 10, 64)
		if err != nil {
			return 0, err
		}
		mine := float64(pages*int64(os.Getpagesize())) / 1e6
		fmt.Fprintf(os.Stderr, "%s: %.1f MB resident\n", cmd.Args[1], mine)
		mb += mine
	}
	return mb, nil
}
