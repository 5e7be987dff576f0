package process_test

import (
	"net"
	"os"
	"os/exec"
	"testing"
	"time"
)

// A parent that is killed outright takes its tasks with it.
func TestTasksDieWithTheirParent(t *testing.T) {
	ip := newIP()
	parent := exec.Command(os.Args[0], "parent", ip)
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	get(t, "http://"+ip+":8080/healthz") // the child answers
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(10 * time.Second); ; <-tick.C {
		c, err := net.Dial("tcp", ip+":8080")
		if err != nil {
			return // nobody listens any more
		}
		_ = c.Close()
		if time.Now().After(deadline) {
			t.Fatal("the task outlived its parent")
		}
	}
}
