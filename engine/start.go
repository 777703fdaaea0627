package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/containerd/errdefs"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skerry-app/skerry/engine/agent"
	"github.com/skerry-app/skerry/engine/logfile"
	"github.com/skerry-app/skerry/engine/network"
	"github.com/skerry-app/skerry/engine/vm"
	"github.com/skerry-app/skerry/guest/api"
	"github.com/skerry-app/skerry/guest/api/reason"
)

// Disks by their serial, the same for every machine.
const (
	diskInit    = "init"
	diskImage   = "image"
	diskScratch = "scratch"
	diskSwap    = "swap"
)

// machineOverhead is the memory a machine has beyond its container's limit, for
// the kernel and vminitd, so that a container at its limit does not take
// them down.
const machineOverhead = 96 << 20

// cmdline holds the kernel parameters that do not depend on the hypervisor.
var cmdline = []string{"root=/dev/vda", "ro", "rootfstype=ext4", "init=/sbin/vminitd"}

// StartError says that a container's process could not be started.
type StartError struct {
	Code int // 127: not found, 126: not executable, 125: anything else
	Err  error
}

func (e *StartError) Error() string { return e.Err.Error() }
func (e *StartError) Unwrap() error { return e.Err }

// Start boots the container's machine and starts its process. A container that
// runs already gives errdefs.ErrNotModified, a process that cannot be started
// a *StartError. When it fails nothing runs and the container keeps the error.
func (c *Container) Start(ctx context.Context) error {
	unlock, err := c.lockOp(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	return c.start(ctx)
}

// start is Start with the operation lock held.
func (c *Container) start(ctx context.Context) error {
	if err := c.settle(ctx); err != nil {
		return err
	}
	switch s := c.Snapshot().State.Status; {
	case c.isRemoved():
		return errdefs.ErrNotFound.WithMessage("No such container: " + c.id)
	case s.alive():
		return errdefs.ErrNotModified.WithMessage(fmt.Sprintf("container %s is %s already", c.name(), s))
	case c.engine.closing():
		return errdefs.ErrUnavailable.WithMessage("the app is stopping")
	}
	r := newRun(c)
	c.setRun(r)
	c.hub.log.Begin()
	err := r.start(ctx)
	if err == nil {
		c.began(r)
		go r.supervise()
		return nil
	}
	r.release(false)
	c.failed(r, err)
	return err
}

// settle waits until the machine of an ended run is gone.
func (c *Container) settle(ctx context.Context) error {
	return c.until(ctx, func() bool { return c.run == nil || c.rec.State.Status.alive() })
}

func (r *run) start(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, bootTimeout, errors.New("the container did not start in "+bootTimeout.String()))
	defer cancel()
	defer context.AfterFunc(r.ctx, cancel)() // an abort ends the start
	defer func() {
		if cause := context.Cause(r.ctx); err != nil && cause != nil {
			err = fmt.Errorf("start container %s: %w", r.c.name(), cause)
		}
	}()
	config, err := r.prepare(ctx)
	if err != nil {
		return err
	}
	r.clock.lap("prepare")
	if err := r.boot(ctx, config); err != nil {
		return fmt.Errorf("start container %s: %w", r.c.name(), err)
	}
	return r.launch(ctx)
}

