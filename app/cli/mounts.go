package cli

import (
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/docker/go-units"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
)

// mountFlags are -v and --mount.
type mountFlags struct{ volumes, mounts []string }

// fill puts what is to be mounted into a request, with paths of this host made
// absolute: the app has another working directory.
func (f *mountFlags) fill(config *container.Config, host *container.HostConfig) error {
	for _, text := range f.volumes {
		source, rest, both := strings.Cut(text, ":")
		switch {
		case text == "" || both && (source == "" || rest == ""):
			return fmt.Errorf("--volume must be [source:]target[:options], not %q", text)
		case !both:
			if config.Volumes == nil {
				config.Volumes = map[string]struct{}{}
			}
			config.Volumes[source] = struct{}{}
			continue
		}
		if strings.HasPrefix(source, ".") {
			absolute, err := filepath.Abs(source)
			if err != nil {
				return err
			}
			text = absolute + ":" + rest
		}
		host.Binds = append(host.Binds, text)
	}
	for _, text := range f.mounts {
		m, err := parseMount(text)
		if err != nil {
			return fmt.Errorf("--mount %q: %w", text, err)
		}
		host.Mounts = append(host.Mounts, m)
	}
	return nil
}

// parseMount reads docker's "type=bind,source=/a,target=/b,readonly".
func parseMount(text string) (mount.Mount, error) {
	m := mount.Mount{Type: mount.TypeVolume}
	fields, err := csv.NewReader(strings.NewReader(text)).Read()
	if err != nil {
		return m, err
	}
	for _, field := range fields {
		key, value, valued := strings.Cut(field, "=")
		if err := setMountField(&m, strings.ToLower(strings.TrimSpace(key)), value, valued); err != nil {
			return m, err
		}
	}
	switch {
	case m.Target == "":
		return m, errors.New("it has no target")
	case m.Type == mount.TypeBind && m.Source == "":
		return m, errors.New("a bind mount needs a source")
	case m.VolumeOptions != nil && m.Type != mount.TypeVolume:
		return m, fmt.Errorf("a %s mount has no options of a volume", m.Type)
	case m.BindOptions != nil && m.Type != mount.TypeBind:
		return m, fmt.Errorf("a %s mount has no options of a bind mount", m.Type)
	case m.TmpfsOptions != nil && m.Type != mount.TypeTmpfs:
		return m, fmt.Errorf("a %s mount has no options of a tmpfs", m.Type)
	}
	if m.Type == mount.TypeBind && strings.HasPrefix(m.Source, ".") {
		m.Source, err = filepath.Abs(m.Source)
	}
	return m, err
}

func setMountField(m *mount.Mount, key, value string, valued bool) error {
	yes := func() (bool, error) {
		if !valued {
			return true, nil
		}
		on, err := strconv.ParseBool(value)
		if err != nil {
			return false, fmt.Errorf("%s must be true or false, not %q", key, value)
		}
		return on, nil
	}
	var err error
	switch key {
	case "readonly", "ro":
		m.ReadOnly, err = yes()
		return err
	case "volume-nocopy":
		volumeOptions(m).NoCopy, err = yes()
		return err
	case "bind-create-src":
		bindOptions(m).CreateMountpoint, err = yes()
		return err
	}
	if !valued {
		return fmt.Errorf("%q must be key=value", key)
	}
	switch key {
	case "type":
		m.Type = mount.Type(strings.ToLower(value))
	case "source", "src":
		m.Source = value
	case "target", "dst", "destination":
		m.Target = value
	case "consistency":
		m.Consistency = mount.Consistency(value)
	case "bind-propagation":
		bindOptions(m).Propagation = mount.Propagation(value)
	case "volume-subpath":
		volumeOptions(m).Subpath = value
	case "volume-label":
		o := volumeOptions(m)
		if o.Labels == nil {
			o.Labels = map[string]string{}
		}
		name, label, _ := strings.Cut(value, "=")
		o.Labels[name] = label
	case "volume-driver":
		volumeOptions(m).DriverConfig = &mount.Driver{Name: value}
	case "tmpfs-size":
		if tmpfsOptions(m).SizeBytes, err = units.RAMInBytes(value); err != nil {
			return fmt.Errorf("%s must be a size such as 64m, not %q", key, value)
		}
	case "tmpfs-mode":
		mode, err := strconv.ParseUint(value, 8, 32)
		if err != nil {
			return fmt.Errorf("%s must be an octal mode such as 1777, not %q", key, value)
		}
		tmpfsOptions(m).Mode = os.FileMode(mode)
	default:
		return fmt.Errorf("%q is nothing that a mount has", key)
	}
	return nil
}

func volumeOptions(m *mount.Mount) *mount.VolumeOptions {
	if m.VolumeOptions == nil {
		m.VolumeOptions = &mount.VolumeOptions{}
	}
	return m.VolumeOptions
}

func bindOptions(m *mount.Mount) *mount.BindOptions {
	if m.BindOptions == nil {
		m.BindOptions = &mount.BindOptions{}
	}
	return m.BindOptions
}

func tmpfsOptions(m *mount.Mount) *mount.TmpfsOptions {
	if m.TmpfsOptions == nil {
		m.TmpfsOptions = &mount.TmpfsOptions{}
	}
	return m.TmpfsOptions
}
