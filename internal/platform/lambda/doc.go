// Package lambda deploys applications to AWS Lambda: one function, whose published versions are reached through one alias.
//
// How a canary goes: the function's $LATEST is brought to what the file declares and published as a version; the alias's
// routing sends a share of the invocations to it; the promotion makes it the alias's version. The way back returns to the
// recorded alias from every point, whatever the code came from, and removes what the deployment published.
//
// $LATEST is the workbench on which versions are made. Nobody's traffic may depend on it: the state of an application is what
// its alias serves, and that is what is compared, restored and shown.
//
// What never happens: weight on a version that is not Active, a version published twice for one intent, a version removed
// that the alias or a snapshot names, a write over a change that somebody else made to the alias.
package lambda
