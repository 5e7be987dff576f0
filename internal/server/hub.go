package server

import (
	"sync"
)

// sideChange is a change beside the streams: a live state, a log chunk, what a
// step waits for. It is told and not kept.
type sideChange struct {
	project, kind, id, typ, app string
}

// hub wakes those who wait in this process. It carries no truth: whoever is
// woken reads the store again.
type hub struct {
	done chan struct{} // closed when the server stops

	mu       sync.Mutex
	closed   bool
	agents   map[string]*agentWaiter
	watchers map[*watcher]bool
}

// agentWaiter collects wake-ups of one session until its stream takes them. It
// lives as long as the session.
type agentWaiter struct {
	work  bool
	woken int64 // how often for work
	repos map[string]bool
	line  *line // the stream that takes them, nil while there is none
}

// line is one Wait stream. Only the newest one of a session gets wake-ups: an
// older one may hang on a connection that is gone.
type line struct {
	ping chan struct{}
	over chan struct{} // closed when the session ended or a newer stream took over
}

// watcher collects what one Watch stream has not seen.
type watcher struct {
	ping    chan struct{}
	project string
	side    map[sideChange]bool
}

func newHub() *hub {
	return &hub{done: make(chan struct{}), agents: map[string]*agentWaiter{}, watchers: map[*watcher]bool{}}
}

func ring(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// begin makes the waiter of a new session.
func (h *hub) begin(session string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.waiter(session)
}

func (h *hub) waiter(session string) *agentWaiter {
	w := h.agents[session]
	if w == nil {
		w = &agentWaiter{repos: map[string]bool{}}
		h.agents[session] = w
	}
	return w
}

// join makes the line of a new Wait stream, in place of an older one.
func (h *hub) join(session string) *line {
	h.mu.Lock()
	defer h.mu.Unlock()
	w := h.waiter(session)
	if w.line != nil {
		close(w.line.over)
	}
	w.line = &line{ping: make(chan struct{}, 1), over: make(chan struct{})}
	ring(w.line.ping)
	return w.line
}

// part gives a line back. The waiter stays: what comes meanwhile waits for the
// next stream of the session.
func (h *hub) part(session string, l *line) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if w := h.agents[session]; w != nil && w.line == l {
		w.line = nil
	}
}

// forget ends the waiter and the stream of a session that is over.
func (h *hub) forget(session string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if w := h.agents[session]; w != nil && w.line != nil {
		close(w.line.over)
	}
	delete(h.agents, session)
}

func (h *hub) wakeSession(session string) {
	h.wake(session, func(w *agentWaiter) { w.work = true; w.woken++ })
}

func (h *hub) wakeRepo(session, repo string) {
	h.wake(session, func(w *agentWaiter) { w.repos[repo] = true })
}

// wake notes something for a session that is there. One that has no waiter
// begins with all of its work anyway.
func (h *hub) wake(session string, note func(*agentWaiter)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	w := h.agents[session]
	if w == nil {
		return
	}
	note(w)
	if w.line != nil {
		ring(w.line.ping)
	}
}

// take returns and clears what a session was woken for, for the line that is
// the newest of the session, with how often it was woken for work.
func (h *hub) take(session string, l *line) (work bool, repos []string, woken int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	w := h.agents[session]
	if w == nil || w.line != l {
		return false, nil, 0
	}
	work, w.work = w.work, false
	for r := range w.repos {
		repos = append(repos, r)
	}
	clear(w.repos)
	return work, repos, w.woken
}

// woken is how often a session was woken for work.
func (h *hub) woken(session string) int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	if w := h.agents[session]; w != nil {
		return w.woken
	}
	return 0
}

// watch begins a watcher; it must be given back with unwatch.
func (h *hub) watch(project string) *watcher {
	h.mu.Lock()
	defer h.mu.Unlock()
	w := &watcher{ping: make(chan struct{}, 1), project: project, side: map[sideChange]bool{}}
	h.watchers[w] = true
	return w
}

func (h *hub) unwatch(w *watcher) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.watchers, w)
}

// publish tells the watchers of a project that its streams grew.
func (h *hub) publish(project string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for w := range h.watchers {
		if w.project == project {
			ring(w.ping)
		}
	}
}

// publishSide tells watchers of one project about a change beside the streams.
// Equal changes that nobody has read yet are one.
func (h *hub) publishSide(c sideChange) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for w := range h.watchers {
		if w.project == c.project {
			w.side[c] = true
			ring(w.ping)
		}
	}
}

// drain returns and clears the side changes of a watcher.
func (h *hub) drain(w *watcher) (side []sideChange) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for c := range w.side {
		side = append(side, c)
	}
	clear(w.side)
	return side
}

// close ends all streams: the server stops.
func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.closed {
		h.closed = true
		close(h.done)
	}
}
