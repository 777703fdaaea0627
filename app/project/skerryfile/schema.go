package skerryfile

// A key of the project file. The tables below are the whole schema: reading,
// checking, suggestions, and whatever is generated from it follow them.
type key[T any] struct {
	name string
	typ  string // what a value looks like, for people
	def  string // what holds without it
	doc  string
	// read checks a value and puts it in its place. Nil: the key is in the
	// schema but not supported yet, and later names what is missing.
	read  func(r *reader, n *node, to *T)
	later string
}

// topKeys may stand above all tables.
var topKeys = []key[Project]{
	{name: "name", typ: "a name such as shop", def: "the directory's name",
		doc:  "The project's name: part of the names of its containers, and the name of its network.",
		read: func(r *reader, n *node, p *Project) { p.Name = r.projectName(n) }},
	{name: "start_at_login", typ: "true or false", def: "false",
		doc: "Bring the project up at login.",
		read: func(r *reader, n *node, _ *Project) {
			if r.boolean(n) {
				r.add(n.key, "starting projects at login is not supported yet; leave start_at_login away")
			}
		}},
	{name: "requires", typ: `a version such as ">=0.3"`, def: "any version",
		doc:  "The oldest version of Skerry that understands this file.",
		read: func(r *reader, n *node, _ *Project) { r.requires(n) }},
	{name: "defaults", typ: "a table of container keys", def: "empty",
		doc:  "What holds for every container that does not say otherwise: tables merge, everything else replaces.",
		read: func(*reader, *node, *Project) {}}, // read with each container
	{name: "containers", typ: "a table for each container", def: "at least one",
		doc:  "The project's containers by name.",
		read: func(*reader, *node, *Project) {}}, // read once the rest is known
	{name: "volumes", typ: "a table for each volume", later: "volumes are",
		doc: "Named volumes."},
	{name: "networks", typ: "a table for each network", later: "networks beside the project's own are",
		doc: "Further networks."},
	{name: "secrets", typ: "a table for each secret", later: "secrets are",
		doc: "Secrets of files, variables or the keychain."},
}

