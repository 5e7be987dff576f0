package process

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/penstock-cd/penstock/internal/localcloud/lambda"
)

// maxInstances is how many instances of one version run at once; more invocations than that wait for one that is free.
const maxInstances = 32

// maxUnzipped is the most that a zip may hold (Lambda developer guide, "Lambda quotas").
const maxUnzipped = 250 << 20

// pool holds the instances of one key.
type pool struct {
	slots chan struct{} // one for each invocation under way

	mu      sync.Mutex
	idle    []*instance // newest last
	all     map[*instance]struct{}
	dir     string // of an unpacked zip
	retired bool
}

// Check refuses an image that is not in the catalogue, and a zip that this machine cannot run.
func (r *Runtime) Check(code lambda.Code) error {
	if code.Image != "" {
		if _, ok := r.opts.Catalogue.Lookup(code.Image); !ok {
			return fmt.Errorf("Source image %s does not exist. Provide a valid source image.", code.Image) //nolint:revive,staticcheck // AWS's words
		}
		return nil
	}
	files, err := zip.NewReader(bytes.NewReader(code.Zip), int64(len(code.Zip)))
	if err != nil {
		return errors.New("Could not unzip uploaded file. Please check your file, then try to upload again.") //nolint:revive,staticcheck // AWS's words
	}
	if !strings.HasPrefix(code.Runtime, "provided") {
		return fmt.Errorf("runtime %s is not run by the local cloud: it runs provided.al2023 with a bootstrap", code.Runtime)
	}
	size, boots := uint64(0), false
	for _, f := range files.File {
		boots = boots || f.Name == "bootstrap"
		if !filepath.IsLocal(f.Name) {
			return fmt.Errorf("the zip has an entry outside of itself: %s", f.Name)
		}
		size += f.UncompressedSize64
	}
	if !boots {
		return errors.New("the zip has no bootstrap at its top: runtime " + code.Runtime + " runs nothing else")
	}
	if size > maxUnzipped {
		return fmt.Errorf("Unzipped size must be smaller than %d bytes", maxUnzipped) //nolint:revive,staticcheck // AWS's words
	}
	return nil
}

// Prepare takes no time: code is unpacked when it is first invoked.
func (r *Runtime) Prepare(lambda.Code) (time.Duration, error) { return 0, nil }

// Invoke runs one event in an instance that is free, or in a new one.
func (r *Runtime) Invoke(ctx context.Context, in lambda.Invocation) (lambda.Result, error) {
	p, err := r.pool(in.Key)
	if err != nil {
		return lambda.Result{}, err
	}
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return lambda.Result{}, ctx.Err()
	}
	defer func() { <-p.slots }()
	x, err := r.take(p, in)
	if err != nil {
		return lambda.Result{}, err
	}
	res, fit := x.invoke(ctx, in)
	res.Log = x.output.bytes()
	p.mu.Lock()
	fit = fit && !p.retired
	if fit {
		p.idle = append(p.idle, x)
	}
	p.mu.Unlock()
	if !fit {
		x.end()
	}
	return res, nil
}

func (r *Runtime) pool(key string) (*pool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, errors.New("invoke: the runtime is closed")
	}
	p := r.pools[key]
	if p == nil {
		p = &pool{slots: make(chan struct{}, maxInstances), all: map[*instance]struct{}{}}
		r.pools[key] = p
	}
	return p, nil
}

// take gives an instance that waits for an event, or starts one.
func (r *Runtime) take(p *pool, in lambda.Invocation) (*instance, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.idle) > 0 {
		x := p.idle[len(p.idle)-1]
		p.idle = p.idle[:len(p.idle)-1]
		select {
		case <-x.gone:
		default:
			return x, nil
		}
	}
	if p.retired {
		return nil, errors.New("invoke: the code was replaced meanwhile")
	}
	program, err := r.program(p, in)
	if err != nil {
		return nil, err
	}
	x, err := r.startInstance(p, program, in)
	if err != nil {
		return nil, err
	}
	p.all[x] = struct{}{}
	return x, nil
}

