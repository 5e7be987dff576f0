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
	mu       sync.Mutex
	closed   bool
	agents   map[string]*agentWaiter
	watchers map[*watcher]bool
}

// agentWaiter collects wake-ups of one session until its stream takes them.
type agentWaiter struct {
	ping  chan struct{}
	work  bool
	repos map[string]bool
}

// watcher collects what one Watch stream has not seen.
type watcher struct {
	ping    chan struct{}
	project string
	side    map[sideChange]bool
	closed  bool
}

func newHub() *hub {
	return &hub{agents: map[string]*agentWaiter{}, watchers: map[*watcher]bool{}}
}

func ring(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// waiter returns the waiter of a session, made when needed.
func (h *hub) waiter(session string) *agentWaiter {
	h.mu.Lock()
	defer h.mu.Unlock()
	w := h.agents[session]
	if w == nil {
		w = &agentWaiter{ping: make(chan struct{}, 1), repos: map[string]bool{}}
		h.agents[session] = w
	}
	return w
}

func (h *hub) forget(session string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.agents, session)
}

func (h *hub) wakeSession(session string) {
	w := h.waiter(session)
	h.mu.Lock()
	w.work = true
	h.mu.Unlock()
	ring(w.ping)
}

func (h *hub) wakeRepo(session, repo string) {
	w := h.waiter(session)
	h.mu.Lock()
	w.repos[repo] = true
	h.mu.Unlock()
	ring(w.ping)
}

// take returns and clears what a session was woken for.
func (h *hub) take(w *agentWaiter) (work bool, repos []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	work, w.work = w.work, false
	for r := range w.repos {
		repos = append(repos, r)
	}
	clear(w.repos)
	return work, repos
}

// watch begins a watcher; it must be given back with unwatch.
func (h *hub) watch(project string) *watcher {
	h.mu.Lock()
	defer h.mu.Unlock()
	w := &watcher{ping: make(chan struct{}, 1), project: project, side: map[sideChange]bool{}, closed: h.closed}
	h.watchers[w] = true
	return w
}

func (h *hub) unwatch(w *watcher) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.watchers, w)
}

// publish tells all watchers that streams grew.
func (h *hub) publish() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for w := range h.watchers {
		ring(w.ping)
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
func (h *hub) drain(w *watcher) (side []sideChange, closed bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for c := range w.side {
		side = append(side, c)
	}
	clear(w.side)
	return side, w.closed
}

// close ends all watchers and waiters: the server stops.
func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for w := range h.watchers {
		w.closed = true
		ring(w.ping)
	}
	for _, w := range h.agents {
		ring(w.ping)
	}
}

func (h *hub) isClosed() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.closed
}
