//go:build linux

package agent_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skerry-app/skerry/engine/agent"
	"github.com/skerry-app/skerry/engine/vm"
	"github.com/skerry-app/skerry/engine/vm/qemu"
	"github.com/skerry-app/skerry/guest/api"
)

// callTimeout bounds what a test waits for; a machine without KVM on a busy
// host is slow.
const callTimeout = 60 * time.Second

// idle is a first process that does nothing but collect orphans.
var idle = []string{"sh", "-c", "while :; do sleep 3600; done"}

// guest is a machine and the container in it.
type guest struct {
	machine vm.Machine
	client  *agent.Container
	init    *agent.Process
	scratch string
	execs   atomic.Int64
}

// bootOptions say how a guest differs from the usual one.
type bootOptions struct {
	image     string
	memory    int64 // of the machine, in bytes
	nics      []vm.NIC
	disks     []vm.Disk // besides the usual ones
	shares    []vm.Share
	configure func(*api.ConfigureRequest)
	stdio     agent.Stdio
}

// connect boots a machine and connects to its agent.
func connect(t testing.TB, o bootOptions) *guest {
	t.Helper()
	kernel, init := variable(t, "SKERRY_TEST_KERNEL"), variable(t, "SKERRY_TEST_INIT")
	driver, err := qemu.New(qemu.Options{})
	if err != nil {
		t.Skip(err)
	}
	if o.memory == 0 {
		o.memory = 256 << 20
	}
	g := &guest{scratch: newScratch(t)}
	console := &console{}
	ctx := deadline(t)
	g.machine, err = driver.New(ctx, vm.Config{Name: t.Name(), Kernel: kernel, CPUs: 1, Memory: o.memory, NICs: o.nics, Shares: o.shares, Console: console,
		Cmdline: []string{"root=/dev/vda", "ro", "rootfstype=ext4", "init=/sbin/vminitd"},
		Disks: append([]vm.Disk{{Path: init, ReadOnly: true, Serial: "init"}, {Path: o.image, ReadOnly: true, Serial: "image"},
			{Path: g.scratch, Serial: "scratch"}}, o.disks...)})
	must(t, err)
	t.Cleanup(func() {
		if err := g.machine.Stop(context.Background()); err != nil {
			t.Errorf("stop the machine: %v", err)
		}
		if t.Failed() {
			t.Logf("console:\n%s", console)
		}
	})
	link, err := agent.Listen(g.machine)
	must(t, err)
	must(t, g.machine.Start(ctx))
	client, err := link.Connect(ctx)
	must(t, err)
	g.client = client.Container("islet")
	t.Cleanup(func() { g.client.Close() })
	return g
}

// boot makes a guest whose first process runs.
func boot(t testing.TB, o bootOptions) *guest {
	t.Helper()
	g := connect(t, o)
	r := configuration()
	if o.configure != nil {
		o.configure(r)
	}
	ctx := deadline(t)
	var err error
	g.init, err = g.client.Configure(ctx, r, o.stdio)
	must(t, err)
	must(t, g.init.Start(ctx))
	return g
}

// configuration is what most tests ask of a guest.
func configuration() *api.ConfigureRequest {
	return &api.ConfigureRequest{Time: timestamppb.Now(), Container: &api.Container{Root: &api.Root{ImageDisk: "image", ScratchDisk: "scratch"},
		Names: &api.Names{Hostname: "islet"}, Process: &api.Process{Args: idle}}}
}

// result is what became of a process.
type result struct {
	agent.Exit
	out, err string
}

// shell runs a command of the container's shell as root.
func (g *guest) shell(t testing.TB, command string) result {
	t.Helper()
	return g.run(t, &api.Process{Args: []string{"sh", "-c", command}}, nil)
}

// run runs a process to its end.
func (g *guest) run(t testing.TB, p *api.Process, stdin io.Reader) result {
	t.Helper()
	ctx := deadline(t)
	running := g.start(t, p, agent.Stdio{Stdin: stdin != nil, Stdout: true, Stderr: !p.Terminal})
	var out, errs bytes.Buffer
	var g1 sync.WaitGroup
	g1.Go(func() { io.Copy(&out, running.Stdout) })
	if running.Stderr != nil {
		g1.Go(func() { io.Copy(&errs, running.Stderr) })
	}
	if stdin != nil {
		g1.Go(func() {
			io.Copy(running.Stdin, stdin)
			running.Stdin.CloseWrite()
		})
	}
	exit, err := running.Wait(ctx)
	must(t, err)
	g1.Wait()
	return result{exit, out.String(), errs.String()}
}

// start starts a further process. It is deleted at the end of the test.
func (g *guest) start(t testing.TB, p *api.Process, s agent.Stdio) *agent.Process {
	t.Helper()
	made := g.create(t, p, s)
	must(t, made.Start(deadline(t)))
	return made
}

// create prepares a further process.
func (g *guest) create(t testing.TB, p *api.Process, s agent.Stdio) *agent.Process {
	t.Helper()
	p.Id = fmt.Sprint("exec", g.execs.Add(1))
	made, err := g.client.CreateProcess(deadline(t), p, s)
	must(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
		defer cancel()
		made.Close()
		if made.Signal(ctx, 9, false) == nil {
			made.Wait(ctx)
		}
		if err := made.Delete(ctx); err != nil && g.ended() == "" {
			t.Errorf("delete process: %v", err)
		}
	})
	return made
}

// refused starts a process that cannot be started and returns why.
func (g *guest) refused(t testing.TB, p *api.Process) *agent.StartError {
	t.Helper()
	made := g.create(t, p, agent.Stdio{Stdout: true})
	err := made.Start(deadline(t))
	var se *agent.StartError
	if !errors.As(err, &se) {
		t.Fatalf("start gave %v, want a StartError", err)
	}
	return se
}

// shutDown ends the container and wants its disk left clean.
func (g *guest) shutDown(t testing.TB) {
	t.Helper()
	ctx := deadline(t)
	must(t, g.client.Shutdown(ctx))
	must(t, g.machine.Stop(ctx))
	wantClean(t, g.scratch)
}

// want compares what a command wrote, without the last line's end.
func (g *guest) want(t testing.TB, command, want string) {
	t.Helper()
	r := g.shell(t, command)
	if got := strings.TrimSuffix(r.out, "\n"); got != want || r.Code != 0 {
		t.Errorf("%s: got %q, status %d, stderr %q; want %q", command, got, r.Code, r.err, want)
	}
}

func deadline(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), callTimeout)
	t.Cleanup(cancel)
	return ctx
}

func variable(t testing.TB, name string) string {
	t.Helper()
	v := os.Getenv(name)
	if v == "" {
		t.Skipf("%s is not set: run make test", name)
	}
	return v
}

// console keeps what a machine prints.
type console struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.Write(p)
}

func (c *console) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.String()
}