// prepare gets the disks and the place on the network, side by side.
func (r *run) prepare(ctx context.Context) (vm.Config, error) {
	c, e := r.c, r.c.engine
	spec := c.rec.Spec
	var err error
	if r.volumes, err = e.volumes.use(c.name(), spec.Mounts); err == nil {
		r.sources, err = e.sources(spec.Mounts)
	}
	if err == nil {
		err = r.translate()
	}
	if err != nil {
		return vm.Config{}, fmt.Errorf("start container %s: %w", c.name(), err)
	}
	var root string
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		root, err = e.disks.Image(gctx, c.rec.ImageID)
		return err
	})
	g.Go(func() error { return e.disks.Scratch(e.home.scratch(c.id)) })
	if !r.filesOnly {
		g.Go(func() error { return r.attach(gctx) })
		g.Go(func() error { return r.publish(gctx, spec.Ports) })
	}
	g.Go(r.makeSwap)
	if err := g.Wait(); err != nil {
		return vm.Config{}, fmt.Errorf("start container %s: %w", c.name(), err)
	}
	config := vm.Config{
		Name:    c.id,
		Kernel:  e.options.Kernel,
		Cmdline: cmdline,
		CPUs:    spec.machineCPUs(),
		Memory:  (spec.Memory + machineOverhead + (1<<20 - 1)) &^ (1<<20 - 1),
		Disks: append([]vm.Disk{
			{Path: e.options.InitImage, ReadOnly: true, Serial: diskInit},
			{Path: root, ReadOnly: true, Serial: diskImage},
			{Path: e.home.scratch(c.id), Serial: diskScratch},
		}, r.sources.disks...),
		Shares:  r.sources.shares,
		Rosetta: r.sources.rosetta,
		NICs:    r.nics(),
		Console: e.console(c.id),
	}
	if spec.swapBytes() > 0 {
		config.Disks = append(config.Disks, vm.Disk{Path: e.home.swap(c.id), Serial: diskSwap})
	}
	return config, nil
}

// translate gets what runs the image's programs where the machine does not.
func (r *run) translate() error {
	t, err := r.c.engine.translator(r.c.rec.Arch)
	if err != nil {
		return err
	}
	return r.sources.addTranslator(t)
}

// attach gets the place on the network.
func (r *run) attach(ctx context.Context) error {
	n, err := r.c.engine.networks.Network(networkName(r.c.rec.Spec))
	if err != nil {
		return err
	}
	r.host = n.Host()
	r.endpoint, err = n.Attach(ctx, network.EndpointOptions{Name: r.c.name(), Aliases: r.aliases()})
	return err
}

func (r *run) nics() []vm.NIC {
	if r.endpoint == nil {
		return nil
	}
	return []vm.NIC{{MAC: r.endpoint.MAC, MTU: r.endpoint.MTU, File: r.endpoint.File}}
}

// boot starts the machine and waits for its agent.
func (r *run) boot(ctx context.Context, config vm.Config) (err error) {
	if r.machine, err = r.c.engine.options.Driver.New(ctx, config); err != nil {
		return err
	}
	if r.endpoint != nil {
		r.endpoint.File.Close() // the machine has its own
	}
	if r.link, err = agent.Listen(r.machine); err != nil {
		return err
	}
	if err := r.machine.Start(ctx); err != nil {
		return err
	}
	r.clock.lap("machine")
	if r.client, err = r.link.Connect(ctx); err != nil {
		return err
	}
	close(r.ready)
	r.clock.lap("kernel")
	r.clock.split("agent", r.client.StartUp())
	return nil
}

// launch configures the guest and starts the process.
func (r *run) launch(ctx context.Context) (err error) {
	stdio := agent.Stdio{Stdin: r.c.rec.Spec.OpenStdin, Stdout: true, Stderr: !r.c.rec.Spec.TTY}
	config, err := r.configuration()
	if err != nil {
		return r.startError(err)
	}
	if r.process, err = r.client.Configure(ctx, config, stdio); err != nil {
		return r.startError(err)
	}
	r.clock.lap("configure")
	hub := r.c.hub
	r.outputs.pump(r.process.Stdout, func(p []byte) { hub.write(logfile.Stdout, p) })
	r.outputs.pump(r.process.Stderr, func(p []byte) { hub.write(logfile.Stderr, p) })
	if err := r.process.Start(ctx); err != nil {
		return r.startError(err)
	}
	r.clock.lap("process")
	return nil
}

// startError gives a failure of the guest its exit status.
func (r *run) startError(err error) error {
	code := exitSkerry
	var se *agent.StartError
	if errors.As(err, &se) {
		switch se.Reason {
		case reason.NotFound:
			code = 127
		case reason.NotExecutable:
			code = 126
		}
	}
	return &StartError{code, fmt.Errorf("start container %s: %w", r.c.name(), err)}
}

