package sim

import (
	"os"
	"strconv"
	"testing"
)

// seedsEnv says how many worlds TestSeeds looks at.
const seedsEnv = "PENSTOCK_SIM_HUNT"

// TestSeeds is the hunt that others call, such as a mutation runner: every course
// on ECS, the points of two short ones, then as many worlds as PENSTOCK_SIM_HUNT says,
// always the same ones and one after the other. It stops at the first problem.
//
//	PENSTOCK_SIM_HUNT=40 go test ./test/sim -run '^TestSeeds$' -failfast
func TestSeeds(t *testing.T) {
	n, err := strconv.Atoi(os.Getenv(seedsEnv))
	if err != nil || n < 1 {
		n = 1
	}
	for i, c := range ecsCourses() {
		if n == 1 && i > 0 {
			break
		}
		inWorld(t, func(t *testing.T) { crashOnce(t, c, mode{name: "nothing dies", cloud: true}, 1<<30) })
		if t.Failed() {
			return
		}
	}
	for _, c := range append(courses(), ecsCourses()...) {
		for _, m := range modes {
			if n == 1 || c.name != "quick sync and back" && c.name != "ecs quick sync and back" || m.read && !c.ecs() {
				continue
			}
			for point := 1; ; point++ {
				reached := false
				inWorld(t, func(t *testing.T) { reached = crashOnce(t, c, m, point) })
				if t.Failed() {
					return
				}
				if !reached {
					break
				}
			}
		}
	}
	for seed := uint64(1); seed <= uint64(n); seed++ {
		inWorld(t, func(t *testing.T) { run(t, seed, plan{}) })
		if t.Failed() {
			return
		}
	}
}
