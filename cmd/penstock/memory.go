package main

import "runtime/debug"

// heapGrowth is how much the heap of a long-running command may grow, in percent of what lives, before it is collected.
const heapGrowth = 50

// trimHeap trades a little processor time for memory: server and agent idle most of the day beside the workloads, where
// their memory is what they cost. GOGC in the environment wins.
func trimHeap(getenv func(string) string) {
	if getenv("GOGC") == "" {
		debug.SetGCPercent(heapGrowth)
	}
}
