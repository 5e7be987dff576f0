// Package sim hunts for what must never happen: in every crash point of a
// deployment, one after the other (matrix_test.go), and in random worlds drawn
// from a seed (sim_test.go). That it can see is tried with faults that are
// built in on purpose (planted_test.go).
//
//	PENSTOCK_SIM_SEED=n    replays this seed; with PENSTOCK_SIM_SEEDS begins with it
//	PENSTOCK_SIM_SEEDS=n   runs so many seeds, from 1 on
//	PENSTOCK_SIM_FOR=60s   runs seeds as long as this, the first one from the clock
//
//	PENSTOCK_SIM_MATRIX=all  tries every crash point of every course (matrix_test.go)
//	PENSTOCK_SIM_MUTANTS=all tries mutants of the code as well (mutants_test.go)
//
// With neither seeds nor a time only a part of the crash points and planted
// faults is tried.
//
// A seed fixes every fault and when it comes, and what happens within one
// instant too: each process that runs seeds has one processor (spread_test.go).
package sim
