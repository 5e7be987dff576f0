package lambda

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/lambda/schemas"

	"github.com/penstock-cd/penstock/internal/localcloud/awserr"
	"github.com/penstock-cd/penstock/internal/localcloud/awswire"
	"github.com/penstock-cd/penstock/internal/localcloud/clock"
)

// Config is what the control plane needs from the outside.
type Config struct {
	// Account is the twelve-digit account, Region the region, in every ARN.
	Account, Region string
	// Seed fixes identifiers and the draw of versions behind an alias.
	Seed    uint64
	Clock   clock.Clock
	Runtime Runtime
	// Setup is how long a creation, an update or a publication takes to be set up.
	Setup time.Duration
	// Object reads an object of S3; nil knows none.
	Object func(bucket, key, version string) ([]byte, error)
	// Open gives a function URL a socket and returns its address (host:port), "" for none; may be nil.
	Open func(id string) string
	// Changed is called after a change that no call made, without locks held; may be nil.
	Changed func()
	Log     *slog.Logger
}

// Lambda is the control plane. All state is behind one mutex; what happens later is on timers of the clock.
type Lambda struct {
	cfg Config

	mu     sync.Mutex
	st     *state
	rnd    *rand.Rand // identifiers
	draw   *rand.Rand // versions behind an alias
	timers map[clock.Timer]struct{}
	closed bool

	background sync.WaitGroup // invocations of type Event
}

// New returns an empty control plane.
func New(cfg Config) *Lambda {
	if cfg.Clock == nil {
		cfg.Clock = clock.Real()
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Changed == nil {
		cfg.Changed = func() {}
	}
	return &Lambda{
		cfg: cfg, st: newState(), rnd: rand.New(rand.NewPCG(cfg.Seed, 0x1a3bda)), draw: rand.New(rand.NewPCG(cfg.Seed, 0xd1ce)), timers: map[clock.Timer]struct{}{},
	}
}

// Close stops what was to happen later and waits for invocations that nobody waits for.
func (c *Lambda) Close() {
	c.mu.Lock()
	c.closed = true
	for t := range c.timers {
		t.Stop()
	}
	clear(c.timers)
	c.mu.Unlock()
	c.background.Wait()
}

// Service returns the operations for the wire.
func (c *Lambda) Service() awswire.Service {
	return awswire.REST(
		"lambda",
		awswire.Op(locked(c, c.createFunction)).At(schemas.CreateFunction),
		awswire.Op(locked(c, c.getFunction)).At(schemas.GetFunction),
		awswire.Op(locked(c, c.getFunctionConfiguration)).At(schemas.GetFunctionConfiguration),
		awswire.Op(locked(c, c.listFunctions)).At(schemas.ListFunctions),
		awswire.Op(locked(c, c.updateFunctionCode)).At(schemas.UpdateFunctionCode),
		awswire.Op(locked(c, c.updateFunctionConfiguration)).At(schemas.UpdateFunctionConfiguration),
		awswire.Op(locked(c, c.deleteFunction)).At(schemas.DeleteFunction),
		awswire.Op(locked(c, c.publishVersion)).At(schemas.PublishVersion),
		awswire.Op(locked(c, c.listVersions)).At(schemas.ListVersionsByFunction),
		awswire.Op(locked(c, c.createAlias)).At(schemas.CreateAlias),
		awswire.Op(locked(c, c.getAlias)).At(schemas.GetAlias),
		awswire.Op(locked(c, c.listAliases)).At(schemas.ListAliases),
		awswire.Op(locked(c, c.updateAlias)).At(schemas.UpdateAlias),
		awswire.Op(locked(c, c.deleteAlias)).At(schemas.DeleteAlias),
		awswire.Op(locked(c, c.tagResource)).At(schemas.TagResource),
		awswire.Op(locked(c, c.untagResource)).At(schemas.UntagResource),
		awswire.Op(locked(c, c.listTags)).At(schemas.ListTags),
		awswire.Op(locked(c, c.createURL)).At(schemas.CreateFunctionUrlConfig),
		awswire.Op(locked(c, c.getURL)).At(schemas.GetFunctionUrlConfig),
		awswire.Op(locked(c, c.deleteURL)).At(schemas.DeleteFunctionUrlConfig),
		awswire.Op(c.invoke).At(schemas.Invoke),
	)
}

// id makes an identifier in the form of a UUID.
func (c *Lambda) id() string {
	h := fmt.Sprintf("%016x%016x", c.rnd.Uint64(), c.rnd.Uint64())
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// stamp is an instant as Lambda writes it.
func (c *Lambda) stamp() string {
	return c.cfg.Clock.Now().UTC().Format("2006-01-02T15:04:05.000-0700")
}

func (c *Lambda) arn(name string) string {
	return "arn:aws:lambda:" + c.cfg.Region + ":" + c.cfg.Account + ":function:" + name
}

// after runs f under the mutex once d has passed.
func (c *Lambda) after(d time.Duration, f func()) {
	var t clock.Timer
	t = c.cfg.Clock.AfterFunc(d, func() {
		c.mu.Lock()
		if c.closed {
			c.mu.Unlock()
			return
		}
		delete(c.timers, t)
		f()
		c.mu.Unlock()
		c.cfg.Changed()
	})
	c.timers[t] = struct{}{}
}

// named takes a function's name and qualifier out of a name, a partial ARN or an ARN (API, FunctionName).
func named(ref string) (name, qualifier string) {
	parts := strings.Split(ref, ":")
	switch {
	case strings.HasPrefix(ref, "arn:") && len(parts) >= 7:
		parts = parts[6:]
	case len(parts) >= 3 && parts[1] == "function":
		parts = parts[2:]
	}
	name = parts[0]
	if len(parts) > 1 {
		qualifier = parts[1]
	}
	return name, qualifier
}

// function finds a function by any form of its name. A qualifier in it may not contradict another one.
func (c *Lambda) function(ref, qualifier *string) (*function, string, error) {
	name, q := "", ""
	if ref != nil {
		name, q = named(*ref)
	}
	if qualifier != nil && *qualifier != "" {
		if q != "" && q != *qualifier {
			return nil, "", invalid("The derived qualifier from the function name does not match the specified qualifier.")
		}
		q = *qualifier
	}
	f := c.st.Functions[name]
	if f == nil {
		return nil, "", missing("Function not found: %s", c.arn(name)+suffix(q))
	}
	return f, q, nil
}

func suffix(qualifier string) string {
	if qualifier == "" {
		return ""
	}
	return ":" + qualifier
}

func invalid(format string, args ...any) error {
	return awserr.New("InvalidParameterValueException", format, args...)
}

func missing(format string, args ...any) error {
	return &awserr.Error{Code: "ResourceNotFoundException", Message: fmt.Sprintf(format, args...), Status: 404}
}

func conflict(format string, args ...any) error {
	return &awserr.Error{Code: "ResourceConflictException", Message: fmt.Sprintf(format, args...), Status: 409}
}

// stale is the answer to a revision id that is not the present one.
func stale(what string) error {
	return &awserr.Error{Code: "PreconditionFailedException", Message: "The RevisionId provided does not match the latest RevisionId. Call the " + what + " API to retrieve the latest RevisionId", Status: 412}
}
