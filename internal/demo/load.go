package demo

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"sync"
	"time"
)

// count is what the load client counted in a span of time.
type count struct {
	Total, Failed int
	By            map[string]int // good answers by version
}

func newCount() count { return count{By: map[string]int{}} }

func (c *count) add(o count) {
	c.Total += o.Total
	c.Failed += o.Failed
	for v, n := range o.By {
		c.By[v] += n
	}
}

// share is the share of good answers per version.
func (c count) share() map[string]float64 {
	good := 0
	for _, n := range c.By {
		good += n
	}
	out := map[string]float64{}
	for v, n := range c.By {
		out[v] = float64(n) / float64(good)
	}
	return out
}

// bucket is the grain of the counts and of what they are compared with.
const bucket = 50 * time.Millisecond

// bucketOf is the bucket of an instant; a span holds the buckets that begin in it.
func bucketOf(t time.Time) int64 { return t.UnixNano() / int64(bucket) }

// load sends a steady stream of requests and counts the answers in buckets of
// time, so that any span can be asked for afterwards.
type load struct {
	url    string
	client *http.Client
	jobs   chan time.Time
	wg     sync.WaitGroup

	mu      sync.Mutex
	buckets map[int64]count
	errors  []string // the first failures, for people
}

// startLoad begins a load of rate requests per second; it ends with the context.
func startLoad(ctx context.Context, url string, rate int) *load {
	const workers = 24
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConnsPerHost = workers
	l := &load{
		url: url, client: &http.Client{Transport: t, Timeout: 10 * time.Second},
		jobs: make(chan time.Time, rate), buckets: map[int64]count{},
	}
	for range workers {
		l.wg.Go(func() {
			for range l.jobs {
				l.one(context.WithoutCancel(ctx))
			}
		})
	}
	l.wg.Go(func() { l.pace(ctx, rate) })
	return l
}

// pace hands out requests evenly.
func (l *load) pace(ctx context.Context, rate int) {
	defer close(l.jobs)
	tick := time.NewTicker(time.Second / time.Duration(rate))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			select {
			case l.jobs <- now:
			default: // all workers are busy: the queue is bounded, the pace drops
			}
		}
	}
}

func (l *load) one(ctx context.Context) {
	version, problem := l.ask(ctx)
	key := bucketOf(time.Now())
	l.mu.Lock()
	defer l.mu.Unlock()
	c, ok := l.buckets[key]
	if !ok {
		c = newCount()
	}
	c.Total++
	if problem != "" {
		c.Failed++
		if len(l.errors) < 5 {
			l.errors = append(l.errors, problem)
		}
	} else {
		c.By[version]++
	}
	l.buckets[key] = c
}

// ask sends one request; a problem is empty for a good answer.
func (l *load) ask(ctx context.Context) (version, problem string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, l.url, nil)
	if err != nil {
		return "", err.Error()
	}
	req.Header.Set("Accept", "application/json")
	res, err := l.client.Do(req)
	if err != nil {
		return "", err.Error()
	}
	defer func() { _ = res.Body.Close() }()
	var answer struct {
		Version string `json:"version"`
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	if err != nil {
		return "", err.Error()
	}
	_ = json.Unmarshal(body, &answer)
	if res.StatusCode != http.StatusOK {
		return answer.Version, res.Status
	}
	return answer.Version, ""
}

// between sums what was answered in a span.
func (l *load) between(from, to time.Time) count {
	l.mu.Lock()
	defer l.mu.Unlock()
	sum := newCount()
	for k := bucketOf(from); k < bucketOf(to); k++ {
		if c, ok := l.buckets[k]; ok {
			sum.add(c)
		}
	}
	return sum
}

func (l *load) firstErrors() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.errors...)
}
