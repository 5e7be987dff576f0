// Package repotest holds tests about the repository itself: who may import whom, no clock in the centre, a comment on
// every package, links that lead somewhere. They keep the rules of CONTRIBUTING.md and docs/contributing/architecture.md
// true without a reviewer who has to remember them. There is no code here to call.
package repotest
