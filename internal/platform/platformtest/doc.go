// Package platformtest is the suite that every platform passes: what the agent
// relies on, tried out against a platform and a cloud of its own. It runs on
// virtual time, inside a testing/synctest bubble of its own.
package platformtest
