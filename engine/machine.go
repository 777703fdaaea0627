package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"slices"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skerry-app/skerry/engine/agent"
	"github.com/skerry-app/skerry/engine/network"
	"github.com/skerry-app/skerry/engine/vm"
	"github.com/skerry-app/skerry/guest/api"
)

// diskInit is the serial of the disk that machines boot from.
const diskInit = "init"

// Serials of the other disks: what tells them apart, cut to what a serial holds.
func imageSerial(id digest.Digest) string { return "image-" + id.Encoded()[:shortID] }
func scratchSerial(id string) string      { return "scratch-" + id[:shortID] }
func swapSerial(id string) string         { return "swap-" + id[:shortID] }

// machineOverhead is the memory a machine has beyond its containers' limits, for
// the kernel and vminitd, so that containers at their limit do not take them
// down.
const machineOverhead = 96 << 20

// cmdline holds the kernel parameters that do not depend on the hypervisor.
var cmdline = []string{"root=/dev/vda", "ro", "rootfstype=ext4", "init=/sbin/vminitd", "dummy.numdummies=0"}

// noKVM keeps the kernel of x86_64 from looking for the processor's virtualization,
// and from saying on the console that there is none. It has none unless that was
// asked for.
const noKVM = "initcall_blacklist=vmx_init,svm_init"

// machine is a virtual machine with its agent, from its being made to nothing of
// it being left: a container's own, or one that the containers of a pod share.
type machine struct {
	engine    *Engine
	log       *slog.Logger
	name      string
	pod       *podKey        // nil: one container's own
	members   []*Container   // whose disks it has
	connected bool           // to a network of the engine's
	hosted    vm.HostNetwork // or of the hypervisor's

	sources  sources
	volumes  func() // lets go of volumes; nil without
	endpoint *network.Endpoint
	host     netip.Addr // stands for the host on the network
	vm       vm.Machine
	link     *agent.Link
	client   *agent.Client

	users int           // runs in it; the pods' lock is held
	up    chan struct{} // closed when it has booted, or err is set
	err   error
	gone  chan struct{} // closed when nothing is left
}

func (e *Engine) newMachine(c *Container, members []*Container) *machine {
	return &machine{engine: e, log: e.log.With("machine", c.name()), name: c.id, members: members, connected: OwnsNetwork(c.rec.Spec.Network), hosted: hostNetwork(c.rec.Spec),
		users: 1, up: make(chan struct{}), gone: make(chan struct{})}
}

// prepare gets the disks and the place on the network, side by side.
func (m *machine) prepare(ctx context.Context) (vm.Config, error) {
	e := m.engine
	var mounts []Mount
	for _, c := range m.members {
		mounts = append(mounts, c.mounts()...)
	}
	var err error
	if m.volumes, err = e.volumes.use(m.members[0].name(), mounts); err != nil {
		return vm.Config{}, err
	}
	if m.sources, err = e.sources(m.members); err != nil {
		return vm.Config{}, err
	}
	images := map[digest.Digest]*vm.Disk{}
	disks := []vm.Disk{{Path: e.options.InitImage, ReadOnly: true, Serial: diskInit}}
	g, gctx := errgroup.WithContext(ctx)
	for _, c := range m.members {
		if id := c.rec.ImageID; images[id] == nil {
			images[id] = &vm.Disk{ReadOnly: true, Serial: imageSerial(id)}
			g.Go(func() (err error) {
				images[id].Path, err = e.disks.Image(gctx, id)
				return err
			})
		}
		g.Go(func() error { return e.disks.Scratch(e.home.scratch(c.id), c.rec.Spec.DiskSize) })
		g.Go(c.makeSwap)
	}
	if m.connected {
		g.Go(func() error { return m.attach(gctx) })
	}
	if err := g.Wait(); err != nil {
		return vm.Config{}, err
	}
	for _, c := range m.members {
		if image := images[c.rec.ImageID]; image != nil {
			disks = append(disks, *image)
			delete(images, c.rec.ImageID)
		}
		disks = append(disks, vm.Disk{Path: e.home.scratch(c.id), Serial: scratchSerial(c.id)})
	}
	disks = append(disks, m.sources.disks...)
	for _, c := range m.members {
		if c.rec.Spec.swapBytes() > 0 {
			disks = append(disks, vm.Disk{Path: e.home.swap(c.id), Serial: swapSerial(c.id)})
		}
	}
	kernel, err := m.kernel()
	if err != nil {
		return vm.Config{}, err
	}
	parameters := cmdline
	if e.arch() == "amd64" && !m.nested() {
		parameters = append(slices.Clip(parameters), noKVM)
	}
	cpus, memory := m.size()
	return vm.Config{Name: m.name, Kernel: kernel, Cmdline: parameters, CPUs: cpus, Memory: memory, Disks: disks,
		Shares: m.sources.shares, Rosetta: m.sources.rosetta, RosettaCache: m.sources.cacheSocket, Nested: m.nested(), NICs: m.nics(), Console: e.console(m.name)}, nil
}

