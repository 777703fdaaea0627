package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/skerry-app/skerry/guest/api"
)

// Create makes a container without starting it. An image that is not there
// gives errdefs.ErrNotFound (Pull brings it), a name that is taken
// errdefs.ErrConflict, anything else that is wrong with the Spec
// errdefs.ErrInvalidArgument.
func (e *Engine) Create(ctx context.Context, s Spec) (*Container, error) {
	if e.closing() {
		return nil, errdefs.ErrUnavailable.WithMessage("the app is stopping")
	}
	if err := s.check(); err != nil {
		return nil, err
	}
	if err := e.restrict(&s, &api.Process{}, s.Privileged); err != nil {
		return nil, err
	}
	img, err := e.images.Image(s.Image)
	if err != nil {
		return nil, err
	}
	config, err := e.images.Config(img)
	if err != nil {
		return nil, fmt.Errorf("image %s: %w", s.Image, err)
	}
	if err := e.checkPlatform(s, img.Platform); err != nil {
		return nil, err
	}
	p, err := s.process(config.Config)
	if err != nil {
		return nil, err
	}
	s.Mounts = imageVolumes(slices.Clone(s.Mounts), config.Config.Volumes)
	if err := checkMounts(s.Mounts); err != nil {
		return nil, err
	}
	if err := makeSources(s.Mounts); err != nil {
		return nil, err
	}
	if s.Health == nil {
		if s.Health, err = e.images.HealthCheck(img); err != nil {
			return nil, fmt.Errorf("image %s: %w", s.Image, err)
		}
		if err := checkHealth(s.Health); err != nil {
			e.log.Warn("the image's health check is left out", "image", s.Image, "error", err)
			s.Health = nil
		}
	}
	s.Health = completeHealth(s.Health)
	id := newID()
	s.complete(id, e.defaults())
	if err := s.checkResources(); err != nil {
		return nil, err
	}
	rec := record{Version: recordVersion, ID: id, Created: time.Now(), Spec: s, ImageID: img.ID, Arch: img.Platform.Architecture, Process: p, State: State{Status: StatusCreated}}

	e.mu.Lock()
	defer e.mu.Unlock()
	if rec.Name = s.Name; rec.Name == "" {
		rec.Name = madeUpName(func(n string) bool { return e.nameFree(n, nil) == nil })
	} else if err := e.nameFree(rec.Name, nil); err != nil {
		return nil, err
	}
	if err := e.makeVolumes(s.Mounts); err != nil {
		return nil, err
	}
	if err := e.writeNew(rec); err != nil {
		return nil, fmt.Errorf("create container %s: %w", rec.Name, err)
	}
	c := newContainer(e, rec)
	e.containers[id] = c
	c.event("create", nil)
	return c, nil
}

// writeNew puts a new container's directory in place, whole or not at all.
func (e *Engine) writeNew(rec record) (err error) {
	data, err := json.MarshalIndent(rec, "", "\t")
	if err != nil {
		return err
	}
	tmp := e.home.container(prefixNew + rec.ID)
	defer func() {
		if err != nil {
			os.RemoveAll(tmp)
		}
	}()
	if err := os.Mkdir(tmp, 0o700); err != nil {
		return err
	}
	if err := writeFile(e.home.record(prefixNew+rec.ID), data); err != nil {
		return err
	}
	if err := os.Rename(tmp, e.home.container(rec.ID)); err != nil {
		return err
	}
	return syncDir(e.home.containers())
}

// nameFree tells whether a name may be given to c (nil: to a new container).
// The engine's lock is held.
func (e *Engine) nameFree(name string, c *Container) error {
	for _, other := range e.containers {
		if other != c && other.name() == name {
			return errdefs.ErrConflict.WithMessage(fmt.Sprintf(
				"Conflict. The container name %q is already in use by container %q: remove or rename that one, or use another name", "/"+name, other.id))
		}
	}
	return nil
}

