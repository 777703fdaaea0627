// Package engine runs containers, each in a virtual machine of its own. It is
// a library: no HTTP, no project files and no tray, which package app puts
// around it.
//
// An Engine owns a state directory. A Container's machine has three disks (the
// init image, the container's image and its own scratch disk), a network
// interface on an in-process network, and a vsock device over which package
// agent talks to vminitd inside.
package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"golang.org/x/sync/errgroup"

	"github.com/skerry-app/skerry/engine/image"
	"github.com/skerry-app/skerry/engine/network"
	"github.com/skerry-app/skerry/engine/vm"
	"github.com/skerry-app/skerry/registry"
)

// Options is what an Engine needs.
type Options struct {
	Home      string // state directory, SKERRY_HOME
	Kernel    string // path of the guest kernel
	InitImage string // path of the disk image with vminitd
	Driver    vm.Driver
	Arch      string // of the machines, as in GOARCH; empty: the host's
	Defaults  Defaults
	Mirrors   map[string][]string // of registries, asked before them: host[:port][/path]
	// Translators is a directory with emulators for other processors' programs,
	// "qemu-x86_64" and the like; empty: those in PATH have to do.
	Translators string
	// RosettaCache has Rosetta keep its translations for as long as a machine runs.
	RosettaCache bool
	Subnets      []netip.Prefix // that networks take a /24 of; empty: the network's usual ones
	Log          *slog.Logger
	Version      string
}

// Defaults are what containers get that ask for nothing else. Zero values are
// DefaultCPUs, DefaultMemory and 16 GiB.
type Defaults struct {
	CPUs     float64
	Memory   int64 // bytes
	DiskSize int64 // bytes
}

// Engine runs containers. Its methods may be called from any goroutine.
type Engine struct {
	options  Options
	log      *slog.Logger
	home     home
	lock     *lock
	images   *registry.Store
	disks    *image.Cache
	volumes  volumes
	networks *network.Manager
	// publisher serves the containers' ports on the host.
	publisher *network.Publisher
	bus       bus
	pulls     pulls
	pods      pods
	filters   filters
	sleepers  sleepers

	// life ends when Close is called.
	life    context.Context
	endLife context.CancelFunc

	mu         sync.Mutex // never held while waiting for a container
	containers map[string]*Container
	execs      map[string]*Exec
}

// Open takes a state directory into use: it locks it (an error says who has
// it), loads the containers and clears up what a crash has left. Containers
// that ran then show as exited; those to be removed at their end are removed.
func Open(ctx context.Context, o Options) (*Engine, error) {
	for _, need := range []struct{ what, path string }{{"kernel", o.Kernel}, {"init image", o.InitImage}} {
		if _, err := os.Stat(need.path); err != nil {
			return nil, fmt.Errorf("%s for the machines: %w (make builds it)", need.what, err)
		}
	}
	e := &Engine{options: o, log: o.Log, home: home(o.Home), containers: map[string]*Container{}, execs: map[string]*Exec{}}
	e.pods.machines = map[podKey]*machine{}
	e.life, e.endLife = context.WithCancel(context.WithoutCancel(ctx))
	if err := e.home.make(); err != nil {
		return nil, err
	}
	var err error
	if e.lock, err = lockHome(o.Home); err != nil {
		return nil, err
	}
	if err := e.open(ctx); err != nil {
		return nil, errors.Join(err, e.lock.release())
	}
	return e, nil
}

func (e *Engine) open(ctx context.Context) (err error) {
	if e.images, err = registry.Open(e.home.images(), registry.Options{Mirrors: e.options.Mirrors, Log: e.log}); err != nil {
		return err
	}
	if e.disks, err = image.Open(e.home.disks(), e.images); err != nil {
		return err
	}
	e.volumes.home, e.volumes.disks = e.home, e.disks
	if err := e.volumes.open(); err != nil {
		return err
	}
	if e.networks, err = network.NewManager(network.Options{Pool: e.options.Subnets, Log: e.log}); err != nil {
		return err
	}
	e.publisher = network.NewPublisher(e.log)
	if err := e.load(); err != nil {
		return err
	}
	go e.keepTime()
	return nil
}

// load reads the containers that a former process has left.
func (e *Engine) load() error {
	entries, err := os.ReadDir(e.home.containers())
	if err != nil {
		return fmt.Errorf("load containers: %w", err)
	}
	var removals []*Container
	all := true
	for _, entry := range entries {
		id := entry.Name()
		if strings.HasPrefix(id, prefixNew) || strings.HasPrefix(id, prefixGone) {
			if err := os.RemoveAll(e.home.container(id)); err != nil {
				e.log.Error("remove what is left of a container", "id", id, "error", err)
			}
			continue
		}
		rec, err := e.loadRecord(id)
		if err != nil {
			// Never delete what cannot be read: it may be somebody's data.
			e.log.Error("a container cannot be loaded and is left alone", "path", e.home.container(id), "error", err)
			all = false
			continue
		}
		c := newContainer(e, rec)
		e.containers[id] = c
		if rec.State.Status != StatusCreated && rec.Spec.AutoRemove {
			removals = append(removals, c)
		}
	}
	for _, c := range removals {
		if err := c.remove(true); err != nil {
			e.log.Error("remove container after a crash", "container", c.name(), "error", err)
		}
	}
	if !all { // one that cannot be read may need a disk
		return nil
	}
	return e.forgetDisks()
}

// forgetDisks deletes the disks of images that a crash has kept from being
// recorded.
func (e *Engine) forgetDisks() error {
	ids, err := e.disks.IDs()
	if err != nil {
		return err
	}
	for _, id := range ids {
		e.forgetDisk(id)
	}
	return nil
}

