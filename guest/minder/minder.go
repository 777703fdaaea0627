//go:build linux

// Package minder is the first process of a container that asks for an init: it
// runs the program as its child, hands signals on to it, collects orphans, and
// ends as the program does.
package minder

import (
	"encoding/binary"
	"errors"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	// Name is argv[0] of a minder. What follows is the program's path and all
	// of its arguments.
	Name = "skerry-init"
	// ReportFD is where it says which error the program's execve(2) gave, as
	// struct report of package launch has it. It is closed when the program
	// runs.
	ReportFD = 3
)

// Run returns the exit status that the program ended with, 128 and the signal's
// number when a signal ended it.
func Run(path string, args []string) int {
	unix.CloseOnExec(ReportFD)
	signals := make(chan os.Signal, 64)
	signal.Notify(signals) // before there is anybody to signal
	_, err := unix.IoctlGetTermios(0, unix.TCGETS)
	// The program leads a session of its own: the keys of a terminal signal it
	// and not this process, which would hand them on once more.
	program, err := syscall.ForkExec(path, args, &syscall.ProcAttr{Env: os.Environ(), Files: []uintptr{0, 1, 2},
		Sys: &syscall.SysProcAttr{Setsid: true, Setctty: err == nil}})
	if err != nil {
		report(err)
		return 1
	}
	unix.Close(ReportFD)
	go forward(signals, program)
	return collect(program)
}

func report(err error) {
	errno := syscall.ENOEXEC
	errors.As(err, &errno)
	b := binary.NativeEndian.AppendUint64(nil, 1<<32-1) // the last call of all
	unix.Write(ReportFD, binary.NativeEndian.AppendUint64(b, uint64(errno)))
}

// forward hands on what is not this process's own business.
func forward(signals <-chan os.Signal, program int) {
	for s := range signals {
		if s != unix.SIGCHLD && s != unix.SIGURG { // the Go runtime sends itself SIGURG
			unix.Kill(program, s.(syscall.Signal))
		}
	}
}

func collect(program int) int {
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return 1 // there is no child, not even the program: that cannot be
		case pid != program:
		case status.Signaled():
			return 128 + int(status.Signal())
		default:
			return status.ExitStatus()
		}
	}
}
