package skerryfile

// A key of the project file. The tables below are the whole schema: reading,
// checking, suggestions, and whatever is generated from it follow them.
type key[T any] struct {
	name string
	typ  string // what a value looks like, for people
	def  string // what holds without it
	doc  string
	// shape is the value's in the JSON schema; nil: the key is not in it.
	shape shape
	// read checks a value and puts it in its place. Nil: the key is in the
	// schema but not supported yet, and later names what is missing.
	read  func(r *reader, n *node, to *T)
	later string
}

// topKeys may stand above all tables.
var topKeys = []key[Project]{
	{name: "name", typ: "a name such as shop", def: "the directory's name", shape: aText,
		doc:  "The project's name: part of the names of its containers, and the name of its network.",
		read: func(r *reader, n *node, p *Project) { p.Name = r.projectName(n) }},
	{name: "start_at_login", typ: "true or false", def: "false", shape: aBoolean,
		doc:  "Bring the project up when the app starts, unless it was stopped by hand.",
		read: func(r *reader, n *node, p *Project) { p.StartAtLogin = r.boolean(n) }},
	{name: "requires", typ: `a version such as ">=0.3"`, def: "any version", shape: aText,
		doc:  "The oldest version of Skerry that understands this file.",
		read: func(r *reader, n *node, _ *Project) { r.requires(n) }},
	{name: "defaults", typ: "a table of container keys", def: "empty",
		doc:  "What holds for every container that does not say otherwise: tables merge, everything else replaces.",
		read: func(*reader, *node, *Project) {}}, // read with each container
	{name: "containers", typ: "a table for each container", def: "at least one",
		doc:  "The project's containers by name.",
		read: func(*reader, *node, *Project) {}}, // read once the rest is known
	{name: "volumes", typ: "a table for each volume", def: "those that containers name", shape: tableOf(tableWith(volumeKeys)),
		doc:  "Named volumes that are to be other than usual.",
		read: func(r *reader, n *node, p *Project) { p.Volumes = r.volumes(n) }},
	{name: "networks", typ: "a table for each network", later: "networks beside the project's own are",
		doc: "Further networks."},
	{name: "secrets", typ: "a table for each secret", later: "secrets are",
		doc: "Secrets of files, variables or the keychain."},
}

