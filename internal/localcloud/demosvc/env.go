package demosvc

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Environment variables that configure the service. The task runtime sets the
// first three; the others may be set in a task definition.
const (
	EnvListen         = "PENSTOCK_TASK_LISTEN"  // addresses, separated by commas
	EnvTaskID         = "PENSTOCK_TASK_ID"      //
	EnvVersion        = "PENSTOCK_TASK_VERSION" //
	EnvLatency        = "PENSTOCK_TASK_LATENCY" // duration, for example 150ms
	EnvErrorRate      = "PENSTOCK_TASK_ERROR_RATE"
	EnvNeverHealthy   = "PENSTOCK_TASK_NEVER_HEALTHY"   // true or false
	EnvUnhealthyAfter = "PENSTOCK_TASK_UNHEALTHY_AFTER" // duration
	EnvExitAfter      = "PENSTOCK_TASK_EXIT_AFTER"      // duration
	EnvExitCode       = "PENSTOCK_TASK_EXIT_CODE"
	EnvGrace          = "PENSTOCK_TASK_GRACE" // duration
)

// FromEnv reads the configuration. An empty variable means the default; a
// malformed one is an error that names it.
func FromEnv(getenv func(string) string) (Config, error) {
	cfg := Config{Version: getenv(EnvVersion), TaskID: getenv(EnvTaskID)}
	for _, addr := range strings.Split(getenv(EnvListen), ",") {
		if addr = strings.TrimSpace(addr); addr != "" {
			cfg.Listen = append(cfg.Listen, addr)
		}
	}
	if len(cfg.Listen) == 0 && getenv(envRuntime) == "" {
		return cfg, fmt.Errorf("%s is not set", EnvListen)
	}
	durations := map[string]*time.Duration{
		EnvLatency: &cfg.Behaviour.Latency, EnvUnhealthyAfter: &cfg.Behaviour.UnhealthyAfter,
		EnvExitAfter: &cfg.ExitAfter, EnvGrace: &cfg.Grace,
	}
	for name, into := range durations {
		if err := read(getenv, name, into, time.ParseDuration); err != nil {
			return cfg, err
		}
		if *into < 0 {
			return cfg, fmt.Errorf("%s: %v is negative", name, *into)
		}
	}
	rate := func(s string) (float64, error) { return strconv.ParseFloat(s, 64) }
	if err := read(getenv, EnvErrorRate, &cfg.Behaviour.ErrorRate, rate); err != nil {
		return cfg, err
	}
	if r := cfg.Behaviour.ErrorRate; !(r >= 0 && r <= 1) {
		return cfg, fmt.Errorf("%s: %v is not within 0 and 1", EnvErrorRate, r)
	}
	if err := read(getenv, EnvNeverHealthy, &cfg.Behaviour.NeverHealthy, strconv.ParseBool); err != nil {
		return cfg, err
	}
	return cfg, read(getenv, EnvExitCode, &cfg.ExitCode, strconv.Atoi)
}

func read[T any](getenv func(string) string, name string, into *T, parse func(string) (T, error)) error {
	text := getenv(name)
	if text == "" {
		return nil
	}
	v, err := parse(text)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	*into = v
	return nil
}
