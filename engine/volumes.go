package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/containerd/errdefs"

	"github.com/skerry-app/skerry/engine/image"
	"github.com/skerry-app/skerry/engine/nbd"
	"github.com/skerry-app/skerry/engine/vm"
)

// Volume is a disk that outlives containers.
type Volume struct {
	Name    string
	Created time.Time
	Labels  map[string]string
	Unnamed bool   // made for a container, under a name of Skerry's
	Size    int64  // that it may grow to, bytes; 0 of a network block device
	NBD     string `json:",omitempty"` // URL of the network block device that it is; empty: a disk image of this host
	Path    string // directory on the host; empty of a network block device
}

// Drivers of volumes.
const (
	DriverLocal = "local" // disk images of this host
	DriverNBD   = "nbd"   // network block devices
)

// Driver is what keeps the volume.
func (v Volume) Driver() string {
	if v.NBD != "" {
		return DriverNBD
	}
	return DriverLocal
}

// place says in words where the volume is.
func (v Volume) place() string {
	if v.NBD != "" {
		return "the network block device " + v.NBD
	}
	return "a disk image of this host"
}

// MinVolumeSize holds a file system and its journal.
const MinVolumeSize = 256 << 20

// volumeData is the directory of a volume's file system that is mounted: ext4
// has a lost+found beside it, which programs that want an empty directory do
// not like. Of a network block device, whose file system is not ours, all is
// mounted.
const volumeData = "data"

// volumes has the volumes, each a directory with a disk and a record.
type volumes struct {
	home  home
	disks *image.Cache

	mu    sync.Mutex
	users map[string]*volumeUsers // by disk, while in use
}

// volumeUsers are the runs that have a volume's disk attached: one that may
// write, or any number of others.
type volumeUsers struct {
	writer  string // the container's name
	readers int
}

