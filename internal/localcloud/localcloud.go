// Package localcloud is an AWS-compatible cloud on this machine: ECS with the controllers EXTERNAL and ECS, Elastic Load Balancing, Lambda, SSM parameters,
// Secrets Manager and STS behind one endpoint. Tasks are real processes behind a real weighted router, functions are real processes behind the Lambda runtime
// interface; or both live in memory for virtual time: runtime, prober and clock are injected.
//
// It is for the demo, for tests and for rehearsing pipelines. It is written from AWS's documentation, listens on loopback only, checks every call's signature
// against the credential of the run, and refuses browsers.
package localcloud

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/penstock-cd/penstock/internal/localcloud/awswire"
	"github.com/penstock-cd/penstock/internal/localcloud/clock"
	"github.com/penstock-cd/penstock/internal/localcloud/ecs"
	"github.com/penstock-cd/penstock/internal/localcloud/elb"
	"github.com/penstock-cd/penstock/internal/localcloud/lambda"
	"github.com/penstock-cd/penstock/internal/localcloud/router"
	"github.com/penstock-cd/penstock/internal/localcloud/secrets"
	"github.com/penstock-cd/penstock/internal/localcloud/ssm"
	"github.com/penstock-cd/penstock/internal/localcloud/sts"
)

// Options say what kind of cloud to make. Only Runtime is required.
type Options struct {
	// Listen is the loopback address of the endpoint, for example "127.0.0.1:0". Empty opens no socket: use Transport.
	Listen string
	// Profile defaults to Ideal.
	Profile Profile
	// Seed fixes identifiers and every random draw except credentials.
	Seed uint64
	// Runtime runs the tasks; the caller closes it after the cloud. A runtime that is also an elb.Prober, a router.Deliverer or a lambda.Runtime is used as
	// these too.
	Runtime ecs.Runtime
	// Functions runs the functions of Lambda; nil takes the runtime, and without one there is no Lambda.
	Functions lambda.Runtime
	// Object reads an object of S3, where the code of functions may lie; nil knows none.
	Object func(bucket, key, version string) ([]byte, error)
	// FunctionAddr names the loopback address of a function URL's socket; "" opens none, and so does a nil function.
	FunctionAddr func() string
	// Prober checks targets; nil takes the runtime's, or plain HTTP.
	Prober elb.Prober
	// Deliverer answers routed requests where there are no sockets; nil takes the runtime's.
	Deliverer router.Deliverer
	// ListenerAddr names the loopback address of a load balancer listener's socket by the port that the API shows; "" opens none, and so does a nil function.
	ListenerAddr func(port int) string
	// StateDir keeps the control planes' state in a file of this directory; empty keeps nothing.
	StateDir string
	// Account and Region default to 123456789012 and us-east-1.
	Account, Region string
	// Clock defaults to real time.
	Clock clock.Clock
	// Log defaults to none.
	Log *slog.Logger
}

// Cloud is one local cloud. Make it with New, then Start it, and Close it at the end.
type Cloud struct {
	opts Options
	cred awswire.Credential

	ecs     *ecs.ECS
	elb     *elb.ELB
	lambda  *lambda.Lambda // nil without a runtime for functions
	router  *router.Router
	ssm     *ssm.SSM
	secrets *secrets.Secrets
	sts     *sts.STS

	wire    *awswire.Server
	handler http.Handler
	gate    *gate
	disk    *disk
	network *network

	serving  sync.WaitGroup
	urls     urls
	server   *http.Server
	endpoint string
}

