//go:build linux

package launch

import "runtime"

// The main thread cannot end before the program does, so it must never become
// a thread in a container's namespaces: lock the main goroutine to it.
func init() { runtime.LockOSThread() }

// thread is an operating system thread apart from all others. Namespaces, root,
// working directory, umask and capabilities belong to threads, and so to the
// processes that a thread forks.
type thread struct{ work chan func() }

func newThread() *thread {
	t := &thread{make(chan func())}
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		for f := range t.work {
			f()
		}
	}()
	return t
}

// do runs f on the thread.
func (t *thread) do(f func() error) (err error) {
	done := make(chan struct{})
	t.work <- func() {
		defer close(done)
		err = f()
	}
	<-done
	return err
}

// end lets the thread go, and the namespaces that nothing else is in.
func (t *thread) end() { close(t.work) }
