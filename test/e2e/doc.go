// Package e2e is ring four of the tests: the built program as separate processes, real task processes behind a real
// router, and clients that share no code with it (Debian's awscli, stock gRPC, plain HTTP, a browser). Its files carry
// the build tag e2e, because they need minutes and programs that a development machine may not have: `make test-all`.
package e2e
