package localserver

import (
	"os/exec"
	"runtime"
	"sync"
)

// Spawn starts a command that ends when this process does.
//
// Linux sends the parent-death signal when the parent's *thread* ends, and the
// Go runtime ends threads as it likes; so all are started by one goroutine
// that never gives its thread back. https://go.dev/issue/27505
func Spawn(cmd *exec.Cmd) error {
	cmd.SysProcAttr = dieWithParent()
	done := make(chan error)
	spawner() <- func() { done <- cmd.Start() }
	return <-done
}

var spawner = sync.OnceValue(func() chan<- func() {
	work := make(chan func())
	go func() {
		runtime.LockOSThread()
		for f := range work {
			f()
		}
	}()
	return work
})