// configuration is what the guest is told.
func (r *run) configuration() (*api.ConfigureRequest, error) {
	c := r.c
	spec, p := c.rec.Spec, c.rec.Process
	req := &api.ConfigureRequest{
		Time:      timestamppb.Now(),
		Root:      &api.Root{ImageDisk: diskImage, ScratchDisk: diskScratch, ReadOnly: spec.ReadOnly},
		Names:     r.names(),
		Sysctls:   spec.Sysctls,
		Resources: spec.resources(),
		Process: &api.Process{Args: p.Args, Env: p.Env, Cwd: p.WorkingDir, User: p.User, Groups: spec.Groups,
			Terminal: spec.TTY, Init: spec.Init},
		MaskedPaths: paths(spec.MaskedPaths), ReadOnlyPaths: paths(spec.ReadOnlyPaths),
		ShmBytes: spec.ShmSize, DeviceRules: spec.DeviceRules,
	}
	if r.endpoint != nil {
		req.Interfaces = []*api.Interface{{Name: "eth0", Addresses: []string{r.endpoint.Address.String()},
			Gateway: r.endpoint.Gateway.String(), Mtu: uint32(r.endpoint.MTU)}}
	}
	req.Translators = r.sources.translators
	if len(r.sources.shares) > 0 {
		req.ShareTag = vm.ShareTag
	}
	if spec.swapBytes() > 0 {
		req.SwapDisk = diskSwap
	}
	var err error
	if req.Devices, err = spec.devices(); err != nil {
		return nil, err
	}
	if req.Mounts, err = spec.tmpfsMounts(); err != nil {
		return nil, err
	}
	req.Mounts = append(req.Mounts, r.sources.mounts...)
	return req, spec.restrict(req.Process, spec.Privileged)
}

// paths keeps the difference between none and the usual ones.
func paths(list []string) *api.Paths {
	if list == nil {
		return nil
	}
	return &api.Paths{Paths: list}
}

func networkName(s Spec) string {
	if s.Network == "" {
		return DefaultNetwork
	}
	return s.Network
}

// began marks the container as running.
func (c *Container) began(r *run) {
	c.update(func(rec *record) {
		rec.State = State{Status: StatusRunning, StartedAt: time.Now(), FinishedAt: rec.State.FinishedAt, Phases: r.clock.laps()}
		close(r.live)
	})
	c.event("start", nil)
}

// failed keeps why a start failed.
func (c *Container) failed(r *run, err error) {
	exit := Exit{Code: exitSkerry, Error: err.Error(), At: time.Now()}
	var se *StartError
	if errors.As(err, &se) {
		exit.Code = se.Code
	}
	c.finish(r, exit)
}

// finish records the end of a run, started or not, and lets go of it.
func (c *Container) finish(r *run, exit Exit) {
	if err := c.hub.log.End(); err != nil {
		r.log.Warn("close container log", "error", err)
	}
	c.hub.end()
	c.update(func(rec *record) {
		rec.State.Status = StatusExited
		rec.State.ExitCode, rec.State.OOMKilled, rec.State.Error = exit.Code, exit.OOMKilled, exit.Error
		rec.State.FinishedAt, rec.State.Pid, rec.State.Phases = exit.At, 0, r.clock.laps()
		c.run, c.exit = nil, exit
		c.ended++
	})
	close(r.over)
	c.event("die", map[string]string{"exitCode": fmt.Sprint(exit.Code), "phases": formatPhases(r.clock.laps())})
	if !c.autoRemove() {
		return
	}
	// A start that failed holds the operation lock; the removal waits for it.
	go func() {
		unlock, err := c.lockOp(context.Background())
		if err != nil {
			return
		}
		defer unlock()
		if c.Snapshot().State.Status.alive() {
			return // it was started again meanwhile
		}
		if err := c.remove(true); err != nil && !errdefs.IsNotFound(err) {
			r.log.Error("remove container after its end", "error", err)
		}
	}()
}

func (c *Container) autoRemove() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rec.Spec.AutoRemove
}

func (c *Container) isRemoved() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.removed
}

func (c *Container) setRun(r *run) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.run = r
}
