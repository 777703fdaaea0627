package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/containerd/errdefs"

	"github.com/skerry-app/skerry/engine/image"
)

// Volume is a disk that outlives containers.
type Volume struct {
	Name    string
	Created time.Time
	Labels  map[string]string
	Unnamed bool   // made for a container, under a name of Skerry's
	Size    int64  // that it may grow to, bytes
	Path    string // directory on the host
}

// MinVolumeSize holds a file system and its journal.
const MinVolumeSize = 256 << 20

// volumeData is the directory of a volume's file system that is mounted: ext4
// has a lost+found beside it, which programs that want an empty directory do
// not like.
const volumeData = "data"

// volumes has the volumes, each a directory with a disk and a record.
type volumes struct {
	home  home
	disks *image.Cache

	mu    sync.Mutex
	users map[string]*volumeUsers // by name, while in use
}

// volumeUsers are the runs that have a volume attached: one that may write, or
// any number of others.
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
	vol.Path = v.home.volume(name)
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
	switch {
	case vol.Size == 0:
		vol.Size = image.VolumeSize
	case vol.Size < MinVolumeSize:
		return vol, false, errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("volume %s: %d bytes: it needs at least %d MiB", vol.Name, vol.Size, MinVolumeSize>>20))
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
	if err := v.disks.Volume(v.disk(fresh), volumeData, vol.Size); err != nil {
		return vol, false, fmt.Errorf("make volume %s: %w", vol.Name, err)
	}
	if err := writeFile(v.record(fresh), data); err != nil {
		return vol, false, fmt.Errorf("make volume %s: %w", vol.Name, err)
	}
	if err := os.Rename(v.home.volume(fresh), v.home.volume(vol.Name)); err != nil {
		return vol, false, fmt.Errorf("make volume %s: %w", vol.Name, err)
	}
	vol.Path = v.home.volume(vol.Name)
	return vol, true, syncDir(v.home.volumes())
}

// remove deletes a volume. After the rename it does not come back.
func (v *volumes) remove(name string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, err := v.get(name); err != nil {
		return err
	}
	gone := v.home.volume(prefixGone + name)
	if err := os.Rename(v.home.volume(name), gone); err != nil {
		return fmt.Errorf("remove volume %s: %w", name, err)
	}
	return os.RemoveAll(gone)
}

// use attaches the volumes of a container's mounts to a run, all or none. Two
// machines with one file system, of which one writes, would destroy it.
func (v *volumes) use(container string, mounts []Mount) (release func(), err error) {
	wanted := writers(mounts)
	v.mu.Lock()
	defer v.mu.Unlock()
	for name, write := range wanted {
		if _, err := v.get(name); err != nil {
			return nil, err
		}
		u := v.users[name]
		switch {
		case u == nil:
		case u.writer != "":
			return nil, errdefs.ErrConflict.WithMessage(fmt.Sprintf(
				"volume %s is in use by container %s, which may write to it: stop that one first, or mount the volume read-only in both", name, u.writer))
		case write && u.readers > 0:
			return nil, errdefs.ErrConflict.WithMessage(fmt.Sprintf(
				"volume %s is in use by %d containers that read it: stop them first, or mount the volume read-only here as well", name, u.readers))
		}
	}
	for name, write := range wanted {
		if v.users[name] == nil {
			v.users[name] = &volumeUsers{}
		}
		if write {
			v.users[name].writer = container
		} else {
			v.users[name].readers++
		}
	}
	return func() { v.release(wanted) }, nil
}

func (v *volumes) release(used map[string]bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for name, write := range used {
		u := v.users[name]
		if !write {
			u.readers--
		}
		if write || u.readers == 0 {
			delete(v.users, name)
		}
	}
}

// writers tells for each volume among mounts whether one may write to it.
func writers(mounts []Mount) map[string]bool {
	wanted := map[string]bool{}
	for _, m := range mounts {
		if m.Type == MountVolume {
			wanted[m.Source] = wanted[m.Source] || !m.ReadOnly
		}
	}
	return wanted
}

// CreateVolume makes a volume with a name, labels and a size (0: 64 GiB), or
// returns the one that has the name. An empty name stands for one without a name.
func (e *Engine) CreateVolume(vol Volume) (Volume, error) {
	if vol.Name == "" {
		vol.Name, vol.Unnamed = newID(), true
	}
	vol, made, err := e.volumes.make(vol)
	if made {
		e.volumeEvent("create", vol.Name)
	}
	return vol, err
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
	if err := e.volumes.remove(name); err != nil {
		return err
	}
	e.volumeEvent("destroy", name)
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
		for name := range maps.Keys(writers(c.mounts())) {
			users[name] = append(users[name], id)
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
		_, made, err := e.volumes.make(Volume{Name: m.Source, Labels: m.Labels, Unnamed: m.Unnamed})
		if err != nil {
			return err
		}
		if made {
			e.volumeEvent("create", m.Source)
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

func (e *Engine) volumeEvent(action, name string) {
	e.bus.publish(Event{Type: "volume", Action: action, ID: name, Name: name, Attributes: map[string]string{"driver": "local"}})
}
