package process_test

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/penstock-cd/penstock/internal/localcloud/demosvc"
	"github.com/penstock-cd/penstock/internal/localcloud/lambda"
	"github.com/penstock-cd/penstock/internal/localcloud/runtime/process"
)

func invocation(key, image string, env map[string]string) lambda.Invocation {
	return lambda.Invocation{
		Key: key, RequestID: "r-" + key, ARN: "arn:aws:lambda:us-east-1:1:function:f", Function: "f", Version: "1", Code: lambda.Code{Image: image}, Env: env, Memory: 128,
		Timeout: 20 * time.Second, Event: []byte(`{"version":"2.0"}`),
	}
}

// versionIn is the version that a function answered with.
func versionIn(t *testing.T, r lambda.Result, err error) string {
	t.Helper()
	if err != nil || r.Error != "" {
		t.Fatalf("%v, %s %s", err, r.Error, r.Payload)
	}
	var out events.LambdaFunctionURLResponse
	var a demosvc.Answer
	if err := json.Unmarshal(r.Payload, &out); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(out.Body), &a); err != nil || out.StatusCode != 200 {
		t.Fatalf("%d %s", out.StatusCode, out.Body)
	}
	return a.Version
}

// TestFunctionsSpeakTheRuntimeInterface: AWS's own library answers through it, one process for many events.
func TestFunctionsSpeakTheRuntimeInterface(t *testing.T) {
	r := newRuntime(t, process.Options{})
	for range 3 {
		res, err := r.Invoke(t.Context(), invocation("a", "demo:v7", nil))
		if v := versionIn(t, res, err); v != "v7" {
			t.Errorf("version %s answered", v)
		}
	}
	var wg sync.WaitGroup
	for range 20 { // more at once than one process takes
		wg.Go(func() {
			if res, err := r.Invoke(t.Context(), invocation("a", "demo:v7", map[string]string{demosvc.EnvLatency: "1ms"})); err != nil || res.Error != "" {
				t.Errorf("%v %s", err, res.Payload)
			}
		})
	}
	wg.Wait()
	r.Retire("a")
	res, err := r.Invoke(t.Context(), invocation("a", "demo:v8", nil))
	if v := versionIn(t, res, err); v != "v8" {
		t.Errorf("behind a change version %s answers", v)
	}
}

// TestFunctionsThatFail: what the function does wrong is part of its answer.
func TestFunctionsThatFail(t *testing.T) {
	t.Setenv("SECRET_OF_PARENT", "hunter2")
	r := newRuntime(t, process.Options{})
	for name, c := range map[string]struct {
		env     map[string]string
		timeout time.Duration
		want    string
	}{
		"error":      {map[string]string{demosvc.EnvErrorRate: "1"}, 20 * time.Second, "told to fail"},
		"exit":       {map[string]string{demosvc.EnvNeverHealthy: "true"}, 20 * time.Second, "Runtime exited with error: exit status 1"},
		"bad config": {map[string]string{demosvc.EnvErrorRate: "x"}, 20 * time.Second, "exit status 2"},
		"timeout":    {map[string]string{demosvc.EnvLatency: "1m"}, 300 * time.Millisecond, "errorMessage"}, // the function's own deadline is the same instant
	} {
		t.Run(name, func(t *testing.T) {
			in := invocation(name, "demo:v1", c.env)
			in.Timeout = c.timeout
			res, err := r.Invoke(t.Context(), in)
			if err != nil || res.Error != "Unhandled" || !strings.Contains(string(res.Payload), c.want) {
				t.Errorf("%v %s %s, want %q", err, res.Error, res.Payload, c.want)
			}
			if bytes.Contains(res.Log, []byte("hunter2")) {
				t.Error("the function saw a variable of its parent")
			}
		})
	}
	if _, err := r.Invoke(t.Context(), invocation("x", "nginx:1", nil)); err == nil {
		t.Error("an image that is not in the catalogue ran")
	}
}

func zipped(t *testing.T, name, content string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	f, err := w.Create(name)
	must(t, err)
	_, err = f.Write([]byte(content))
	must(t, err)
	must(t, w.Close())
	return b.Bytes()
}

// TestZips: the bootstrap of a zip is run in the zip's directory, and what cannot be run is refused at once.
func TestZips(t *testing.T) {
	r := newRuntime(t, process.Options{})
	code := lambda.Code{Zip: zipped(t, "bootstrap", "#!/bin/sh\nexec \"$SELF\" task\n"), Runtime: "provided.al2023", Handler: "bootstrap"}
	must(t, r.Check(code))
	in := invocation("zip", "", map[string]string{"SELF": os.Args[0], demosvc.EnvVersion: "v3"})
	in.Code = code
	res, err := r.Invoke(t.Context(), in)
	if v := versionIn(t, res, err); v != "v3" {
		t.Errorf("version %s answered", v)
	}
	for want, bad := range map[string]lambda.Code{
		"Could not unzip":     {Zip: []byte("x"), Runtime: "provided.al2023"},
		"is not run by":       {Zip: code.Zip, Runtime: "nodejs22.x"},
		"no bootstrap":        {Zip: zipped(t, "main", ""), Runtime: "provided.al2023"},
		"outside of itself":   {Zip: zipped(t, "../bootstrap", ""), Runtime: "provided"},
		"does not exist":      {Image: "nginx:1"},
		"valid source image.": {Image: "nginx:2"},
	} {
		if err := r.Check(bad); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// TestCloseEndsFunctions: no instance outlives the runtime, whether it is idle or busy.
func TestCloseEndsFunctions(t *testing.T) {
	r := newRuntime(t, process.Options{})
	res, err := r.Invoke(t.Context(), invocation("idle", "demo:v1", nil))
	versionIn(t, res, err)
	busy := make(chan string, 1)
	go func() {
		res, err := r.Invoke(t.Context(), invocation("busy", "demo:v1", map[string]string{demosvc.EnvLatency: "1m"}))
		busy <- fmt.Sprint(err, string(res.Payload))
	}()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); r.Instances() < 2; <-tick.C {
		if time.Now().After(deadline) {
			t.Fatal("the second function did not start")
		}
	}
	r.Close()
	if got := <-busy; !strings.Contains(got, "Runtime exited") && !strings.Contains(got, "replaced meanwhile") {
		t.Errorf("the busy one ended with %s", got)
	}
	if _, err := r.Invoke(t.Context(), invocation("late", "demo:v1", nil)); err == nil {
		t.Error("a closed runtime ran a function")
	}
}
