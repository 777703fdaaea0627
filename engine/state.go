package engine

import (
	"net/netip"
	"time"

	"github.com/opencontainers/go-digest"
)

// Status is where a container is in its life, in Docker's words.
type Status string

const (
	StatusCreated    Status = "created"
	StatusRunning    Status = "running"
	StatusPaused     Status = "paused"
	StatusRestarting Status = "restarting" // ended, and about to be started again
	StatusRemoving   Status = "removing"
	StatusExited     Status = "exited"
	StatusDead       Status = "dead" // could not be removed
)

// State is the changing part of a container.
type State struct {
	Status     Status
	ExitCode   int    // of the last run
	Error      string // why the last start or run failed, else empty
	OOMKilled  bool
	Pid        int     // of the process that runs the machine, 0 when there is none
	Health     *Health // of the last run; nil without checks
	StartedAt  time.Time
	FinishedAt time.Time
	Phases     []Phase // of the last start

	Wanted    bool      // to be up: nobody has stopped it since it was started
	Restarts  int       // by the restart policy, since somebody started it
	RestartAt time.Time // of StatusRestarting: when the next follows
}

// Phase is how long one step of a start took.
type Phase struct {
	Name     string
	Duration time.Duration
}

// Snapshot is a consistent copy of all that is known of a container.
type Snapshot struct {
	ID      string // 64 hexadecimal digits
	Name    string
	Created time.Time
	Spec    Spec
	ImageID digest.Digest // of the image's configuration
	Arch    string        // of the image's programs, as in GOARCH

	// What runs, the image's configuration and the Spec put together.
	Path       string
	Args       []string
	Env        []string
	WorkingDir string
	User       string

	State    State
	Endpoint *Endpoint // nil while it has no machine
	Bindings []Port    // published ports as they are; HostIP and HostPort set
	LogPath  string    // directory of its output
}

// Endpoint is a container's place on its network.
type Endpoint struct {
	Network string
	Address netip.Prefix
	Gateway netip.Addr
	MAC     string
	Names   []string
}

// Exit is how a container's or exec's process ended.
type Exit struct {
	Code      int
	OOMKilled bool
	Error     string // set when the machine failed rather than the process ended
	At        time.Time
}

// WaitCondition says what Container.Wait waits for.
type WaitCondition string

const (
	WaitNotRunning WaitCondition = "not-running" // at once when it does not run
	WaitNextExit   WaitCondition = "next-exit"
	WaitRemoved    WaitCondition = "removed"
)

// EventPull is the type of events of pulls, "begin" and "end", which Docker has
// no words for.
const EventPull = "pull"

// Event is something that happened to a container or image, in Docker's words.
type Event struct {
	Time       time.Time
	Type       string // "container", "image", "network"
	Action     string // "create", "start", "die", "destroy", "pull", ...
	ID         string
	Name       string            // container name or image reference
	Attributes map[string]string // "image", "exitCode", "signal", labels
}

// Info is what Engine.Info tells of the engine.
type Info struct {
	Home       string
	Driver     string // "qemu (tcg)"
	Kernel     string
	Version    string
	CPUs       int
	Memory     int64 // of the host, bytes
	Containers map[Status]int
	Images     int
}
