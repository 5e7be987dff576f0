// Command penstock is the whole product in one program: the control plane
// (server), the agent, the local cloud, the demo, and the verbs by which
// people and scripts talk to a control plane.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], processStreams())
	stop()
	os.Exit(code)
}
