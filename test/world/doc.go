// Package world is the whole system in one process on virtual time: a store,
// a server, any number of agents, repositories and clouds, joined without a
// socket. It must be used inside a testing/synctest bubble: hours pass in
// milliseconds, and whatever is killed, cut or restarted is so at an exact
// instant.
//
// Scenarios drive it by hand (test/scenario), the simulator by a seed
// (test/sim).
package world