// check refuses what cannot work, before anything is made.
func (s *Spec) check() error {
	bad := func(format string, a ...any) error {
		return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf(format, a...))
	}
	if s.Image == "" {
		return bad("no image given")
	}
	if s.Name != "" {
		if err := checkName(s.Name); err != nil {
			return err
		}
	}
	if s.Pod != "" && checkName(s.Pod) != nil {
		return bad("pod %q: use a name of letters, digits, '_', '.' and '-', as for a container", s.Pod)
	}
	if s.SharePIDs && s.Pod == "" {
		return bad("sharing processes: only containers of a pod can")
	}
	if s.CPUs < 0 || s.CPUs > float64(runtime.NumCPU()) || math.IsNaN(s.CPUs) {
		return bad("%g cpus: this host has %d, ask for more than 0 and at most that", s.CPUs, runtime.NumCPU())
	}
	if s.CPUs != 0 && s.CPUs < 0.01 {
		return bad("%g cpus: ask for at least 0.01", s.CPUs)
	}
	if s.Memory != 0 && s.Memory < MinMemory {
		return bad("%d bytes of memory: a container needs at least %d MiB", s.Memory, MinMemory>>20)
	}
	if host := hostMemory(); host > 0 && s.Memory > host-machineOverhead {
		return bad("%d MiB of memory: this host has %d MiB", s.Memory>>20, host>>20)
	}
	if s.DiskSize != 0 && s.DiskSize < MinDiskSize {
		return bad("a disk of %d bytes: a container needs at least %d MiB", s.DiskSize, MinDiskSize>>20)
	}
	if err := s.checkHostNetwork(); err != nil {
		return err
	}
	if len(s.Ports) > 0 && s.Network == NoNetwork {
		return bad("publishing ports: the container has no network")
	}
	for _, p := range s.Ports {
		if p.Container == 0 {
			return bad("port 0 of a container cannot be published")
		}
		if p.Protocol != "tcp" {
			return errdefs.ErrNotImplemented.WithMessage(fmt.Sprintf("publishing %s ports is not implemented yet: port %d", p.Protocol, p.Container))
		}
	}
	if s.StopSignal != "" {
		if _, err := parseSignal(s.StopSignal); err != nil {
			return err
		}
	}
	if len(s.Hostname) > 64 || strings.ContainsAny(s.Hostname, " \t\n/") {
		return bad("hostname %q: use a name of at most 64 letters, digits, '-' and '.'", s.Hostname)
	}
	for _, h := range s.ExtraHosts {
		if _, _, err := parseHost(h); err != nil {
			return bad("extra host %q: %v", h, err)
		}
	}
	if strings.ContainsAny(s.Domainname, " \t\n/") || len(s.Domainname) > 64 {
		return bad("domain name %q: use a name of at most 64 letters, digits, '-' and '.'", s.Domainname)
	}
	for _, list := range [][]string{s.DNSSearch, s.DNSOptions} {
		for _, word := range list {
			if word == "" || strings.ContainsAny(word, " \t\n") {
				return bad("DNS option or search domain %q: use one word", word)
			}
		}
	}
	if s.Umask != nil && *s.Umask > 0o777 {
		return bad("umask %o: use 0 to 777", *s.Umask)
	}
	if err := checkHealth(s.Health); err != nil {
		return err
	}
	if err := s.Restart.check(s.AutoRemove); err != nil {
		return err
	}
	if err := checkSockets(s.Sockets); err != nil {
		return err
	}
	if s.Kernel != "" {
		if err := checkKernel(s.Kernel); err != nil {
			return err
		}
	}
	if s.SSHAgent != "" && !filepath.IsAbs(s.SSHAgent) {
		return bad("SSH agent %q: use the absolute path of its socket", s.SSHAgent)
	}
	if _, err := s.devices(); err != nil {
		return err
	}
	if _, err := s.tmpfsMounts(); err != nil {
		return err
	}
	for _, kv := range s.Env {
		if strings.HasPrefix(kv, "=") || kv == "" || strings.ContainsRune(kv, 0) {
			return bad("environment variable %q: use NAME=value", kv)
		}
	}
	return nil
}

// checkKernel finds what is no kernel at first sight; whether it is one for this
// host's machines the driver tells.
func checkKernel(path string) error {
	if !filepath.IsAbs(path) {
		return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("kernel %q: use the absolute path of a file", path))
	}
	switch st, err := os.Stat(path); {
	case err != nil:
		return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("kernel: %v", err))
	case !st.Mode().IsRegular():
		return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("kernel: %s is not a regular file", path))
	}
	return nil
}

// defaults is what a container gets that asks for nothing.
func (e *Engine) defaults() Defaults {
	d := e.options.Defaults
	if d.CPUs == 0 {
		d.CPUs = float64(min(DefaultCPUs, runtime.NumCPU()))
		if !e.options.Driver.Parallel() {
			d.CPUs = 1
		}
	}
	d.CPUs = min(d.CPUs, float64(runtime.NumCPU()))
	if d.Memory == 0 {
		d.Memory = DefaultMemory
	}
	return d
}

