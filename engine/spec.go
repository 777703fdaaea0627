package engine

import (
	"net/netip"
	"time"

	"github.com/skerry-app/skerry/engine/vm"
)

// Spec is what a container is made from. It does not change once the
// container exists.
type Spec struct {
	Name  string // empty: one is made up
	Image string // name, name@digest or image ID, as the user wrote it

	// What runs. Nil takes the image's; an empty non-nil slice clears it.
	Entrypoint []string
	Command    []string
	Env        []string // KEY=value over the image's; KEY alone removes the image's
	WorkingDir string
	User       string // name|uid[:group|gid]
	Hostname   string // empty: the first 12 digits of the ID

	TTY       bool
	OpenStdin bool // keep stdin open for attached clients; else /dev/null
	StdinOnce bool // close stdin when the first client that had it detaches

	CPUs     float64 // 0: DefaultCPUs
	Memory   int64   // bytes, at least MinMemory; 0: DefaultMemory
	DiskSize int64   // of what the container itself writes, bytes, at least MinDiskSize; 0: 16 GiB

	Kernel         string // path of a kernel for its machine; empty: the engine's
	Virtualization bool   // its machine can run machines of its own: there is /dev/kvm

	// Pod is the name of a pod: its containers on a network share one machine.
	// Empty: a machine of its own.
	Pod       string
	SharePIDs bool // with those containers of the pod that say so, too

	Network    string   // network name, NoNetwork, NATNetwork or VmnetNetwork; empty: DefaultNetwork
	Aliases    []string // further names on that network
	ExtraHosts []string // "name:address" lines for /etc/hosts
	Ports      []Port

	Mounts   []Mount
	Sockets  []Socket
	SSHAgent string // socket of the host's SSH agent, for the container's processes; empty: none

	Health *HealthCheck // nil: the image's; with the test NONE: none

	Restart    RestartPolicy `json:",omitzero"`
	Foreground bool          // belongs to the client that starts it: it is not up again once the app was gone

	Labels      map[string]string
	AutoRemove  bool
	Privileged  bool   // inside its own machine only
	ReadOnly    bool   // root file system
	StopSignal  string // empty: the image's, else SIGTERM
	StopTimeout *time.Duration
	Platform    string // "linux/arm64"; empty: the host's

	Domainname string
	DNS        []netip.Addr // empty: the network's name server
	DNSSearch  []string
	DNSOptions []string

	// What processes may do.
	Groups          []string // further groups of the user, by name or number
	CapAdd, CapDrop []string // over Docker's fourteen: names, or ALL
	NoNewPrivileges bool
	Seccomp         string // empty: Docker's profile; Unconfined; else a profile's JSON
	MaskedPaths     []string
	ReadOnlyPaths   []string // nil: Docker's, as with MaskedPaths; empty: none
	Ulimits         []Ulimit
	Umask           *uint32           // nil: 022
	OOMScoreAdj     int               // -1000 to 1000
	Init            bool              // run the process below an init that reaps and forwards signals
	Sysctls         map[string]string // of the container's machine

	Tmpfs       map[string]string // path: options, as of mount(8)
	ShmSize     int64             // of /dev/shm in bytes; 0: 64 MiB
	Devices     []Device
	DeviceRules []string // what else may be used: "c 10:200 rwm"

	// What all processes together may use.
	MemoryReservation      int64 // bytes
	MemorySwap             int64 // memory and swap together, in bytes; 0: the machine does not swap
	PidsLimit              int64 // 0: none
	CPUShares              int64 // 0: the default
	CpusetCPUs, CpusetMems string
	IO                     []IOLimit
}

// Port asks for a TCP port of the container to be published on the host.
type Port struct {
	HostIP    netip.Addr // zero: 127.0.0.1 and ::1
	HostPort  uint16     // 0: one is picked
	Container uint16
	Protocol  string // "tcp"
}

// Defaults and bounds of a Spec.
const (
	DefaultCPUs    = 2 // at most the host's; 1 where machines are emulated
	DefaultMemory  = 512 << 20
	MinMemory      = 6 << 20 // as docker has it; the kernel's own comes on top
	MinDiskSize    = 64 << 20
	DefaultNetwork = "skerry"
	NoNetwork      = "none" // the container has none but its loopback

	// Networks of the hypervisor's, without names and neighbours. On macOS the host
	// reaches the container's address there.
	NATNetwork   = string(vm.NAT)
	VmnetNetwork = string(vm.Vmnet)

	DefaultStop = 10 * time.Second
)

// ExecSpec describes a further process in a running container.
type ExecSpec struct {
	Command    []string
	Env        []string // over the container's
	WorkingDir string   // empty: the container's
	User       string   // empty: the container's
	Privileged bool

	TTY                   bool
	Stdin, Stdout, Stderr bool
}
