// Package spec turns the bytes of configuration files into validated values: application files (app.pipecd.yaml), the
// agent's file (kind Piped), and path patterns.
//
// The package is pure: it reads no clock, no file and no environment; callers pass bytes. Every value that comes out of a
// file keeps its place in it, so that an error names file, line, column and path, and all errors of a file are found in
// one pass.
//
// The generic part of an application is decoded here. What belongs to a platform (input, quickSync, the options of its
// stages) is kept as positioned nodes, and the platform decodes it with the same kit: [Decoder] and [Object].
package spec