// New makes a cloud that is not yet listening.
func New(opts Options) (*Cloud, error) {
	if opts.Runtime == nil {
		return nil, errors.New("local cloud: a task runtime is required")
	}
	opts = withDefaults(opts)
	c := &Cloud{opts: opts, endpoint: "http://127.0.0.1"}
	if opts.Listen != "" { // the tasks are real and need addresses that no other cloud uses
		var err error
		if c.network, err = takeNetwork(); err != nil {
			return nil, err
		}
	}
	c.cred = awswire.Credential{AccessKeyID: "AKIA" + strings.ToUpper(random(8)), SecretAccessKey: random(20)}
	c.sts = sts.New(sts.Config{Account: opts.Account, Clock: opts.Clock, Root: c.cred})
	c.ssm = ssm.New(ssm.Config{Account: opts.Account, Region: opts.Region, Clock: opts.Clock})
	c.secrets = secrets.New(secrets.Config{Account: opts.Account, Region: opts.Region, Seed: opts.Seed, Clock: opts.Clock})
	c.elb = elb.New(elb.Options{Region: opts.Region, Account: opts.Account, Seed: opts.Seed, Clock: opts.Clock, Prober: opts.Prober, Logger: opts.Log})
	c.router = router.New(c.elb, c.routerOptions())
	c.elb.Watch(c.router.Changed)
	c.disk = &disk{dir: opts.StateDir, clock: opts.Clock, log: opts.Log, parts: map[string]part{"elb": c.elb, "ssm": c.ssm, "secrets": c.secrets}}
	c.ecs = ecs.New(c.ecsConfig())
	c.disk.parts["ecs"] = c.ecs
	services := []awswire.Service{c.ecs.Service(), c.elb.Service(), c.ssm.Service(), c.secrets.Service(), c.sts.Service()}
	if opts.Functions != nil {
		c.lambda = lambda.New(lambda.Config{
			Account: opts.Account, Region: opts.Region, Seed: opts.Seed, Clock: opts.Clock, Runtime: opts.Functions, Setup: opts.Profile.FunctionSetup,
			Object: opts.Object, Open: c.openURL, Changed: c.disk.dirty, Log: opts.Log,
		})
		c.disk.parts["lambda"] = c.lambda
		services = append(services, c.lambda.Service())
	}
	c.gate = newGate(opts.Clock, opts.Profile, opts.Seed)
	c.gate.changed = c.disk.dirty
	c.wire = awswire.NewServer(awswire.Config{
		Lookup: c.sts.Lookup, Now: opts.Clock.Now, RequestID: requestID, Intercept: c.gate.intercept, Log: opts.Log,
	}, services...)
	mux := http.NewServeMux()
	mux.Handle("/_admin/", c.AdminHandler())
	mux.Handle("/", c.wire)
	c.handler = mux
	return c, nil
}

func withDefaults(opts Options) Options {
	if opts.Account == "" {
		opts.Account = "123456789012"
	}
	if opts.Region == "" {
		opts.Region = "us-east-1"
	}
	if opts.Clock == nil {
		opts.Clock = clock.Real()
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if p, ok := opts.Runtime.(elb.Prober); ok && opts.Prober == nil {
		opts.Prober = p
	}
	if d, ok := opts.Runtime.(router.Deliverer); ok && opts.Deliverer == nil {
		opts.Deliverer = d
	}
	if f, ok := opts.Runtime.(lambda.Runtime); ok && opts.Functions == nil {
		opts.Functions = f
	}
	if opts.Profile.Name == "" {
		opts.Profile = Ideal()
	}
	return opts
}

func (c *Cloud) routerOptions() router.Options {
	p := c.opts.Profile
	o := router.Options{
		Nodes: p.Nodes, LagMin: p.WeightLagMin, LagMax: p.WeightLagMax, Seed: c.opts.Seed, Clock: c.opts.Clock, Logger: c.opts.Log, Deliver: c.opts.Deliverer,
	}
	if c.opts.ListenerAddr != nil {
		o.Listen = func(s router.Snapshot) string { return c.opts.ListenerAddr(s.Port) }
	}
	return o
}

func (c *Cloud) ecsConfig() ecs.Config {
	p := c.opts.Profile
	cfg := ecs.Config{
		Account: c.opts.Account, Region: c.opts.Region, Seed: c.opts.Seed, Clock: c.opts.Clock, Runtime: c.opts.Runtime, Balancer: c.elb,
		Timing: ecs.Timing{Provision: p.Provision, Deprovision: p.Deprovision, Watch: p.Watch, Shift: p.shift()}, MaxLag: p.ReadLag, Secret: c.secretValue,
		Changed: c.disk.dirty, Log: c.opts.Log, Network: c.network.number(),
	}
	if p.ReadLag > 0 {
		rnd := mathrand.New(mathrand.NewPCG(c.opts.Seed, 0x1a9))
		cfg.Lag = func() time.Duration { return time.Duration(rnd.Int64N(int64(p.ReadLag) + 1)) } // asked under the control plane's mutex
	}
	return cfg
}

// secretValue resolves valueFrom of a container's secret (ECS API, Secret: the ARN of a Secrets Manager secret, or the ARN or name of a parameter).
func (c *Cloud) secretValue(ref string) (string, error) {
	if strings.HasPrefix(ref, "arn:aws:secretsmanager:") {
		return c.secrets.Value(ref)
	}
	return c.ssm.Value(ref)
}

// random returns n random bytes in hexadecimal. Credentials never come from the seed.
func random(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return hex.EncodeToString(b)
}

func requestID() string {
	id := random(16)
	return id[:8] + "-" + id[8:12] + "-" + id[12:16] + "-" + id[16:20] + "-" + id[20:]
}

// Start loads the state from disk, if there is any, and opens the endpoint's socket, if one is wanted. It returns once calls are answered.
func (c *Cloud) Start(ctx context.Context) error {
	if err := c.disk.load(); err != nil {
		return err
	}
	if c.opts.Listen == "" {
		return nil
	}
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", c.opts.Listen)
	if err != nil {
		return fmt.Errorf("local cloud: %w", err)
	}
	addr, ok := ln.Addr().(*net.TCPAddr)
	if !ok || !addr.IP.IsLoopback() {
		return errors.Join(fmt.Errorf("local cloud: %s is not a loopback address", ln.Addr()), ln.Close())
	}
	c.endpoint = "http://" + ln.Addr().String()
	c.server = &http.Server{Handler: c.handler, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(c.opts.Log.Handler(), slog.LevelDebug)}
	c.serving.Go(func() {
		if err := c.server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			c.opts.Log.Error("local cloud stopped serving", "error", err)
		}
	})
	return nil
}