// containerKeys are those of [containers.<name>] and [defaults].
var containerKeys = []key[Container]{
	{name: "image", typ: `an image such as "postgres:17"`, def: "required",
		doc:  "The image to run.",
		read: func(r *reader, n *node, c *Container) { c.Image = r.image(n) }},
	{name: "platform", typ: `a platform such as "linux/arm64"`, def: "the host's",
		doc:  "The platform of the image.",
		read: func(r *reader, n *node, c *Container) { c.Platform = r.platform(n) }},
	{name: "pull_policy", typ: `"missing", "always" or "never"`, def: `"missing"`,
		doc: "When to fetch the image.",
		read: func(r *reader, n *node, c *Container) {
			c.PullPolicy = PullPolicy(r.oneOf(n, string(PullMissing), string(PullAlways), string(PullNever)))
		}},
	{name: "command", typ: "a string or a list of strings", def: "the image's",
		doc:  "What to run. A string is split into words as a shell would, but no shell runs.",
		read: func(r *reader, n *node, c *Container) { c.Command = r.words(n) }},
	{name: "entrypoint", typ: "a string or a list of strings", def: "the image's",
		doc:  "What the command is handed to.",
		read: func(r *reader, n *node, c *Container) { c.Entrypoint = r.words(n) }},
	{name: "environment", typ: `a table such as { DEBUG = true }`, def: "empty",
		doc:  "Environment variables, over the image's and those of env_file.",
		read: func(r *reader, n *node, c *Container) { c.Environment = r.scalars(n, "=") }},
	{name: "env_file", typ: "a file, or a list of files", def: "none",
		doc:  "Files with KEY=value lines.",
		read: func(r *reader, n *node, c *Container) { c.envFile = r.envFiles(n) }},
	{name: "working_dir", typ: `an absolute path such as "/app"`, def: "the image's",
		doc:  "Where the command starts.",
		read: func(r *reader, n *node, c *Container) { c.WorkingDir = r.absolutePath(n) }},
	{name: "user", typ: `a user such as "postgres", "1000:1000" or 1000`, def: "the image's",
		doc:  "Who the command runs as.",
		read: func(r *reader, n *node, c *Container) { c.User = r.user(n) }},
	{name: "hostname", typ: "a name such as web", def: "the container's name",
		doc:  "The machine's own name.",
		read: func(r *reader, n *node, c *Container) { c.Hostname = r.hostname(n) }},
	{name: "read_only", typ: "true or false", def: "false",
		doc:  "Make the root file system read-only.",
		read: func(r *reader, n *node, c *Container) { c.ReadOnly = r.boolean(n) }},
	{name: "tty", typ: "true or false", def: "false",
		doc:  "Give the command a terminal.",
		read: func(r *reader, n *node, c *Container) { c.TTY = r.boolean(n) }},
	{name: "privileged", typ: "true or false", def: "false",
		doc:  "All capabilities, inside the container's own machine.",
		read: func(r *reader, n *node, c *Container) { c.Privileged = r.boolean(n) }},
	{name: "cpus", typ: "a number such as 2 or 0.5", def: "2",
		doc:  "How much CPU time the container may use.",
		read: func(r *reader, n *node, c *Container) { c.CPUs = r.cpus(n) }},
	{name: "memory", typ: `a size in quotes such as "512m" or "2g"`, def: `"512m"`,
		doc:  "The size of the container's machine.",
		read: func(r *reader, n *node, c *Container) { c.Memory = r.memory(n) }},
	{name: "pod", typ: `a name such as "web"`, def: "a machine of its own",
		doc:  "Containers with the same name here share a machine and its address.",
		read: func(r *reader, n *node, c *Container) { c.Pod = r.hostname(n) }},
	{name: "ports", typ: `a list such as ["8080:80"]`, def: "none",
		doc:  "Published ports, [address:]host:container. Without an address they are reached from this computer only.",
		read: func(r *reader, n *node, c *Container) { c.Ports = r.ports(n) }},
	{name: "network", typ: `"project"`, def: `"project"`,
		doc:  "The project's network.",
		read: func(r *reader, n *node, _ *Container) { r.network(n) }},
	{name: "extra_hosts", typ: `a table such as { "db.internal" = "10.0.0.5" }`, def: "empty",
		doc:  "Lines for /etc/hosts.",
		read: func(r *reader, n *node, c *Container) { c.ExtraHosts = r.hosts(n) }},
	{name: "web_port", typ: "a port such as 3000", def: "the first that looks like it",
		doc:  "What the menu opens in the browser.",
		read: func(r *reader, n *node, c *Container) { c.WebPort = r.port(n) }},
	{name: "depends_on", typ: `a list of containers such as ["db"]`, def: "empty",
		doc:  "Containers that are started before this one.",
		read: func(r *reader, n *node, c *Container) { c.dependencies = r.dependencies(n) }},
	{name: "stop_signal", typ: `a signal such as "SIGINT"`, def: "the image's, else SIGTERM",
		doc:  "What asks the container to stop.",
		read: func(r *reader, n *node, c *Container) { c.StopSignal = r.signal(n) }},
	{name: "stop_grace_period", typ: `a duration in quotes such as "10s" or "1m30s"`, def: `"10s"`,
		doc:  "How long it may take to stop before it is killed.",
		read: func(r *reader, n *node, c *Container) { c.StopGracePeriod = r.duration(n) }},
	{name: "labels", typ: `a table such as { team = "blue" }`, def: "empty",
		doc:  "Labels of the container.",
		read: func(r *reader, n *node, c *Container) { c.Labels = r.labels(n) }},
	{name: "manual", typ: "true or false", def: "false",
		doc:  "Started only when it is named.",
		read: func(r *reader, n *node, c *Container) { c.Manual = r.boolean(n) }},

	{name: "build", later: "building images is", doc: "How to build the image."},
	{name: "cap_add", later: "adding capabilities is", doc: "Additional capabilities."},
	{name: "cap_drop", later: "dropping capabilities is", doc: "Capabilities to take away."},
	{name: "disk", later: "choosing a disk's size is", doc: "The size of the writable root."},
	{name: "dns", later: "choosing name servers is", doc: "Name servers."},
	{name: "healthcheck", later: "health checks are", doc: "How to find out whether the container works."},
	{name: "networks", later: "networks beside the project's own are", doc: "Networks to join."},
	{name: "restart", later: "restart policies are", doc: "Whether to start the container again when it ends."},
	{name: "secrets", later: "secrets are", doc: "Secrets that the container may read."},
	{name: "shm_size", later: "choosing the size of /dev/shm is", doc: "The size of /dev/shm."},
	{name: "ssh", later: "forwarding the SSH agent is", doc: "Forward the SSH agent."},
	{name: "sysctls", later: "setting kernel parameters is", doc: "Kernel parameters."},
	{name: "tmpfs", later: "tmpfs mounts are", doc: "File systems in memory."},
	{name: "ulimits", later: "resource limits are", doc: "Resource limits."},
	{name: "volumes", later: "volumes are", doc: "Volumes and directories to mount."},
	{name: "watch", later: "watching files is", doc: "What to do when files change."},
}

// absentKeys are compose's, left out on purpose: why, and what to do instead.
var absentKeys = map[string]string{
	"cgroup_parent":  `every container has a machine of its own; use cpus and memory`,
	"container_name": `a container is called <project>-<container>, and by its own name inside the project`,
	"deploy":         `use cpus and memory for limits; a project runs one of each container`,
	"devices":        `a container's machine has no devices of the host`,
	"expose":         `every port is open to the other containers of the project`,
	"extends":        `put what containers share into [defaults]`,
	"include":        `a project is one file`,
	"init":           `every container's machine has an init process already`,
	"ipc":            `every container has a kernel of its own, so there is nothing to share`,
	"links":          `containers of a project find each other by name`,
	"logging":        `all output is kept; read it with: skerry logs`,
	"network_mode":   `every container has its own address; see the key network`,
	"pid":            `every container has a kernel of its own, so there is nothing to share`,
	"profiles":       `use manual = true for containers that are started only when named`,
	"scale":          `a project runs one of each container`,
	"security_opt":   `every container has a kernel of its own`,
	"stdin_open":     `containers of a project run in the background; use: skerry exec -i`,
	"userns_mode":    `every container has a kernel of its own`,
	"version":        `there is one version of this format; see the key requires`,
}

func names[T any](keys []key[T]) []string {
	all := make([]string, len(keys))
	for i, k := range keys {
		all[i] = k.name
	}
	return all
}
