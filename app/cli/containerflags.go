package cli

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/docker/go-units"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/skerry-app/skerry/app/label"
)

// containerFlags are what run and create share: how a container is made.
type containerFlags struct {
	name, cidFile, pull, platform       string
	interactive, tty, remove            bool
	env, envFiles, labels               []string
	workDir, user, entrypoint, hostname string
	cpus, memory                        string
	ports, extraHosts                   []string
	network, pod, kernel                string
	sharePIDs, ssh, virtualization      bool
	sockets                             []string
	storage                             map[string]string
	privileged, readOnly                bool
	stopSignal, restart                 string
	stopTimeout                         int
	process                             processFlags
	health                              healthFlags
	mountFlags
	flags *pflag.FlagSet
}

func (f *containerFlags) register(cmd *cobra.Command) {
	fs := cmd.Flags()
	f.flags = fs
	fs.SetInterspersed(false) // what follows the image belongs to its command
	fs.StringVar(&f.name, "name", "", "name of the container")
	fs.StringVar(&f.cidFile, "cidfile", "", "write the container's ID to this new file")
	fs.StringVar(&f.pull, "pull", pullMissing, `pull the image: "always", "missing" or "never"`)
	fs.StringVar(&f.platform, "platform", "", "platform of the image, such as linux/amd64")
	fs.BoolVarP(&f.interactive, "interactive", "i", false, "hand stdin to the container")
	fs.BoolVarP(&f.tty, "tty", "t", false, "give the container a terminal")
	fs.BoolVar(&f.remove, "rm", false, "remove the container when it has ended")
	fs.StringArrayVarP(&f.env, "env", "e", nil, "set an environment variable: KEY=value, or KEY for this shell's value")
	fs.StringArrayVar(&f.envFiles, "env-file", nil, "read environment variables from a file")
	fs.StringArrayVarP(&f.labels, "label", "l", nil, "set a label: key=value")
	fs.StringVarP(&f.workDir, "workdir", "w", "", "working directory in the container")
	fs.StringVarP(&f.user, "user", "u", "", "user, or user:group, by name or number")
	fs.StringVar(&f.entrypoint, "entrypoint", "", "replace the image's entrypoint")
	fs.StringVarP(&f.hostname, "hostname", "h", "", "host name in the container")
	fs.StringVar(&f.cpus, "cpus", "", "number of CPUs, such as 1.5")
	fs.StringVarP(&f.memory, "memory", "m", "", "size of the memory, such as 512m or 2g")
	fs.StringToStringVar(&f.storage, "storage-opt", nil, "size=SIZE of what the container itself may write, such as size=2g")
	fs.StringArrayVarP(&f.ports, "publish", "p", nil, "publish a port: [address:][host port:]container port, ranges allowed")
	fs.StringArrayVar(&f.extraHosts, "add-host", nil, "add a line to /etc/hosts: name:address")
	fs.StringVar(&f.network, "network", "", "network to join")
	fs.StringVar(&f.network, "net", "", "")
	_ = fs.MarkHidden("net")
	fs.StringVar(&f.pod, "pod", "", "share a machine and its address with the containers of this pod")
	fs.BoolVar(&f.sharePIDs, "share-pids", false, "see the processes of the pod's other containers that say so, too")
	fs.StringArrayVar(&f.sockets, "publish-socket", nil, "have a unix socket of the container on this computer: path here:path in the container")
	fs.BoolVar(&f.ssh, "ssh", false, "let the container use this computer's SSH agent")
	fs.StringVar(&f.kernel, "kernel", "", "boot this kernel: a vmlinux on x86_64 (on a Mac a bzImage), an Image on arm64")
	fs.BoolVar(&f.virtualization, "virtualization", false, "let the container run virtual machines, by /dev/kvm")
	fs.BoolVar(&f.privileged, "privileged", false, "all capabilities, inside its own machine")
	fs.BoolVar(&f.readOnly, "read-only", false, "make the root file system read-only")
	fs.StringVar(&f.restart, "restart", "", "start again at the end: no, always, unless-stopped, on-failure[:retries]")
	fs.StringVar(&f.stopSignal, "stop-signal", "", "signal that stop sends")
	fs.IntVar(&f.stopTimeout, "stop-timeout", 0, "seconds that stop waits before it kills; -1 for ever")
	f.process.register(fs)
	f.health.register(fs)
	fs.StringArrayVarP(&f.volumes, "volume", "v", nil, "mount a directory or file of the host, or a volume: [source:]target[:ro]")
	fs.StringArrayVar(&f.mounts, "mount", nil, "mount by key=value: type=bind|volume|tmpfs,source=...,target=...,readonly")
	// -h is the host name, as docker has it; --help stays.
	fs.Bool("help", false, "help for "+cmd.Name())
	registerLater(fs)
}

