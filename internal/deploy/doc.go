// Package deploy is the centre of the product: what an application, a
// deployment, a stage and an event are, which states they may take and which
// words name them. It holds values and rules only; it imports nothing but the
// standard library, reads no clock and does no I/O, so that every value can be
// printed, stored, compared in a test and shown on a page.
package deploy