// complete fills in the defaults.
func (s *Spec) complete(id string, d Defaults) {
	if s.CPUs == 0 {
		s.CPUs = d.CPUs
	}
	if s.Memory == 0 {
		s.Memory = d.Memory
	}
	if s.DiskSize == 0 {
		s.DiskSize = d.DiskSize
	}
	if s.Hostname == "" {
		s.Hostname = id[:shortID]
	}
}

// process puts the Spec over the image's configuration, as docker does: a new
// entrypoint clears the image's command.
func (s *Spec) process(c ocispec.ImageConfig) (process, error) {
	entrypoint, command := c.Entrypoint, c.Cmd
	if s.Entrypoint != nil {
		entrypoint, command = s.Entrypoint, nil
	}
	if s.Command != nil {
		command = s.Command
	}
	p := process{Env: mergeEnv(s.ownEnv(c.Env), s.Env), WorkingDir: c.WorkingDir, User: c.User, StopSignal: sigTERM}
	p.Args = append(append(p.Args, entrypoint...), command...)
	if len(p.Args) == 0 || p.Args[0] == "" {
		return p, errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("no command specified: image %s names none, so give one", s.Image))
	}
	if s.WorkingDir != "" {
		p.WorkingDir = s.WorkingDir
	}
	if p.WorkingDir != "" && !strings.HasPrefix(p.WorkingDir, "/") {
		return p, errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("working directory %q is not an absolute path", p.WorkingDir))
	}
	if s.User != "" {
		p.User = s.User
	}
	if sig := s.StopSignal; sig != "" || c.StopSignal != "" {
		if sig == "" {
			sig = c.StopSignal
		}
		var err error
		if p.StopSignal, err = parseSignal(sig); err != nil {
			return p, err
		}
	}
	return p, nil
}

// ownEnv adds to the image's variables what others of the container's parts
// need.
func (s *Spec) ownEnv(image []string) []string {
	if s.SSHAgent == "" {
		return image
	}
	return append(slices.Clip(image), sshVariable+"="+sshSocket)
}

// mergeEnv puts the variables of over on top of base: KEY=value sets, KEY
// alone removes.
func mergeEnv(base, over []string) []string {
	at := map[string]int{}
	var env []string
	set := func(kv string) {
		key, _, ok := strings.Cut(kv, "=")
		i, known := at[key]
		switch {
		case !ok && known:
			env[i] = ""
			delete(at, key)
		case !ok:
		case known:
			env[i] = kv
		default:
			at[key] = len(env)
			env = append(env, kv)
		}
	}
	for _, kv := range base {
		set(kv)
	}
	for _, kv := range over {
		set(kv)
	}
	kept := env[:0]
	for _, kv := range env {
		if kv != "" {
			kept = append(kept, kv)
		}
	}
	return kept
}

// hostGateway stands for the address under which the host is reached.
const hostGateway = "host-gateway"

// parseHost reads "name:address" or "name=address".
func parseHost(s string) (name string, addr netip.Addr, err error) {
	i := strings.IndexAny(s, ":=")
	if i <= 0 {
		return "", addr, errors.New("use name:address")
	}
	name = s[:i]
	if s[i+1:] == hostGateway {
		return name, addr, nil
	}
	addr, err = netip.ParseAddr(strings.Trim(s[i+1:], "[]"))
	return name, addr, err
}

// names are what the container is told about itself and others.
func (r *run) names() *api.Names {
	spec := r.c.rec.Spec
	n := &api.Names{Hostname: spec.Hostname, Domainname: spec.Domainname, Search: spec.DNSSearch, Options: spec.DNSOptions}
	for _, a := range spec.DNS {
		n.Nameservers = append(n.Nameservers, a.String())
	}
	switch e := r.machine.endpoint; {
	case e != nil:
		if n.Hosts = r.hosts(e.Address.Addr().String()); len(spec.DNS) == 0 {
			n.Nameservers = []string{e.DNS.String()}
		}
	case r.machine.hosted != "":
		n.Hosts = r.hosts("") // the guest knows
	}
	return n
}

// hosts are the lines of /etc/hosts beside localhost.
func (r *run) hosts(own string) []*api.Host {
	spec := r.c.rec.Spec
	names := []string{spec.Hostname}
	if spec.Domainname != "" {
		names = []string{spec.Hostname + "." + spec.Domainname, spec.Hostname}
	}
	hs := []*api.Host{{Address: own, Names: names}}
	for _, h := range spec.ExtraHosts {
		name, addr, _ := parseHost(h) // checked by Spec.check
		if !addr.IsValid() {
			addr = r.machine.host
		}
		hs = append(hs, &api.Host{Address: addr.String(), Names: []string{name}})
	}
	return hs
}