// laterFlags are docker's flags that will be typed and are not there: each is
// refused with a reason rather than as unknown.
var laterFlags = []struct{ name, short, why string }{
	{"publish-all", "P", "publishing all ports is not supported yet; name them with -p"},
	{"gpus", "", "GPUs are not supported"},
	{"memory-swappiness", "", "the kernel's second version of control groups has none"},
	{"oom-kill-disable", "", "the kernel's second version of control groups cannot do it"},
	{"blkio-weight", "", "weights of block I/O are not supported yet; limit it with --device-write-bps and the like"},
	{"network-alias", "", "further names on the network are not supported yet"},
	{"ip", "", "choosing an address is not supported yet"},
	{"pid", "", "there is nothing to share: every container has a kernel of its own"},
	{"ipc", "", "there is nothing to share: every container has a kernel of its own"},
}

// later is the value of a flag that always refuses, with the reason.
type later string

func (l later) String() string   { return "" }
func (l later) Type() string     { return "value" }
func (l later) Set(string) error { return errors.New(string(l)) }

func registerLater(fs *pflag.FlagSet) {
	for _, flag := range laterFlags {
		fs.VarP(later(flag.why), flag.name, flag.short, "")
		fs.Lookup(flag.name).NoOptDefVal = "-" // those without a value in docker as well
		_ = fs.MarkHidden(flag.name)
	}
}

// request builds what the API takes, from the flags and the arguments: the
// image and its command. Errors are usage errors.
func (f *containerFlags) request(args []string) (client.ContainerCreateOptions, error) {
	env, err := environment(f.envFiles, f.env)
	if err != nil {
		return client.ContainerCreateOptions{}, err
	}
	config := &container.Config{
		Image:        args[0],
		Cmd:          args[1:],
		Env:          env,
		Hostname:     f.hostname,
		User:         f.user,
		WorkingDir:   f.workDir,
		Labels:       keyValues(f.labels),
		Tty:          f.tty,
		OpenStdin:    f.interactive,
		StopSignal:   f.stopSignal,
		AttachStdout: true,
		AttachStderr: true,
	}
	if f.sharePIDs && f.pod == "" {
		return client.ContainerCreateOptions{}, errors.New("--share-pids needs --pod")
	}
	if f.pod != "" {
		config.Labels[label.Pod] = f.pod
	}
	if f.sharePIDs {
		config.Labels[label.SharePIDs] = "true"
	}
	if err := f.askMachine(config); err != nil {
		return client.ContainerCreateOptions{}, err
	}
	if config.Healthcheck, err = f.health.check(); err != nil {
		return client.ContainerCreateOptions{}, err
	}
	if err := f.askSockets(config); err != nil {
		return client.ContainerCreateOptions{}, err
	}
	restart, err := restartPolicy(f.restart)
	if err != nil {
		return client.ContainerCreateOptions{}, err
	}
	if f.flags.Changed("stop-timeout") {
		config.StopTimeout = &f.stopTimeout
	}
	if f.flags.Changed("entrypoint") {
		config.Entrypoint = []string{f.entrypoint} // an empty string clears the image's, as docker has it
	}
	host := &container.HostConfig{
		AutoRemove:     f.remove,
		RestartPolicy:  restart,
		Privileged:     f.privileged,
		ReadonlyRootfs: f.readOnly,
		ExtraHosts:     f.extraHosts,
		NetworkMode:    container.NetworkMode(f.network),
		StorageOpt:     f.storage,
	}
	if err := f.resources(host); err != nil {
		return client.ContainerCreateOptions{}, err
	}
	if err := errors.Join(f.process.apply(config, host), f.fill(config, host)); err != nil {
		return client.ContainerCreateOptions{}, err
	}
	if config.ExposedPorts, host.PortBindings, err = parsePorts(f.ports); err != nil {
		return client.ContainerCreateOptions{}, err
	}
	platform, err := parsePlatform(f.platform)
	if err != nil {
		return client.ContainerCreateOptions{}, err
	}
	return client.ContainerCreateOptions{Name: f.name, Config: config, HostConfig: host, Platform: platform}, nil
}

// restartPolicy reads name[:retries].
func restartPolicy(text string) (container.RestartPolicy, error) {
	name, retries, some := strings.Cut(text, ":")
	p := container.RestartPolicy{Name: container.RestartPolicyMode(name)}
	if some {
		n, err := strconv.Atoi(retries)
		if err != nil || n < 1 {
			return p, fmt.Errorf("--restart %s: %q is no number of retries", text, retries)
		}
		p.MaximumRetryCount = n
	}
	if err := container.ValidateRestartPolicy(p); err != nil {
		return p, fmt.Errorf("--restart must be no, always, unless-stopped or on-failure[:retries], not %q", text)
	}
	return p, nil
}

