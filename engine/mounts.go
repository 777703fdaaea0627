package engine

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/containerd/errdefs"

	"github.com/skerry-app/skerry/engine/vm"
	"github.com/skerry-app/skerry/guest/api"
)

// MountType is a kind of Mount, in Docker's words.
type MountType string

const (
	MountBind   MountType = "bind"   // a file or directory of the host
	MountVolume MountType = "volume" // a disk of its own
	MountTmpfs  MountType = "tmpfs"
)

// Mount puts something in a place of a container's file system.
type Mount struct {
	Type     MountType
	Source   string // of a bind: absolute path; of a volume: its name, empty for a new one without a name
	Target   string // absolute path in the container
	ReadOnly bool

	MakeSource bool              // of a bind: make a directory where nothing is
	Raw        bool              // of a volume, which must exist: its disk as a block device, not its file system
	NoCopy     bool              // of a volume: leave a new one empty, instead of what the image has
	Labels     map[string]string // of a volume that is made
	Unnamed    bool              // of a volume: made for this container; set by Create
	Size       int64             // of a tmpfs, bytes; 0: half of the memory
	Mode       uint32            // of a tmpfs; 0: 01777
}

// checkMounts refuses mounts that cannot work.
func checkMounts(mounts []Mount) error {
	bad := func(format string, a ...any) error {
		return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf(format, a...))
	}
	targets := map[string]bool{}
	for _, m := range mounts {
		target := path.Clean(m.Target)
		switch {
		case !path.IsAbs(m.Target) || strings.ContainsRune(m.Target, 0):
			return bad("invalid mount path: %q: mount path must be absolute", m.Target)
		case target == "/":
			return bad("invalid mount config for type %q: invalid specification: destination can't be '/'", m.Type)
		case targets[target]:
			return bad("Duplicate mount point: %s", target)
		case m.Type == MountBind && !filepath.IsAbs(m.Source):
			return bad("invalid mount config for type \"bind\": invalid mount path: %q mount path must be absolute", m.Source)
		case m.Raw && (m.Type != MountVolume || m.Source == ""):
			return bad("device %s: only a volume with a name can be one", target)
		case m.Type == MountVolume && m.Source != "":
			if err := checkVolumeName(m.Source); err != nil {
				return err
			}
		case m.Type == MountTmpfs && m.Source != "":
			return bad("invalid mount config for type \"tmpfs\": field Source must not be specified")
		case m.Type != MountBind && m.Type != MountVolume && m.Type != MountTmpfs:
			return bad("mount type unknown: %q", m.Type)
		}
		targets[target] = true
	}
	return nil
}

// imageVolumes adds a volume without a name for each place where the image
// wants one and nothing else is mounted.
func imageVolumes(mounts []Mount, targets map[string]struct{}) []Mount {
	for _, target := range slices.Sorted(maps.Keys(targets)) {
		if !slices.ContainsFunc(mounts, func(m Mount) bool { return path.Clean(m.Target) == path.Clean(target) }) {
			mounts = append(mounts, Mount{Type: MountVolume, Target: target})
		}
	}
	return mounts
}

// makeSources finds the host's files, makes directories where they are asked
// for, and gives volumes without a name one.
func makeSources(mounts []Mount) error {
	for i := range mounts {
		m := &mounts[i]
		switch {
		case m.Type == MountVolume && m.Source == "":
			m.Source, m.Unnamed = newID(), true
		case m.Type == MountBind:
			if _, err := os.Stat(m.Source); m.MakeSource && errors.Is(err, fs.ErrNotExist) {
				if err := os.MkdirAll(m.Source, 0o755); err != nil {
					return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("make the bind mount's source: %v", err))
				}
			}
			if isSocket(m.Source) { // that is relayed
				continue
			}
			if _, err := shareOf(*m); err != nil {
				return err
			}
		}
	}
	return nil
}