// kernel is the one that the members ask for; they share a machine and so have
// to ask for the same.
func (m *machine) kernel() (string, error) {
	first := m.members[0]
	for _, c := range m.members[1:] {
		if c.rec.Spec.Kernel != first.rec.Spec.Kernel {
			return "", errdefs.ErrConflict.WithMessage(fmt.Sprintf("containers %s and %s share the machine of pod %s and ask for different kernels", first.name(), c.name(), m.pod.name))
		}
	}
	return cmp.Or(first.rec.Spec.Kernel, m.engine.options.Kernel), nil
}

// nested tells whether a member is to run machines.
func (m *machine) nested() bool {
	return slices.ContainsFunc(m.members, func(c *Container) bool { return c.rec.Spec.Virtualization })
}

// size is what the members ask for together: all their memory, and all their
// CPUs as far as the host has them and they run side by side.
func (m *machine) size() (cpus int, memory int64) {
	memory = machineOverhead
	most := 0
	for _, c := range m.members {
		spec := &c.rec.Spec
		memory += spec.Memory
		cpus += spec.machineCPUs()
		most = max(most, spec.machineCPUs())
	}
	if !m.engine.options.Driver.Parallel() {
		cpus = most
	}
	const mebibyte = 1 << 20
	if m.sources.cacheSocket != "" {
		memory += translationsSize
	}
	return max(min(cpus, runtime.NumCPU()), most), (memory + mebibyte - 1) &^ (mebibyte - 1)
}

// attach gets the place on the network.
func (m *machine) attach(ctx context.Context) error {
	n, err := m.engine.networks.Network(networkName(m.members[0].rec.Spec))
	if err != nil {
		return err
	}
	m.host = n.Host()
	first, aliases := m.members[0], m.members[0].aliases()
	for _, c := range m.members[1:] {
		aliases = append(append(aliases, c.name()), c.aliases()...)
	}
	m.endpoint, err = n.Attach(ctx, network.EndpointOptions{Name: first.name(), Aliases: aliases})
	return err
}

func (m *machine) nics() []vm.NIC {
	switch {
	case m.endpoint != nil:
		return []vm.NIC{{MAC: m.endpoint.MAC, MTU: m.endpoint.MTU, File: m.endpoint.File}}
	case m.hosted != "":
		return []vm.NIC{{MAC: m.hostedMAC(), Host: m.hosted}}
	}
	return nil
}

// boot starts the machine and waits for its agent.
func (m *machine) boot(ctx context.Context, config vm.Config, clock *stopwatch) (err error) {
	if m.vm, err = m.engine.options.Driver.New(ctx, config); err != nil {
		return err
	}
	if m.endpoint != nil {
		m.endpoint.File.Close() // the machine has its own
	}
	if m.link, err = agent.Listen(m.vm); err != nil {
		return err
	}
	if err := m.vm.Start(ctx); err != nil {
		return err
	}
	clock.lap("machine")
	if m.client, err = m.link.Connect(ctx); err != nil {
		return err
	}
	clock.lap("kernel")
	clock.split("agent", m.client.StartUp())
	return nil
}

// configuration is what the guest is told of the machine.
func (m *machine) configuration() *api.ConfigureRequest {
	r := &api.ConfigureRequest{Time: timestamppb.Now(), Translators: m.sources.translators}
	if m.hosted != "" {
		r.Interfaces = []*api.Interface{{Name: "eth0", Dhcp: true}}
	}
	if m.endpoint != nil {
		r.Interfaces = []*api.Interface{{Name: "eth0", Addresses: []string{m.endpoint.Address.String()},
			Gateways: []string{m.endpoint.Gateway.String()}, Mtu: uint32(m.endpoint.MTU)}}
	}
	if len(m.sources.shares) > 0 {
		r.ShareTag = vm.ShareTag
	}
	for _, c := range m.members {
		if c.rec.Spec.swapBytes() > 0 {
			r.SwapDisks = append(r.SwapDisks, swapSerial(c.id))
		}
	}
	return r
}

// release gives back all that the machine has, in any state of its start. When
// flush is set the guest writes its disks out before the plug is pulled.
func (m *machine) release(flush bool) {
	if m.client != nil {
		if flush {
			ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
			if err := m.client.Shutdown(ctx); err != nil {
				m.log.Warn("the guest did not shut down; what it wrote last may be lost", "error", err)
			}
			cancel()
		}
		m.client.Close()
	}
	m.pullPlug()
	for _, c := range m.members {
		c.removeSwap()
	}
	if m.link != nil {
		m.link.Close()
	}
	if m.volumes != nil {
		m.volumes()
	}
	if m.endpoint != nil {
		m.endpoint.Close()
	}
}

// pullPlug ends the machine at once.
func (m *machine) pullPlug() {
	if m.vm == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), powerTimeout)
	defer cancel()
	if err := m.vm.Stop(ctx); err != nil {
		m.log.Error("the machine is still there", "error", err)
	}
}

// ended tells whether the machine has ended by itself, and why.
func (m *machine) ended() (bool, error) {
	if !m.over() {
		return false, nil
	}
	err := m.vm.Err()
	if err == nil {
		err = errors.New("it was powered off from inside")
	}
	return true, fmt.Errorf("the container's machine ended: %w", err)
}

// over tells whether it has.
func (m *machine) over() bool {
	select {
	case <-m.vm.Done():
		return true
	default:
		return false
	}
}
