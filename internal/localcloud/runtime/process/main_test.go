package process_test

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"github.com/penstock-cd/penstock/internal/localcloud/demosvc"
	"github.com/penstock-cd/penstock/internal/localcloud/ecs"
	"github.com/penstock-cd/penstock/internal/localcloud/runtime/process"
)

// TestMain lets the test binary stand in for the real one: as "task" it is the
// demo service, as "stubborn" a program that ignores SIGTERM, as "parent" a
// program that runs a task.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "task":
			os.Exit(demosvc.Main(context.Background(), os.Getenv))
		case "stubborn":
			signal.Ignore(syscall.SIGTERM)
			fmt.Println("ignoring", os.Getenv("SECRET_OF_PARENT"))
			for {
				time.Sleep(time.Hour)
			}
		case "parent":
			parent(os.Args[2])
		}
	}
	os.Exit(m.Run())
}

// parent runs one task until it is killed itself.
func parent(ip string) {
	r, err := process.New(process.Options{})
	if err != nil {
		panic(err)
	}
	err = r.Start(ecs.TaskSpec{ID: "child", IP: ip, Containers: []ecs.ContainerSpec{
		{Name: "app", Image: "demo:v1", Ports: []int{8080}},
	}}, func(ecs.TaskEvent) {})
	if err != nil {
		panic(err)
	}
	for {
		time.Sleep(time.Hour)
	}
}