// shareOf is what the machine needs for a bind mount: the directory, or the one
// around a file.
func shareOf(m Mount) (vm.Share, error) {
	bad := func(format string, a ...any) (vm.Share, error) {
		return vm.Share{}, errdefs.ErrInvalidArgument.WithMessage("invalid mount config for type \"bind\": " + fmt.Sprintf(format, a...))
	}
	source, err := filepath.EvalSymlinks(m.Source)
	if errors.Is(err, fs.ErrNotExist) {
		return bad("bind source path does not exist: %s", m.Source)
	}
	if err != nil {
		return bad("%v", err)
	}
	st, err := os.Stat(source)
	s := vm.Share{Path: source, ReadOnly: m.ReadOnly}
	switch {
	case err != nil:
		return bad("%v", err)
	case st.Mode().IsRegular():
		s.Path, s.File = filepath.Split(source)
		s.Path = filepath.Clean(s.Path)
	case !st.IsDir():
		return vm.Share{}, errdefs.ErrNotImplemented.WithMessage(fmt.Sprintf("mounting %s is not implemented: it is neither a file, nor a directory, nor a socket", m.Source))
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%v", s.Path, s.File, s.ReadOnly))
	s.Name = hex.EncodeToString(sum[:8])
	return s, nil
}

// sources are what a machine needs for its containers' mounts and programs.
type sources struct {
	shares []vm.Share
	disks  []vm.Disk
	mounts map[string][]*api.Mount // by container
	names  map[string]string       // of volumes, by the serials of their disks
	// devices are disks of volumes, by container.
	devices map[string][]*api.Device

	translators []*api.Translator
	rosetta     bool   // is one of them
	cacheSocket string // of its cache; empty: it has none
}

// sources finds what is to be mounted in containers, and what runs their
// programs. Volumes must be in use by the machine.
func (e *Engine) sources(containers []*Container) (sources, error) {
	s := sources{mounts: map[string][]*api.Mount{}, names: map[string]string{}, devices: map[string][]*api.Device{}}
	for _, c := range containers {
		for _, m := range c.mounts() {
			if m.Type == MountBind && isSocket(m.Source) { // that is relayed
				continue
			}
			if m.Raw {
				d, err := s.addDevice(e, m)
				if err != nil {
					return s, fmt.Errorf("container %s: %w", c.name(), err)
				}
				s.devices[c.id] = append(s.devices[c.id], d)
				continue
			}
			mount, err := s.add(e, m)
			if err != nil {
				return s, fmt.Errorf("container %s: %w", c.name(), err)
			}
			s.mounts[c.id] = append(s.mounts[c.id], mount)
		}
		t, err := e.translator(c.rec.Arch)
		if err == nil {
			err = s.addTranslator(t)
		}
		if err != nil {
			return s, fmt.Errorf("container %s: %w", c.name(), err)
		}
	}
	return s, nil
}

// add has the machine have what a mount needs, and returns the mount for the
// guest.
func (s *sources) add(e *Engine, m Mount) (_ *api.Mount, err error) {
	a := &api.Mount{Target: m.Target}
	if m.ReadOnly {
		a.Options = append(a.Options, "ro")
	}
	switch m.Type {
	case MountBind:
		a.Type = "share"
		a.Source, err = s.addShare(m)
	case MountVolume:
		a.Type = "disk"
		vol, disk, err := e.volumes.attach(m)
		if err != nil {
			return nil, err
		}
		if vol.NBD == "" {
			a.Subpath, a.Populate = volumeData, !m.NoCopy && !m.ReadOnly
		}
		a.Source = s.addVolume(vol.Name, disk)
	case MountTmpfs:
		a.Type, a.Source = "tmpfs", "tmpfs"
		a.Options = append(a.Options, "nosuid", "nodev", "noexec", fmt.Sprintf("mode=%o", tmpfsMode(m.Mode)))
		if m.Size > 0 {
			a.Options = append(a.Options, fmt.Sprintf("size=%d", m.Size))
		}
	}
	return a, err
}

// addDevice has the machine have the disk of a volume, and returns it as a device
// for the guest.
func (s *sources) addDevice(e *Engine, m Mount) (*api.Device, error) {
	vol, disk, err := e.volumes.attach(m)
	if err != nil {
		return nil, err
	}
	access := "rwm"
	if m.ReadOnly {
		access = "r"
	}
	return &api.Device{Disk: s.addVolume(vol.Name, disk), Target: path.Clean(m.Target), Access: access}, nil
}

func tmpfsMode(mode uint32) uint32 {
	if mode == 0 {
		return 0o1777
	}
	return mode
}

// addShare adds what a bind mount needs, once, and returns its path in the file
// system with the shares.
func (s *sources) addShare(m Mount) (string, error) {
	share, err := shareOf(m)
	if err != nil {
		return "", err
	}
	if !slices.Contains(s.shares, share) {
		s.shares = append(s.shares, share)
	}
	return path.Join(share.Name, share.File), nil
}

// inWords has an error of the guest or of the driver say the names of volumes
// instead of the serials of their disks.
func (s *sources) inWords(err error) error {
	text := err.Error()
	for serial, name := range s.names {
		text = strings.ReplaceAll(text, fmt.Sprintf("disk %q", serial), fmt.Sprintf("volume %q", name))
	}
	if text == err.Error() {
		return err
	}
	return errors.New(text)
}

// addVolume adds a volume's disk, once, and returns its serial. A machine that
// may write to it in one place has it writable.
func (s *sources) addVolume(name string, disk vm.Disk) (serial string) {
	for i := range s.disks {
		if have := &s.disks[i]; have.Path == disk.Path && have.URL == disk.URL {
			have.ReadOnly = have.ReadOnly && disk.ReadOnly
			return have.Serial
		}
	}
	disk.Serial = fmt.Sprintf("volume%d", len(s.disks))
	s.disks = append(s.disks, disk)
	s.names[disk.Serial] = name
	return disk.Serial
}
