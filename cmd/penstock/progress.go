package main

import (
	"fmt"
	"io"
	"strings"

	"charm.land/lipgloss/v2"

	"github.com/penstock-cd/penstock/internal/deploy"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
)

// progress shows a deployment as it goes. traffic is where requests go, empty
// when that is not known.
type progress interface {
	show(d *penstockv1.Deployment, traffic string)
}

// progress is a block that is drawn again on a terminal, lines everywhere
// else. When a program reads the answer, progress goes to stderr as lines.
func (w *waiting) progress() progress {
	switch {
	case !w.forPeople():
		return &lines{verb: w.verb, out: w.s.Err, said: map[string]string{}}
	case w.s.redraws():
		return &block{verb: w.verb, out: w.s.Out}
	}
	return &lines{verb: w.verb, out: w.s.Out, said: map[string]string{}}
}

// lines says each change once, on a line of its own that begins with the time
// since the deployment was triggered.
type lines struct {
	*verb
	out  io.Writer
	said map[string]string
}

// say prints a line unless it was the last one about its subject.
func (p *lines) say(d *penstockv1.Deployment, subject, text string) {
	if text == "" || p.said[subject] == text {
		return
	}
	p.said[subject] = text
	fmt.Fprintf(p.out, "%7s  %s\n", p.s.span(d.TriggeredAt, d.FinishedAt), plain(text))
}

func (p *lines) show(d *penstockv1.Deployment, traffic string) {
	if !deploy.Status(d.Status).Terminal() {
		p.say(d, "deployment", strings.TrimRight(d.ApplicationName+"  "+d.Status+"  "+headline(d), " "))
	}
	for i, st := range d.Stages {
		if st.Status == string(deploy.StageNotStarted) || st.Status == "" {
			continue
		}
		name := fmt.Sprintf("%s %s", stageNumber(d, i), st.Name)
		if st.Status == string(deploy.StageRunning) {
			p.say(d, st.Id, strings.TrimRight(fmt.Sprintf("%s  RUNNING  %s", name, whatText(st)), " "))
			if why := p.lastingWhy(st); why != "" {
				p.say(d, st.Id+"/why", name+"  "+why)
			}
			continue
		}
		text := name + "  " + st.Status
		if took := p.s.span(st.StartedAt, st.EndedAt); took != "" && st.EndedAt != nil {
			text += " in " + took
		}
		if why := st.Reason.GetText(); why != "" {
			text += ": " + why
		}
		p.say(d, st.Id, text)
	}
	if traffic != "" {
		p.say(d, "traffic", "traffic: "+traffic)
	}
}

// lastingWhy is what a stage waits for without what changes by the second.
func (p *lines) lastingWhy(st *penstockv1.Stage) string {
	if st.Type == string(deploy.StageWait) && st.Until != nil {
		return "waits until " + clock(st.Until)
	}
	return p.stageWhy(st)
}

// headline is what a deployment is about, in its present state.
func headline(d *penstockv1.Deployment) string {
	switch deploy.Status(d.Status) {
	case deploy.StatusPending:
		return commitText(d.Trigger.GetCommit())
	case deploy.StatusRollingBack:
		return whyText(d)
	}
	return d.Plan.GetWhy().GetText()
}

// stageNumber is the place of a stage: 2/6, or ↩ 1/1 on the way back.
func stageNumber(d *penstockv1.Deployment, i int) string {
	place, all := 0, 0
	for j, st := range d.Stages {
		if st.Rollback == d.Stages[i].Rollback {
			all++
			if j <= i {
				place++
			}
		}
	}
	if d.Stages[i].Rollback {
		return fmt.Sprintf("↩ %d/%d", place, all)
	}
	return fmt.Sprintf("%d/%d", place, all)
}

// block draws all stages and draws over them at the next call.
type block struct {
	*verb
	out   io.Writer
	drawn int
}

func (p *block) show(d *penstockv1.Deployment, traffic string) {
	rows := p.rows(d, traffic)
	var b strings.Builder
	if p.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", p.drawn) // up to the first line
	}
	cut := lipgloss.NewStyle().MaxWidth(p.s.Width - 1)
	for _, row := range rows {
		// A line that wrapped could not be counted: cut it, and clear what the last one left.
		b.WriteString("\x1b[2K" + cut.Render(row) + "\n")
	}
	b.WriteString("\x1b[J")
	p.drawn = len(rows)
	_, _ = io.WriteString(p.out, b.String())
}

func (p *block) rows(d *penstockv1.Deployment, traffic string) []string {
	rows := []string{strings.TrimRight(fmt.Sprintf("%s  %s  %s  %s", plain(d.ApplicationName), p.s.paint(d.Display), p.s.span(d.TriggeredAt, d.FinishedAt), plain(headline(d))), " ")}
	width := 0
	for _, st := range d.Stages {
		width = max(width, lipgloss.Width(st.Name))
	}
	for _, st := range d.Stages {
		took := p.s.span(st.StartedAt, st.EndedAt)
		if st.StartedAt == nil {
			took = ""
		}
		why := p.stageWhy(st)
		if why == "" {
			why = whatText(st)
		}
		pad := strings.Repeat(" ", width-lipgloss.Width(st.Name))
		rows = append(rows, strings.TrimRight(fmt.Sprintf("  %s %s%s  %8s  %s", p.s.paint(sign(st)), plain(st.Name), pad, took, plain(why)), " "))
	}
	if traffic != "" {
		rows = append(rows, "  traffic: "+plain(traffic))
	}
	return rows
}

func sign(st *penstockv1.Stage) string {
	switch deploy.StageStatus(st.Status) {
	case deploy.StageRunning:
		return "▸"
	case deploy.StageSuccess, deploy.StageExited:
		return "✔"
	case deploy.StageFailure, deploy.StageCancelled:
		return "✘"
	case deploy.StageSkipped:
		return "»"
	}
	return "·"
}
