//go:build linux

// Command vminitd is the init of a container's machine: it serves the host on
// vsock, and the container is its child.
package main

import (
	"errors"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"sync"
	"time"

	"github.com/mdlayher/vsock"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc"

	"github.com/skerry-app/skerry/guest/api"
	"github.com/skerry-app/skerry/guest/boot"
	"github.com/skerry-app/skerry/guest/cgroup"
	"github.com/skerry-app/skerry/guest/minder"
	"github.com/skerry-app/skerry/guest/process"
	"github.com/skerry-app/skerry/guest/server"
)

// version is set by the build.
var version = "dev"

func main() {
	if len(os.Args) > 2 && os.Args[0] == minder.Name {
		os.Exit(minder.Run(os.Args[1], os.Args[2:]))
	}
	if len(os.Args) == 1 && os.Args[0] == minder.HolderName {
		minder.Hold()
	}
	started := sinceBoot()
	if os.Getpid() != 1 {
		fmt.Fprintln(os.Stderr, "vminitd is the init of Skerry's machines and does nothing elsewhere")
		os.Exit(2)
	}
	log.SetPrefix("vminitd: ")
	log.SetFlags(0)
	// Caught and not ignored: what is ignored stays so in the processes of the
	// container (execve(2)).
	signal.Notify(make(chan os.Signal, 1), unix.SIGPIPE)
	err := run(started)
	// An init that ends takes the machine with it; let the host read why.
	log.Print("cannot go on: ", err)
	unix.Sync()
	unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
}

// run serves for as long as the machine is there.
func run(started time.Duration) error {
	agent, err := listen(api.AgentPort)
	if err != nil {
		return err
	}
	forward, err := listen(api.ForwardPort)
	if err != nil {
		return err
	}
	if err := boot.Mount(); err != nil {
		return err
	}
	if err := errors.Join(boot.SetLimits(), boot.Protect()); err != nil {
		return err
	}
	group := sync.OnceValues(cgroup.Setup)
	go group() // until the host has called it is ready
	s := server.New(server.Options{Version: version, Reaper: process.NewReaper(), FirstGroup: group, InitStarted: started, Serving: sinceBoot()})
	g := grpc.NewServer()
	api.RegisterAgentServer(g, s)
	go s.Forward(forward)
	if err := callHost(); err != nil {
		return err
	}
	return g.Serve(agent)
}

// callHost tells the host that the agent serves: what it sends from now on
// waits in the listener's queue.
func callHost() error {
	c, err := vsock.Dial(vsock.Host, api.AgentPort, nil)
	if err != nil {
		return fmt.Errorf("call the host: %w", err)
	}
	return c.Close()
}

// hostListener yields the host's connections only: a process of the container
// could reach a listener over vsock too.
type hostListener struct{ *vsock.Listener }

func listen(port uint32) (net.Listener, error) {
	l, err := vsock.ListenContextID(unix.VMADDR_CID_ANY, port, nil)
	if err != nil {
		return nil, fmt.Errorf("listen on vsock port %d: %w", port, err)
	}
	return hostListener{l}, nil
}

// Accept implements net.Listener.
func (l hostListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if a, ok := c.RemoteAddr().(*vsock.Addr); ok && a.ContextID == vsock.Host {
			return c, nil
		}
		c.Close()
	}
}

// sinceBoot is the time since the kernel started.
func sinceBoot() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return 0
	}
	return time.Duration(t.Nano())
}
