// Package history keeps recorded event streams and folds them in every build,
// so that no change of the engine can strand what an older version recorded.
//
//	go test ./test/history -update    records the stories that have no file yet
//
// A stream is never recorded anew: a difference means that Apply changed its
// mind about a fact.
package history