// askMachine asks for a machine that is other than usual.
func (f *containerFlags) askMachine(config *container.Config) error {
	if f.kernel != "" {
		path, err := filepath.Abs(f.kernel)
		if err != nil {
			return err
		}
		config.Labels[label.Kernel] = path
	}
	if f.virtualization {
		config.Labels[label.Nested] = "true"
	}
	return nil
}

// askSockets asks for sockets to be published and for the SSH agent.
func (f *containerFlags) askSockets(config *container.Config) error {
	var pairs []string
	for _, text := range f.sockets {
		host, inside, ok := strings.Cut(text, ":")
		if !ok || host == "" || inside == "" || strings.Contains(text, ",") {
			return fmt.Errorf("--publish-socket must be path:path, not %q", text)
		}
		host, err := filepath.Abs(host)
		if err != nil {
			return err
		}
		pairs = append(pairs, host+":"+inside)
	}
	if pairs != nil {
		config.Labels[label.Sockets] = strings.Join(pairs, ",")
	}
	if f.ssh {
		agent := os.Getenv("SSH_AUTH_SOCK")
		if agent == "" {
			return errors.New("--ssh: SSH_AUTH_SOCK is not set: start an agent first, with eval $(ssh-agent)")
		}
		config.Labels[label.SSHAgent] = agent
	}
	return nil
}

func (f *containerFlags) resources(host *container.HostConfig) error {
	if f.memory != "" {
		size, err := units.RAMInBytes(f.memory)
		if err != nil || size <= 0 {
			return fmt.Errorf("--memory must be a size such as 512m or 2g, not %q", f.memory)
		}
		host.Memory = size
	}
	if f.cpus != "" {
		n, err := strconv.ParseFloat(f.cpus, 64)
		if err != nil || !(n > 0 && n <= maxCPUs) {
			return fmt.Errorf("--cpus must be a number above 0 such as 2 or 0.5, not %q", f.cpus)
		}
		host.NanoCPUs = int64(math.Round(n * 1e9))
	}
	return nil
}

// maxCPUs keeps nanoseconds of CPU time within an int64 by far; no machine has as many.
const maxCPUs = 1 << 16

// environment is docker's: files first, then the flags; a name without a value
// takes this process's value, and is left out when there is none.
func environment(files, flags []string) ([]string, error) {
	var lines []string
	for _, file := range files {
		read, err := readEnvFile(file)
		if err != nil {
			return nil, err
		}
		lines = append(lines, read...)
	}
	lines = append(lines, flags...)

	env := make([]string, 0, len(lines))
	for _, line := range lines {
		name, _, hasValue := strings.Cut(line, "=")
		if name == "" {
			return nil, fmt.Errorf("environment variable %q has no name", line)
		}
		if !hasValue {
			value, ok := os.LookupEnv(name)
			if !ok {
				continue
			}
			line = name + "=" + value
		}
		env = append(env, line)
	}
	return env, nil
}

// readEnvFile reads docker's format: a KEY=value or KEY a line, # comments,
// values as they are, without quotes or escapes.
func readEnvFile(path string) ([]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the environment file: %w", err)
	}
	var lines []string
	for i, line := range strings.Split(strings.TrimPrefix(string(text), "\ufeff"), "\n") {
		line = strings.TrimLeft(strings.TrimSuffix(line, "\r"), " \t")
		if line == "" || line[0] == '#' {
			continue
		}
		if name, _, _ := strings.Cut(line, "="); name == "" || strings.ContainsAny(name, " \t") {
			return nil, fmt.Errorf("%s:%d: %q is no KEY=value line", path, i+1, line)
		}
		lines = append(lines, line)
	}
	return lines, nil
}

func keyValues(pairs []string) map[string]string {
	m := make(map[string]string, len(pairs))
	for _, pair := range pairs {
		key, value, _ := strings.Cut(pair, "=")
		m[key] = value
	}
	return m
}

// parsePlatform reads os/architecture[/variant]; empty is nil, the host's.
func parsePlatform(text string) (*ocispec.Platform, error) {
	if text == "" {
		return nil, nil
	}
	parts := strings.Split(text, "/")
	if len(parts) < 2 || len(parts) > 3 || strings.Contains("/"+text+"/", "//") {
		return nil, fmt.Errorf("--platform must be like linux/amd64 or linux/arm64/v8, not %q", text)
	}
	p := &ocispec.Platform{OS: parts[0], Architecture: parts[1]}
	if len(parts) == 3 {
		p.Variant = parts[2]
	}
	return p, nil
}
