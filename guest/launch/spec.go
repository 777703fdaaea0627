// Package launch starts processes in containers. The Go runtime cannot change
// namespaces, root and identity of a process between fork and exec, so a small
// program of its own (vmlaunch) does; this package has what vminitd and
// vmlaunch tell each other.
package launch

// Program is where vmlaunch is in the init image.
const Program = "/sbin/vmlaunch"

// ControlFD is the descriptor of vmlaunch's end of the control socket.
const ControlFD = 3

// Spec is the first thing that vmlaunch reads: one JSON value.
type Spec struct {
	// Root is set for a container's first process: vmlaunch then puts the
	// container's file system together and makes it the root.
	Root *Root
	// Target is set for a further process: the pidfd of the container's first
	// process, whose namespaces it joins.
	Target int

	Args       []string
	Env        []string
	Cwd        string
	User       string   // name|uid[:group|gid]
	Groups     []string // further groups
	Terminal   bool
	Rows, Cols uint16
	Privileged bool
	NoNewPrivs bool
}

// Root says what a container's file system is made of.
type Root struct {
	Lower    string // directory with the image
	Upper    string // the overlay's writable layer
	Work     string
	ReadOnly bool
	Mounts   []Mount // beside the usual ones, sorted by depth
	Hostname string
	Domain   string
	Files    map[string]string // path inside the container: file to be bound there
}

// Mount is one more mount, as mount(8) understands it.
type Mount struct {
	Type, Source, Target string
	Options              []string
}

// A message is one line of JSON on the control socket. vmlaunch says Ready
// when all is prepared, with the master of the terminal as ancillary data if
// there is one; vminitd answers with one line to go ahead; then vmlaunch either
// becomes the process, which closes the socket, or says why not.
type Message struct {
	Ready  bool
	Reason string // a word of guest/api/reason, or empty
	Error  string
}
