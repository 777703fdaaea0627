//go:build linux

// Package process runs the processes of a container: it starts, signals and
// reaps them and connects their streams.
package process

import (
	"errors"
	"os"
	"os/signal"
	"sync"

	"golang.org/x/sys/unix"
)

// Reaper collects every child that ends, its own and orphans alike, as PID 1
// has to. Nobody else may wait for children.
type Reaper struct {
	mu      sync.Mutex // held while forking, so that no child is collected unknown
	waiting map[int]chan unix.WaitStatus
}

// NewReaper starts collecting.
func NewReaper() *Reaper {
	r := &Reaper{waiting: map[int]chan unix.WaitStatus{}}
	children := make(chan os.Signal, 1)
	signal.Notify(children, unix.SIGCHLD)
	go func() {
		for {
			r.collect()
			<-children
		}
	}()
	return r
}

func (r *Reaper) collect() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, unix.WNOHANG, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
		if ch, ok := r.waiting[pid]; ok {
			delete(r.waiting, pid)
			ch <- status
		}
	}
}

// Start forks and returns where the child's status will come.
func (r *Reaper) Start(fork func() (pid int, err error)) (<-chan unix.WaitStatus, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	pid, err := fork()
	if err != nil {
		return nil, err
	}
	ch := make(chan unix.WaitStatus, 1)
	r.waiting[pid] = ch
	return ch, nil
}
