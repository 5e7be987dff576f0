package process

import "sync"

// ring keeps the last bytes written to it. It is safe for concurrent use.
type ring struct {
	mu   sync.Mutex
	buf  []byte
	max  int
	next int // where the next byte goes once buf is full
}

func newRing(max int) *ring { return &ring{max: max} }

// Write never fails.
func (r *ring) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := len(p)
	if len(p) > r.max {
		p = p[len(p)-r.max:]
	}
	if room := r.max - len(r.buf); room > 0 {
		take := min(room, len(p))
		r.buf = append(r.buf, p[:take]...)
		p = p[take:]
	}
	for len(p) > 0 {
		c := copy(r.buf[r.next:], p)
		r.next = (r.next + c) % r.max
		p = p[c:]
	}
	return n, nil
}

func (r *ring) bytes() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]byte, 0, len(r.buf))
	out = append(out, r.buf[r.next:]...)
	return append(out, r.buf[:r.next]...)
}