// program is what the code of a function is run as.
func (r *Runtime) program(p *pool, in lambda.Invocation) (Program, error) {
	if in.Code.Image != "" {
		program, ok := r.opts.Catalogue.Lookup(in.Code.Image)
		if !ok {
			return program, fmt.Errorf("image %q is not in the catalogue", in.Code.Image)
		}
		return program, nil
	}
	if p.dir == "" {
		dir, err := unpack(in.Code.Zip)
		if err != nil {
			return Program{}, err
		}
		p.dir = dir
	}
	return Program{Argv: []string{filepath.Join(p.dir, "bootstrap")}, Dir: p.dir}, nil
}

// unpack writes the files of a zip into a directory of their own.
func unpack(code []byte) (dir string, err error) {
	files, err := zip.NewReader(bytes.NewReader(code), int64(len(code)))
	if err != nil {
		return "", fmt.Errorf("unpack function: %w", err)
	}
	if dir, err = os.MkdirTemp("", "penstock-function-"); err != nil {
		return "", fmt.Errorf("unpack function: %w", err)
	}
	for _, f := range files.File {
		if err := unpackFile(dir, f); err != nil {
			return "", errors.Join(fmt.Errorf("unpack %s: %w", f.Name, err), os.RemoveAll(dir))
		}
	}
	return dir, nil
}

func unpackFile(dir string, f *zip.File) error {
	name := filepath.Join(dir, f.Name)
	if f.FileInfo().IsDir() {
		return os.MkdirAll(name, 0o755)
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	from, err := f.Open()
	if err != nil {
		return err
	}
	defer func() { _ = from.Close() }()
	mode := os.FileMode(0o644)
	if f.Mode()&0o111 != 0 || f.Name == "bootstrap" {
		mode = 0o755
	}
	to, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, io.LimitReader(from, maxUnzipped))
	return errors.Join(err, to.Close())
}

// environ is the environment of an instance: the function's own, and what its runtime adds.
func environ(p Program, in lambda.Invocation, api string) []string {
	env := map[string]string{
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": strconv.Itoa(in.Memory), "AWS_EXECUTION_ENV": "AWS_Lambda_" + in.Code.Runtime, "LAMBDA_TASK_ROOT": p.Dir, "TZ": ":UTC",
	}
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "LANG"} {
		if v, ok := os.LookupEnv(name); ok {
			env[name] = v
		}
	}
	for _, more := range []map[string]string{p.Env, in.Env} {
		for k, v := range more {
			env[k] = v
		}
	}
	env["AWS_LAMBDA_RUNTIME_API"] = api
	out := make([]string, 0, len(env))
	for k, v := range env {
		out = append(out, k+"="+v)
	}
	return out
}

// Retire ends the instances of a key; one that is busy ends with its event.
func (r *Runtime) Retire(key string) {
	r.mu.Lock()
	p := r.pools[key]
	delete(r.pools, key)
	r.mu.Unlock()
	if p != nil {
		p.close(false)
	}
}

// close ends the instances that are idle, or all of them, and removes what was unpacked.
func (p *pool) close(all bool) {
	p.mu.Lock()
	p.retired = true
	list := p.idle
	if all {
		list = list[:0]
		for x := range p.all {
			list = append(list, x)
		}
	}
	p.idle = nil
	dir := p.dir
	p.mu.Unlock()
	for _, x := range list {
		x.end()
	}
	if dir != "" {
		_ = os.RemoveAll(dir) // a leftover of a temporary directory
	}
}

// Instances counts the processes of functions that run.
func (r *Runtime) Instances() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, p := range r.pools {
		p.mu.Lock()
		n += len(p.all)
		p.mu.Unlock()
	}
	return n
}