// Close stops answering, saves the state, asks all tasks to end and stops health checks and routing. The caller then closes the runtime, which waits for the tasks.
func (c *Cloud) Close() error {
	var err error
	if c.server != nil {
		err = c.server.Close()
		c.serving.Wait()
	}
	c.urls.close()
	c.gate.close()
	err = errors.Join(err, c.disk.close())
	if c.lambda != nil {
		c.lambda.Close()
	}
	c.ecs.Close()
	c.elb.Close()
	c.router.Close()
	c.network.release()
	return err
}

// Handler answers AWS calls and, below /_admin/, those of AdminHandler.
func (c *Cloud) Handler() http.Handler { return c.handler }

// Endpoint is the URL for AWS clients; before Start and without a socket it is a loopback URL that only Transport can reach.
func (c *Cloud) Endpoint() string { return c.endpoint }

// Credentials returns the credential of this run.
func (c *Cloud) Credentials() aws.Credentials {
	return aws.Credentials{AccessKeyID: c.cred.AccessKeyID, SecretAccessKey: c.cred.SecretAccessKey, Source: "localcloud"}
}

// AdminToken is the bearer token of the admin endpoint: the run's secret key.
func (c *Cloud) AdminToken() string { return c.cred.SecretAccessKey }

// AWSConfig is a configuration for SDK clients of this cloud. Without a socket it goes through Transport.
func (c *Cloud) AWSConfig() aws.Config {
	cfg := aws.Config{
		Region: c.opts.Region, BaseEndpoint: aws.String(c.endpoint),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return c.Credentials(), nil }),
	}
	if c.server == nil {
		cfg.HTTPClient = &http.Client{Transport: c.Transport()}
	}
	return cfg
}

// ECS returns the ECS control plane.
func (c *Cloud) ECS() *ecs.ECS { return c.ecs }

// ELB returns the load balancers' control plane.
func (c *Cloud) ELB() *elb.ELB { return c.elb }

// Lambda returns the control plane of functions, nil without a runtime for them.
func (c *Cloud) Lambda() *lambda.Lambda { return c.lambda }

// Router returns the data plane of load balancers.
func (c *Cloud) Router() *router.Router { return c.router }

// SSM returns the parameter store.
func (c *Cloud) SSM() *ssm.SSM { return c.ssm }

// Secrets returns the secret store.
func (c *Cloud) Secrets() *secrets.Secrets { return c.secrets }