var volumeName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]{1,254}$`)

func checkVolumeName(name string) error {
	if !volumeName.MatchString(name) {
		return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf(
			"create %s: %q includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed, from 2 to 255. "+
				"If you intended to pass a host directory, use absolute path", name, name))
	}
	return nil
}

func (v *volumes) record(name string) string {
	return filepath.Join(v.home.volume(name), "volume.json")
}
func (v *volumes) disk(name string) string { return filepath.Join(v.home.volume(name), "data.ext4") }

// open deletes what a crash has left.
func (v *volumes) open() error {
	v.users = map[string]*volumeUsers{}
	entries, err := os.ReadDir(v.home.volumes())
	if err != nil {
		return fmt.Errorf("read directory of volumes: %w", err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), prefixNew) || strings.HasPrefix(e.Name(), prefixGone) {
			if err := os.RemoveAll(v.home.volume(e.Name())); err != nil {
				return fmt.Errorf("remove what is left of a volume: %w", err)
			}
		}
	}
	return nil
}

// get reads a volume's record.
func (v *volumes) get(name string) (Volume, error) {
	var vol Volume
	if checkVolumeName(name) != nil {
		return vol, noSuchVolume(name)
	}
	data, err := os.ReadFile(v.record(name))
	if errors.Is(err, fs.ErrNotExist) {
		return vol, noSuchVolume(name)
	}
	if err == nil {
		err = json.Unmarshal(data, &vol)
	}
	if err != nil || vol.Name != name {
		return vol, fmt.Errorf("volume %s cannot be read: %s: %w", name, v.record(name), err)
	}
	if vol.NBD == "" {
		vol.Path = v.home.volume(name)
	}
	return vol, nil
}

func noSuchVolume(name string) error {
	return errdefs.ErrNotFound.WithMessage(fmt.Sprintf("get %s: no such volume", name))
}

// make makes a volume, unless it is there; made tells.
func (v *volumes) make(vol Volume) (_ Volume, made bool, err error) {
	if err := checkVolumeName(vol.Name); err != nil {
		return vol, false, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if have, err := v.get(vol.Name); err == nil || !errdefs.IsNotFound(err) {
		return have, false, err
	}
	if err := vol.complete(); err != nil {
		return vol, false, err
	}
	vol.Created, vol.Path = time.Now(), ""
	data, err := json.MarshalIndent(vol, "", "\t")
	if err != nil {
		return vol, false, err
	}
	fresh := prefixNew + vol.Name
	defer func() {
		if err != nil {
			os.RemoveAll(v.home.volume(fresh))
		}
	}()
	if err := os.Mkdir(v.home.volume(fresh), 0o700); err != nil {
		return vol, false, fmt.Errorf("make volume %s: %w", vol.Name, err)
	}
	if vol.NBD == "" {
		if err := v.disks.Volume(v.disk(fresh), volumeData, vol.Size); err != nil {
			return vol, false, fmt.Errorf("make volume %s: %w", vol.Name, err)
		}
	}
	if err := writeFile(v.record(fresh), data); err != nil {
		return vol, false, fmt.Errorf("make volume %s: %w", vol.Name, err)
	}
	if err := os.Rename(v.home.volume(fresh), v.home.volume(vol.Name)); err != nil {
		return vol, false, fmt.Errorf("make volume %s: %w", vol.Name, err)
	}
	if vol.NBD == "" {
		vol.Path = v.home.volume(vol.Name)
	}
	return vol, true, syncDir(v.home.volumes())
}

// complete checks a new volume and fills in what is usual.
func (v *Volume) complete() error {
	bad := func(format string, a ...any) error {
		return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("volume %s: %s", v.Name, fmt.Sprintf(format, a...)))
	}
	switch {
	case v.NBD != "" && v.Size != 0:
		return bad("the size of a network block device is its server's to say")
	case v.NBD != "":
		n, err := nbd.Parse(v.NBD)
		if err != nil {
			return bad("%v", err)
		}
		v.NBD = n.String()
	case v.Size == 0:
		v.Size = image.VolumeSize
	case v.Size < MinVolumeSize:
		return bad("%d bytes: it needs at least %d MiB", v.Size, MinVolumeSize>>20)
	}
	return nil
}

// remove deletes a volume and returns what it was. After the rename it does not
// come back. What is on a network block device stays there.
func (v *volumes) remove(name string) (Volume, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	vol, err := v.get(name)
	if err != nil {
		return vol, err
	}
	gone := v.home.volume(prefixGone + name)
	if err := os.Rename(v.home.volume(name), gone); err != nil {
		return vol, fmt.Errorf("remove volume %s: %w", name, err)
	}
	return vol, os.RemoveAll(gone)
}

// attach is the disk of the volume that a mount names, but for its serial.
func (v *volumes) attach(m Mount) (Volume, vm.Disk, error) {
	vol, err := v.get(m.Source)
	disk := vm.Disk{URL: vol.NBD, ReadOnly: m.ReadOnly}
	if vol.NBD == "" {
		disk.Path = v.disk(m.Source)
	}
	return vol, disk, err
}

// claim is what a run wants of a volume's disk.
type claim struct {
	name         string // the volume's
	write        bool
	raw, mounted bool
}

// claims has what mounts want, by disk: two volumes that are the same network
// block device are one.
func (v *volumes) claims(mounts []Mount) (map[string]claim, error) {
	claims := map[string]claim{}
	for _, m := range mounts {
		if m.Type != MountVolume {
			continue
		}
		vol, err := v.get(m.Source)
		if err != nil {
			return nil, err
		}
		disk := vol.Name
		if vol.NBD != "" {
			disk = vol.NBD
		}
		c := claims[disk]
		c.name, c.write, c.raw, c.mounted = vol.Name, c.write || !m.ReadOnly, c.raw || m.Raw, c.mounted || !m.Raw
		claims[disk] = c
		if c.write && c.raw && c.mounted {
			return nil, errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf(
				"volume %s would be mounted and a device in one machine, and its file system be destroyed: use one of the two, or both read-only", vol.Name))
		}
	}
	return claims, nil
}

// use attaches the volumes of a container's mounts to a run, all or none. Two
// machines with one file system, of which one writes, would destroy it. (Whether
// another host uses a network block device nobody here knows.)
func (v *volumes) use(container string, mounts []Mount) (release func(), err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	claims, err := v.claims(mounts)
	if err != nil {
		return nil, err
	}
	for disk, c := range claims {
		u := v.users[disk]
		switch {
		case u == nil:
		case u.writer != "":
			return nil, errdefs.ErrConflict.WithMessage(fmt.Sprintf(
				"volume %s is in use by container %s, which may write to it: stop that one first, or mount the volume read-only in both", c.name, u.writer))
		case c.write && u.readers > 0:
			return nil, errdefs.ErrConflict.WithMessage(fmt.Sprintf(
				"volume %s is in use by %d containers that read it: stop them first, or mount the volume read-only here as well", c.name, u.readers))
		}
	}
	for disk, c := range claims {
		if v.users[disk] == nil {
			v.users[disk] = &volumeUsers{}
		}
		if c.write {
			v.users[disk].writer = container
		} else {
			v.users[disk].readers++
		}
	}
	return func() { v.release(claims) }, nil
}

func (v *volumes) release(claims map[string]claim) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for disk, c := range claims {
		u := v.users[disk]
		if !c.write {
			u.readers--
		}
		if c.write || u.readers == 0 {
			delete(v.users, disk)
		}
	}
}

// CreateVolume makes a volume with a name, labels and a size (0: 64 GiB), or the
// URL of a network block device, or returns the one that has the name. One that
// is kept elsewhere gives errdefs.ErrConflict. An empty name stands for one
// without a name.
func (e *Engine) CreateVolume(vol Volume) (Volume, error) {
	if vol.Name == "" {
		vol.Name, vol.Unnamed = newID(), true
	}
	wanted := vol
	if err := wanted.complete(); err != nil {
		return vol, err
	}
	vol, made, err := e.volumes.make(vol)
	if err != nil {
		return vol, err
	}
	if made {
		e.volumeEvent("create", vol)
	} else if vol.NBD != wanted.NBD {
		return vol, errdefs.ErrConflict.WithMessage(fmt.Sprintf(
			"volume %s is there already and is %s: remove it first, or choose another name", vol.Name, vol.place()))
	}
	return vol, nil
}

// Volume finds a volume by its name; none gives errdefs.ErrNotFound.
func (e *Engine) Volume(name string) (Volume, error) { return e.volumes.get(name) }

// Volumes lists all volumes by name.
func (e *Engine) Volumes() ([]Volume, error) {
	entries, err := os.ReadDir(e.home.volumes())
	if err != nil {
		return nil, fmt.Errorf("list volumes: %w", err)
	}
	var list []Volume
	for _, entry := range entries {
		if vol, err := e.volumes.get(entry.Name()); err == nil {
			list = append(list, vol)
		}
	}
	return list, nil
}

// RemoveVolume deletes a volume and its data. One that a container has, running
// or not, gives errdefs.ErrConflict.
func (e *Engine) RemoveVolume(name string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if ids := e.volumeUsers()[name]; len(ids) > 0 {
		return errdefs.ErrConflict.WithMessage(fmt.Sprintf("remove %s: volume is in use - [%s]: remove these containers first", name, strings.Join(ids, ", ")))
	}
	vol, err := e.volumes.remove(name)
	if err != nil {
		return err
	}
	e.volumeEvent("destroy", vol)
	return nil
}

// UnusedVolumes lists the volumes that no container has.
func (e *Engine) UnusedVolumes() ([]Volume, error) {
	all, err := e.Volumes()
	e.mu.Lock()
	defer e.mu.Unlock()
	used := e.volumeUsers()
	return slices.DeleteFunc(all, func(v Volume) bool { return len(used[v.Name]) > 0 }), err
}

// volumeUsers has the containers of each volume. The engine's lock is held.
func (e *Engine) volumeUsers() map[string][]string {
	users := map[string][]string{}
	for id, c := range e.containers {
		for _, m := range c.mounts() {
			if m.Type == MountVolume && !slices.Contains(users[m.Source], id) {
				users[m.Source] = append(users[m.Source], id)
			}
		}
	}
	return users
}

// mounts are the container's, which do not change.
func (c *Container) mounts() []Mount { return c.rec.Spec.Mounts }

// makeVolumes makes the volumes that a new container's mounts name and that are
// not there.
func (e *Engine) makeVolumes(mounts []Mount) error {
	for _, m := range mounts {
		if m.Type != MountVolume {
			continue
		}
		if m.Raw {
			if _, err := e.volumes.get(m.Source); errdefs.IsNotFound(err) {
				return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("device %s: there is no volume %s: make it first", m.Target, m.Source))
			}
			continue
		}
		vol, made, err := e.volumes.make(Volume{Name: m.Source, Labels: m.Labels, Unnamed: m.Unnamed})
		if err != nil {
			return err
		}
		if made {
			e.volumeEvent("create", vol)
		}
	}
	return nil
}

// removeUnnamed deletes the volumes that were made for a container. One that
// another container has taken by its name stays.
func (e *Engine) removeUnnamed(mounts []Mount) {
	for _, m := range mounts {
		if m.Type != MountVolume || !m.Unnamed {
			continue
		}
		if err := e.RemoveVolume(m.Source); err != nil && !errdefs.IsNotFound(err) && !errdefs.IsConflict(err) {
			e.log.Error("remove a container's volume", "volume", m.Source, "error", err)
		}
	}
}

func (e *Engine) volumeEvent(action string, vol Volume) {
	e.bus.publish(Event{Type: "volume", Action: action, ID: vol.Name, Name: vol.Name, Attributes: map[string]string{"driver": vol.Driver()}})
}
