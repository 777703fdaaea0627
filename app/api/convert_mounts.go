package api

import (
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"

	"github.com/skerry-app/skerry/engine"
)

// toMounts converts what is to be mounted: lines as of -v, places for volumes
// without a name, and mounts in full.
func toMounts(places map[string]struct{}, h *container.HostConfig) ([]engine.Mount, error) {
	var mounts []engine.Mount
	for _, line := range h.Binds {
		m, err := parseBind(line)
		if err != nil {
			return nil, err
		}
		mounts = append(mounts, m)
	}
	for _, m := range h.Mounts {
		mounts = append(mounts, toMount(m))
	}
	for _, d := range h.Devices {
		if !volumeDevice(d) {
			continue
		}
		if strings.Trim(d.CgroupPermissions, "rwm") != "" {
			return nil, invalid("device %s: access %q: use letters of rwm", d.PathOnHost, d.CgroupPermissions)
		}
		readOnly := d.CgroupPermissions != "" && !strings.Contains(d.CgroupPermissions, "w")
		mounts = append(mounts, engine.Mount{Type: engine.MountVolume, Source: d.PathOnHost, Target: d.PathInContainer, ReadOnly: readOnly, Raw: true})
	}
	for _, target := range slices.Sorted(maps.Keys(places)) {
		if !slices.ContainsFunc(mounts, func(m engine.Mount) bool { return path.Clean(m.Target) == path.Clean(target) }) {
			mounts = append(mounts, engine.Mount{Type: engine.MountVolume, Target: target})
		}
	}
	return mounts, nil
}

// volumeDevice tells a volume's disk, which is named in the place of a path, from
// the devices of the machine.
func volumeDevice(d container.DeviceMapping) bool {
	return d.PathOnHost != "" && !strings.Contains(d.PathOnHost, "/")
}

// fromRaw are the devices that are volumes' disks.
func fromRaw(mounts []engine.Mount) (devices []container.DeviceMapping) {
	for _, m := range mounts {
		if m.Raw {
			access := "rwm"
			if m.ReadOnly {
				access = "r"
			}
			devices = append(devices, container.DeviceMapping{PathOnHost: m.Source, PathInContainer: m.Target, CgroupPermissions: access})
		}
	}
	return devices
}

// parseBind reads "source:target[:mode]"; a source that is no path is a volume.
func parseBind(line string) (engine.Mount, error) {
	parts := strings.Split(line, ":")
	m := engine.Mount{Type: engine.MountVolume}
	switch {
	case len(parts) == 1:
		m.Target = parts[0]
		return m, nil
	case len(parts) > 3 || parts[0] == "" || parts[1] == "":
		return m, invalid("invalid volume specification: '%s'", line)
	case len(parts) == 3:
		if err := setMode(&m, line, parts[2]); err != nil {
			return m, err
		}
	}
	m.Source, m.Target = parts[0], parts[1]
	if strings.HasPrefix(m.Source, "/") {
		m.Type, m.MakeSource = engine.MountBind, true
	}
	return m, nil
}

// setMode reads the words behind a bind. Those for SELinux, and for how fresh
// another system's files are to be, ask for nothing here.
func setMode(m *engine.Mount, line, mode string) error {
	for word := range strings.SplitSeq(mode, ",") {
		switch word {
		case "ro":
			m.ReadOnly = true
		case "nocopy":
			m.NoCopy = true
		case "", "rw", "z", "Z", "private", "rprivate", "cached", "delegated", "consistent", "default":
		case "shared", "rshared", "slave", "rslave":
			return notImplemented("the mount propagation " + word + " is")
		default:
			return invalid("invalid mode: %s in volume specification '%s'", word, line)
		}
	}
	return nil
}

func toMount(m mount.Mount) engine.Mount {
	e := engine.Mount{Type: engine.MountType(m.Type), Source: m.Source, Target: m.Target, ReadOnly: m.ReadOnly}
	if o := m.BindOptions; o != nil {
		e.MakeSource = o.CreateMountpoint
	}
	if o := m.VolumeOptions; o != nil {
		e.NoCopy, e.Labels = o.NoCopy, o.Labels
	}
	if o := m.TmpfsOptions; o != nil {
		e.Size, e.Mode = o.SizeBytes, uint32(o.Mode.Perm())
		if o.Mode&os.ModeSticky != 0 || o.Mode&0o1000 != 0 {
			e.Mode |= 0o1000
		}
	}
	return e
}

// refusedOf lists what a mount may ask for and does not get.
func refusedOf(m mount.Mount) []feature {
	features := []feature{{string(m.Type) + " mounts are",
		m.Type == mount.TypeNamedPipe || m.Type == mount.TypeCluster || m.Type == mount.TypeImage}}
	if o := m.BindOptions; o != nil {
		shared := o.Propagation != "" && o.Propagation != mount.PropagationPrivate && o.Propagation != mount.PropagationRPrivate
		features = append(features, feature{"the mount propagation " + string(o.Propagation) + " is", shared})
	}
	if o := m.VolumeOptions; o != nil {
		features = append(features, feature{"mounting a part of a volume is", o.Subpath != ""})
		if d := o.DriverConfig; d != nil {
			nbd := d.Name == engine.DriverNBD
			features = append(features, feature{`a mount that makes a volume of the driver nbd (make it before, with "volume create") is`, nbd},
				feature{"the volume driver " + d.Name + " is", d.Name != "" && d.Name != engine.DriverLocal && !nbd},
				feature{"options of the volume driver are", len(d.Options) > 0})
		}
	}
	if o := m.TmpfsOptions; o != nil {
		features = append(features, feature{"further options of a tmpfs are", len(o.Options) > 0})
	}
	return features
}

func mode(m engine.Mount) string {
	if m.ReadOnly {
		return "ro"
	}
	return ""
}

// toMountPoints shows a container's mounts.
func toMountPoints(mounts []engine.Mount) []container.MountPoint {
	points := []container.MountPoint{}
	for _, m := range mounts {
		p := container.MountPoint{Type: mount.Type(m.Type), Source: m.Source, Destination: m.Target, Mode: mode(m), RW: !m.ReadOnly}
		switch m.Type {
		case engine.MountBind:
			p.Propagation = mount.PropagationRPrivate
		case engine.MountVolume:
			p.Name, p.Driver, p.Source = m.Source, engine.DriverLocal, ""
		}
		points = append(points, p)
	}
	return points
}

// fromMounts are the mounts as somebody could have asked for them.
func fromMounts(mounts []engine.Mount) (binds []string, full []mount.Mount) {
	for _, m := range mounts {
		switch {
		case m.Unnamed, m.Raw:
		case m.Type == engine.MountTmpfs || m.Type == engine.MountBind && !m.MakeSource:
			f := mount.Mount{Type: mount.Type(m.Type), Source: m.Source, Target: m.Target, ReadOnly: m.ReadOnly}
			if m.Size != 0 || m.Mode != 0 {
				f.TmpfsOptions = &mount.TmpfsOptions{SizeBytes: m.Size, Mode: os.FileMode(m.Mode)}
			}
			full = append(full, f)
		default:
			bind := m.Source + ":" + m.Target
			if m.ReadOnly {
				bind += ":ro"
			}
			binds = append(binds, bind)
		}
	}
	return binds, full
}
