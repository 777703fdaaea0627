package api

import (
	"github.com/moby/moby/api/types/container"

	"github.com/skerry-app/skerry/engine"
)

// feature is something that Docker can do and Skerry cannot. Its name comes
// with its verb, "volumes are".
type feature struct {
	name  string
	asked bool
}

func firstRefused(features []feature) error {
	for _, f := range features {
		if f.asked {
			return notImplemented(f.name)
		}
	}
	return nil
}

// refuse gives an error for the first thing asked for that the engine does not
// do: a container that lacks what was asked for is worse than none.
func refuse(c *container.Config, h *container.HostConfig) error {
	if err := container.ValidateRestartPolicy(h.RestartPolicy); err != nil {
		return invalid("%v", err)
	}
	for _, features := range [][]feature{mountFeatures(h), processFeatures(c, h), namespaceFeatures(h), resourceFeatures(&h.Resources)} {
		if err := firstRefused(features); err != nil {
			return err
		}
	}
	return nil
}

func mountFeatures(h *container.HostConfig) []feature {
	features := []feature{
		{"volumes of other containers (--volumes-from) are", len(h.VolumesFrom) > 0},
		{"the volume driver " + h.VolumeDriver + " is", h.VolumeDriver != "" && h.VolumeDriver != engine.DriverLocal},
	}
	for _, m := range h.Mounts {
		features = append(features, refusedOf(m)...)
	}
	return features
}

func processFeatures(c *container.Config, h *container.HostConfig) []feature {
	return []feature{
		{"containers without a network are", c.NetworkDisabled},
		{"links between containers are", len(h.Links) > 0},
		{"annotations are", len(h.Annotations) > 0},
		{"the logging driver " + h.LogConfig.Type + " is", !knownLog(h.LogConfig.Type)},
		{"options of the logging driver are", len(h.LogConfig.Config) > 0},
		{"the runtime " + h.Runtime + " is", h.Runtime != "" && h.Runtime != runtimeName},
	}
}

// knownLog: output is kept in files and can be read back, which is what
// clients that name one of these want.
func knownLog(driver string) bool {
	return driver == "" || driver == logDriver || driver == "json-file"
}

// namespaceFeatures: a machine shares nothing with the host or another machine.
func namespaceFeatures(h *container.HostConfig) []feature {
	return []feature{
		{"sharing the PID namespace is", h.PidMode != ""},
		{"sharing the IPC namespace is", h.IpcMode != "" && !h.IpcMode.IsPrivate()},
		{"sharing the UTS namespace is", h.UTSMode != ""},
		{"sharing the cgroup namespace is", h.CgroupnsMode.IsHost()},
		{"choosing a user namespace is", h.UsernsMode != ""},
		{"sharing another container's cgroup is", h.Cgroup != ""},
		{"isolation modes are", !h.Isolation.IsDefault()},
	}
}

func resourceFeatures(r *container.Resources) []feature {
	return []feature{
		{"device requests (GPUs) are", len(r.DeviceRequests) > 0},
		{"real-time scheduling is", r.CPURealtimePeriod != 0 || r.CPURealtimeRuntime != 0},
		{"a parent cgroup is", r.CgroupParent != ""},
		{"weights of block I/O are", r.BlkioWeight != 0 || len(r.BlkioWeightDevice) > 0},
		// The docker command sends -1 for a swappiness that was not given.
		{"swappiness is", r.MemorySwappiness != nil && *r.MemorySwappiness != -1},
		{"disabling the OOM killer is", r.OomKillDisable != nil && *r.OomKillDisable},
		{"Windows' resource limits are", r.CPUCount != 0 || r.CPUPercent != 0 || r.IOMaximumIOps != 0 || r.IOMaximumBandwidth != 0},
	}
}
