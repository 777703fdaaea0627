//go:build linux

package qemu

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"github.com/skerry-app/skerry/engine/vm/console"
)

// outputGrace is how long the end of a process waits for the rest of its
// standard error.
const outputGrace = time.Second

// process is a running QEMU.
type process struct {
	cmd    *exec.Cmd
	stderr console.Tail
	exited chan struct{} // closed when it has been waited for
	err    error         // of Wait, valid after exited
}

// startProcess runs QEMU. The files stay the caller's.
func startProcess(binary string, a *arguments) (*process, error) {
	p := &process{cmd: exec.Command(binary, a.args...), exited: make(chan struct{})}
	p.cmd.Dir = "/"
	p.cmd.Stderr = &p.stderr
	p.cmd.ExtraFiles = a.files
	p.cmd.WaitDelay = outputGrace
	p.cmd.SysProcAttr = &syscall.SysProcAttr{
		Pdeathsig: syscall.SIGKILL,
		Setpgid:   true, // an interrupt at the terminal is for this process
	}
	started := make(chan error, 1)
	go p.run(started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", binary, err)
	}
	return p, nil
}

// run starts the process and waits for it, all on one thread that nothing else
// uses: the kernel sends the parent death signal when the thread that forked
// ends (prctl(2), PR_SET_PDEATHSIG).
func (p *process) run(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := p.cmd.Start()
	started <- err
	if err != nil {
		return
	}
	p.err = p.cmd.Wait()
	close(p.exited)
}

// kill ends the process; exited tells when.
func (p *process) kill() { p.cmd.Process.Kill() }

// signal is the signal that ended the process, 0 if none did.
func (p *process) signal() syscall.Signal {
	if status, ok := p.state().Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return status.Signal()
	}
	return 0
}

func (p *process) state() *os.ProcessState { return p.cmd.ProcessState }

// words is what the process printed on standard error, for an error message.
func (p *process) words() string {
	const most = 5 // lines
	return p.stderr.Last(most)
}