// containerKeys are those of [containers.<name>] and [defaults].
var containerKeys = []key[Container]{
	{name: "image", typ: `an image such as "postgres:17"`, def: "required", shape: aText,
		doc:  "The image to run.",
		read: func(r *reader, n *node, c *Container) { c.Image = r.image(n) }},
	{name: "platform", typ: `a platform such as "linux/arm64"`, def: "the host's", shape: aText,
		doc:  "The platform of the image.",
		read: func(r *reader, n *node, c *Container) { c.Platform = r.platform(n) }},
	{name: "pull_policy", typ: `"missing", "always" or "never"`, def: `"missing"`, shape: oneOf(string(PullMissing), string(PullAlways), string(PullNever)),
		doc: "When to fetch the image.",
		read: func(r *reader, n *node, c *Container) {
			c.PullPolicy = PullPolicy(r.oneOf(n, string(PullMissing), string(PullAlways), string(PullNever)))
		}},
	{name: "command", typ: "a string or a list of strings", def: "the image's", shape: words,
		doc:  "What to run. A string is split into words as a shell would, but no shell runs.",
		read: func(r *reader, n *node, c *Container) { c.Command = r.words(n) }},
	{name: "entrypoint", typ: "a string or a list of strings", def: "the image's", shape: words,
		doc:  "What the command is handed to.",
		read: func(r *reader, n *node, c *Container) { c.Entrypoint = r.words(n) }},
	{name: "environment", typ: `a table such as { DEBUG = true }`, def: "empty", shape: tableOf(aScalar),
		doc:  "Environment variables, over the image's and those of env_file.",
		read: func(r *reader, n *node, c *Container) { c.Environment = r.scalars(n, "=") }},
	{name: "env_file", typ: "a file, or a list of files", def: "none", shape: either(aText, listOf(either(aText, tableOf(aScalar)))),
		doc:  "Files with KEY=value lines.",
		read: func(r *reader, n *node, c *Container) { c.envFile = r.envFiles(n) }},
	{name: "working_dir", typ: `an absolute path such as "/app"`, def: "the image's", shape: aText,
		doc:  "Where the command starts.",
		read: func(r *reader, n *node, c *Container) { c.WorkingDir = r.absolutePath(n) }},
	{name: "user", typ: `a user such as "postgres", "1000:1000" or 1000`, def: "the image's", shape: either(aText, aCount),
		doc:  "Who the command runs as.",
		read: func(r *reader, n *node, c *Container) { c.User = r.user(n) }},
	{name: "hostname", typ: "a name such as web", def: "the container's name", shape: aText,
		doc:  "The machine's own name.",
		read: func(r *reader, n *node, c *Container) { c.Hostname = r.hostname(n) }},
	{name: "read_only", typ: "true or false", def: "false", shape: aBoolean,
		doc:  "Make the root file system read-only.",
		read: func(r *reader, n *node, c *Container) { c.ReadOnly = r.boolean(n) }},
	{name: "tty", typ: "true or false", def: "false", shape: aBoolean,
		doc:  "Give the command a terminal.",
		read: func(r *reader, n *node, c *Container) { c.TTY = r.boolean(n) }},
	{name: "privileged", typ: "true or false", def: "false", shape: aBoolean,
		doc:  "All capabilities, inside the container's own machine.",
		read: func(r *reader, n *node, c *Container) { c.Privileged = r.boolean(n) }},
	{name: "cpus", typ: "a number such as 2 or 0.5", def: "2", shape: aNumber,
		doc:  "How much CPU time the container may use.",
		read: func(r *reader, n *node, c *Container) { c.CPUs = r.cpus(n) }},
	{name: "memory", typ: `a size in quotes such as "512m" or "2g"`, def: `"512m"`, shape: aSize,
		doc:  "The size of the container's machine.",
		read: func(r *reader, n *node, c *Container) { c.Memory = r.size(n, MinMemory) }},
	{name: "pod", typ: `a name such as "web"`, def: "a machine of its own", shape: aText,
		doc:  "Containers with the same name here share a machine and its address.",
		read: func(r *reader, n *node, c *Container) { c.Pod = r.hostname(n) }},
	{name: "ports", typ: `a list such as ["8080:80"]`, def: "none", shape: texts,
		doc:  "Published ports, [address:]host:container. Without an address they are reached from this computer only.",
		read: func(r *reader, n *node, c *Container) { c.Ports = r.ports(n) }},
	{name: "network", typ: `"project", "none", "nat" or "vmnet"`, def: `"project"`, shape: oneOf("project", "none", "nat", "vmnet"),
		doc: "The project's network, none, or one of the hypervisor's, without names of containers: \"nat\", where a Mac reaches the container's own address, " +
			"or from macOS 26 on \"vmnet\", where such containers also reach each other.",
		read: func(r *reader, n *node, c *Container) { c.Network = r.network(n) }},
	{name: "dns", typ: `a list of addresses such as ["1.1.1.1"]`, def: "the network's", shape: texts,
		doc:  "Name servers. With some, containers of the project are not found by their names.",
		read: func(r *reader, n *node, c *Container) { c.DNS = r.nameServers(n) }},
	{name: "extra_hosts", typ: `a table such as { "db.internal" = "10.0.0.5" }`, def: "empty", shape: tableOf(aText),
		doc:  "Lines for /etc/hosts.",
		read: func(r *reader, n *node, c *Container) { c.ExtraHosts = r.hosts(n) }},
	{name: "web_port", typ: "a port such as 3000", def: "the first that looks like it", shape: aPort,
		doc:  "What the menu opens in the browser.",
		read: func(r *reader, n *node, c *Container) { c.WebPort = r.port(n) }},
	{name: "depends_on", typ: `a list of containers such as ["db"]`, def: "empty", shape: either(texts, tableOf(oneOf("started", "healthy", "completed"))),
		doc: "Containers that must be up before this one is started: healthy where they have a health check, else started. " +
			"A table says what to wait for: \"started\", \"healthy\", or \"completed\" for one that ends by itself.",
		read: func(r *reader, n *node, c *Container) { c.dependencies = r.dependencies(n) }},
	{name: "healthcheck", typ: `a table such as { http = ":8080/ready" }`, def: "the image's", shape: tableWith(healthKeys),
		doc:  "How to find out whether the container works.",
		read: func(r *reader, n *node, c *Container) { c.Health = r.health(n) }},
	{name: "restart", typ: `"no", "always", "unless-stopped" or "on-failure[:N]"`, def: `"no"`,
		shape: shape{"type": "string", "pattern": `^(no|always|unless-stopped|on-failure(:[1-9][0-9]*)?)$|\$\{`},
		doc:   "Whether to start the container again when it has ended: after 1 s, twice as long after each further time, at most 60 s. A crash loop is given up.",
		read:  func(r *reader, n *node, c *Container) { c.Restart = r.restart(n) }},
	{name: "volumes", typ: `a list such as ["./src:/app", "data:/var/lib/data:ro"]`, def: "none", shape: listOf(either(aText, tableWith(mountKeys, "source", "target"))),
		doc:  "Directories and files of this computer (paths are relative to the project file), and volumes by their names, each as source:target[:ro].",
		read: func(r *reader, n *node, c *Container) { c.Mounts = r.mounts(n) }},
	{name: "tmpfs", typ: `a list such as ["/run", "/tmp:size=64m"]`, def: "none", shape: texts,
		doc:  "File systems in memory.",
		read: func(r *reader, n *node, c *Container) { c.Tmpfs = r.tmpfs(n) }},
	{name: "disk", typ: `a size in quotes such as "8g"`, def: `"16g"`, shape: aSize,
		doc:  "What the container itself may write; only what is written takes space.",
		read: func(r *reader, n *node, c *Container) { c.Disk = r.size(n, MinDisk) }},
	{name: "shm_size", typ: `a size in quotes such as "128m"`, def: `"64m"`, shape: aSize,
		doc:  "The size of /dev/shm.",
		read: func(r *reader, n *node, c *Container) { c.ShmSize = r.size(n, 4<<10) }},
	{name: "ulimits", typ: "a table such as { nofile = 1024 }", def: "empty", shape: tableOf(either(shape{"type": "integer"}, tableOf(shape{"type": "integer"}))),
		doc:  "Limits of each process: a number, or { soft, hard }; -1 for none.",
		read: func(r *reader, n *node, c *Container) { c.Ulimits = r.ulimits(n) }},
	{name: "sysctls", typ: `a table such as { "net.core.somaxconn" = 1024 }`, def: "empty", shape: shape{"type": "object"},
		doc:  "Kernel parameters of the container's machine.",
		read: func(r *reader, n *node, c *Container) { c.Sysctls = r.sysctls(n) }},
	{name: "cap_add", typ: `a list such as ["NET_ADMIN"]`, def: "none", shape: texts,
		doc:  "Capabilities beyond the usual fourteen.",
		read: func(r *reader, n *node, c *Container) { c.CapAdd = r.capabilities(n) }},
	{name: "cap_drop", typ: `a list such as ["ALL"]`, def: "none", shape: texts,
		doc:  "Capabilities to take away.",
		read: func(r *reader, n *node, c *Container) { c.CapDrop = r.capabilities(n) }},
	{name: "ssh", typ: "true or false", def: "false", shape: aBoolean,
		doc:  "Let the container use this computer's SSH agent.",
		read: func(r *reader, n *node, c *Container) { c.SSH = r.boolean(n) }},
	{name: "kernel", typ: `a path such as "./vmlinux"`, def: "Skerry's own", shape: aText,
		doc:  "The kernel of the container's machine, relative to the project file: a vmlinux on x86_64 (on a Mac a bzImage), an Image on arm64.",
		read: func(r *reader, n *node, c *Container) { c.Kernel = r.kernel(n) }},
	{name: "virtualization", typ: "true or false", def: "false", shape: aBoolean,
		doc:  "Let the container run virtual machines, by /dev/kvm. A Mac needs macOS 15 and an M3 or newer for it.",
		read: func(r *reader, n *node, c *Container) { c.Virtualization = r.boolean(n) }},
	{name: "stop_signal", typ: `a signal such as "SIGINT"`, def: "the image's, else SIGTERM", shape: aText,
		doc:  "What asks the container to stop.",
		read: func(r *reader, n *node, c *Container) { c.StopSignal = r.signal(n) }},
	{name: "stop_grace_period", typ: `a duration in quotes such as "10s" or "1m30s"`, def: `"10s"`, shape: aDuration,
		doc:  "How long it may take to stop before it is killed.",
		read: func(r *reader, n *node, c *Container) { c.StopGracePeriod = r.duration(n) }},
	{name: "labels", typ: `a table such as { team = "blue" }`, def: "empty", shape: tableOf(aScalar),
		doc:  "Labels of the container.",
		read: func(r *reader, n *node, c *Container) { c.Labels = r.labels(n) }},
	{name: "manual", typ: "true or false", def: "false", shape: aBoolean,
		doc:  "Started only when it is named.",
		read: func(r *reader, n *node, c *Container) { c.Manual = r.boolean(n) }},

	{name: "build", later: "building images is", doc: "How to build the image."},
	{name: "networks", later: "networks beside the project's own are", doc: "Networks to join."},
	{name: "secrets", later: "secrets are", doc: "Secrets that the container may read."},
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