func (e *Engine) loadRecord(id string) (rec record, err error) {
	data, err := os.ReadFile(e.home.record(id))
	if err != nil {
		return rec, err
	}
	if err := json.Unmarshal(data, &rec); err != nil {
		return rec, fmt.Errorf("%s: %w", e.home.record(id), err)
	}
	if rec.Version != recordVersion || rec.ID != id || len(rec.Process.Args) == 0 {
		return rec, fmt.Errorf("%s: version %d of container %q is not one that this Skerry knows", e.home.record(id), rec.Version, rec.ID)
	}
	if rec.State.Status == StatusRestarting {
		rec.State.Status = StatusExited
	}
	if rec.State.Status.Alive() || rec.State.Status == StatusRemoving {
		rec.State.Status, rec.State.Pid = StatusExited, 0
		rec.State.ExitCode, rec.State.Error = exitSkerry, "the app ended while the container was running"
		rec.State.FinishedAt = time.Now()
		data, err := json.MarshalIndent(rec, "", "\t")
		if err != nil {
			return rec, err
		}
		return rec, writeFile(e.home.record(id), data)
	}
	return rec, nil
}

// Close stops all containers, each within its grace period and all within
// ctx, and gives everything back. Containers to be removed at their end are.
func (e *Engine) Close(ctx context.Context) error {
	e.endLife()
	var g errgroup.Group
	for _, c := range e.Containers() {
		g.Go(func() error { return c.shut(ctx) })
	}
	return errors.Join(g.Wait(), e.networks.Close(), e.lock.release())
}

// shut ends a container for now, by force when ctx ends. It stays wanted.
func (c *Container) shut(ctx context.Context) error {
	c.abort(errors.New("the app is stopping"))
	err := c.halt(ctx)
	if err != nil && ctx.Err() != nil {
		kctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), killTimeout+powerTimeout)
		defer cancel()
		err = c.kill(kctx)
	}
	if err != nil && !errdefs.IsNotModified(err) {
		return fmt.Errorf("stop container %s: %w", c.name(), err)
	}
	if c.autoRemove() && c.Snapshot().State.Status == StatusExited {
		unlock, err := c.lockOp(context.WithoutCancel(ctx))
		if err != nil {
			return err
		}
		defer unlock()
		if err := c.remove(true); err != nil && !errdefs.IsNotFound(err) {
			return err
		}
	}
	return nil
}

// halt stops the container as whoever wants it up would not.
func (c *Container) halt(ctx context.Context) error {
	unlock, err := c.lockOp(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	return c.stop(ctx, c.rec.Process.StopSignal, nil)
}

func (e *Engine) closing() bool {
	return e.life.Err() != nil
}

// minPrefix is the least number of digits of an ID that stand for it.
const minPrefix = 1

// Container finds a container by ID, name or unique beginning of its ID. None
// gives errdefs.ErrNotFound, several errdefs.ErrInvalidArgument.
func (e *Engine) Container(nameOrID string) (*Container, error) {
	key := strings.TrimPrefix(nameOrID, "/")
	e.mu.Lock()
	defer e.mu.Unlock()
	if c := e.containers[key]; c != nil {
		return c, nil
	}
	var found []*Container
	for id, c := range e.containers {
		if c.name() == key {
			return c, nil
		}
		if len(key) >= minPrefix && strings.HasPrefix(id, key) {
			found = append(found, c)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return nil, errdefs.ErrNotFound.WithMessage("No such container: " + nameOrID)
	default:
		return nil, errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("%d containers have an ID that begins with %q: give more digits", len(found), key))
	}
}

// Containers lists all containers, the newest first.
func (e *Engine) Containers() []*Container {
	e.mu.Lock()
	defer e.mu.Unlock()
	list := make([]*Container, 0, len(e.containers))
	for _, c := range e.containers {
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b *Container) int { return b.rec.Created.Compare(a.rec.Created) })
	return list
}

// Exec finds an exec by its ID.
func (e *Engine) Exec(id string) (*Exec, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if x := e.execs[id]; x != nil {
		return x, nil
	}
	return nil, errdefs.ErrNotFound.WithMessage("No such exec instance: " + id)
}

func (e *Engine) addExec(x *Exec) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.execs[x.id] = x
}

func (e *Engine) forgetExec(id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.execs, id)
}

// Info tells what the engine is and has.
func (e *Engine) Info() Info {
	info := Info{Home: e.options.Home, Driver: e.options.Driver.Name(), Kernel: e.options.Kernel, Version: e.options.Version,
		CPUs: runtime.NumCPU(), Memory: hostMemory(), Containers: map[Status]int{}}
	for _, c := range e.Containers() {
		info.Containers[c.Snapshot().State.Status]++
	}
	if images, err := e.images.Images(); err == nil {
		info.Images = len(images)
	}
	return info
}

// Check examines what the engine needs of this host.
func (e *Engine) Check(ctx context.Context) []vm.Finding {
	findings := e.options.Driver.Check(ctx)
	for _, f := range []struct{ subject, path string }{{"kernel", e.options.Kernel}, {"init image", e.options.InitImage}} {
		_, err := os.Stat(f.path)
		finding := vm.Finding{OK: err == nil, Subject: f.subject, Detail: f.path}
		if errors.Is(err, fs.ErrNotExist) {
			finding.Fix = "build it with make"
		} else if err != nil {
			finding.Detail, finding.Fix = err.Error(), "make it readable"
		}
		findings = append(findings, finding)
	}
	return findings
}
