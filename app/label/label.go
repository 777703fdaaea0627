// Package label has the names of the labels that are Skerry's own: by them
// clients ask for what Docker has no words for, and projects know their
// containers.
package label

// Prefix begins all of them.
const Prefix = "dev.skerry."

// What a container is asked to have.
const (
	Pod       = Prefix + "pod"             // the name of the pod that it shares a machine with
	SharePIDs = Prefix + "share-pids"      // "true": one PID namespace with the pod's others that say so
	Sockets   = Prefix + "publish-sockets" // "host:container" paths, separated by commas
	SSHAgent  = Prefix + "ssh-agent"       // path of the host's SSH agent's socket
	Kernel    = Prefix + "kernel"          // path of a kernel for the machine
	Nested    = Prefix + "virtualization"  // "true": the machine can run machines
)

// What a project says of its containers.
const (
	Project   = Prefix + "project"    // the project's name
	Container = Prefix + "container"  // the container's name in it
	File      = Prefix + "file"       // the project file's path
	Prints    = Prefix + "made-from"  // fingerprints of what the container was made from
	DependsOn = Prefix + "depends-on" // names and conditions, separated by commas
	WebPort   = Prefix + "web-port"   // what the menu opens
)
