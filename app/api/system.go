package api

import (
	"context"
	"net/http"
	"os"
	"runtime"
	"time"

	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/api/types/system"

	"github.com/skerry-app/skerry/engine"
)

// checkTimeout bounds the examination of the host.
const checkTimeout = 20 * time.Second

func (s *Server) ping(w http.ResponseWriter, r *http.Request) error {
	h := w.Header()
	h.Set("Cache-Control", "no-cache, no-store, must-revalidate")
	h.Set("Pragma", "no-cache")
	h.Set("Swarm", string(swarm.LocalNodeStateInactive))
	h.Set("Content-Type", "text/plain; charset=utf-8")
	if r.Method == http.MethodHead {
		h.Set("Content-Length", "0")
		return nil
	}
	_, err := w.Write([]byte("OK"))
	return err
}

func (s *Server) dockerVersion(w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, http.StatusOK, system.VersionResponse{
		Platform: system.PlatformInfo{Name: "Skerry"},
		Version:  s.options.Version, APIVersion: maxVersion, MinAPIVersion: minVersion,
		Os: "linux", Arch: runtime.GOARCH, GoVersion: runtime.Version(),
		Components: []system.ComponentVersion{{Name: "Engine", Version: s.options.Version, Details: map[string]string{
			"ApiVersion": maxVersion, "MinAPIVersion": minVersion, "Os": "linux", "Arch": runtime.GOARCH, "GoVersion": runtime.Version(),
			"Experimental": "false",
		}}},
	})
}

func (s *Server) info(w http.ResponseWriter, _ *http.Request) error {
	name, err := os.Hostname()
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, toInfo(s.engine.Info(), name, time.Now()))
}

func toInfo(i engine.Info, host string, now time.Time) system.Info {
	running, paused, all := i.Containers[engine.StatusRunning], i.Containers[engine.StatusPaused], 0
	for _, n := range i.Containers {
		all += n
	}
	return system.Info{
		ID:         identity("engine", i.Home),
		Containers: all, ContainersRunning: running, ContainersPaused: paused, ContainersStopped: all - running - paused,
		Images: i.Images,
		Driver: storageDriver, DriverStatus: [][2]string{{"Hypervisor", i.Driver}, {"Kernel", i.Kernel}},
		Plugins:     system.PluginsInfo{Volume: []string{}, Network: []string{bridge}, Log: []string{logDriver}},
		MemoryLimit: true, CPUCfsPeriod: true, CPUCfsQuota: true, IPv4Forwarding: true,
		SystemTime:    now.Format(time.RFC3339Nano),
		LoggingDriver: logDriver, CgroupDriver: "cgroupfs", CgroupVersion: "2",
		OperatingSystem: "Skerry", OSType: "linux", Architecture: architecture(runtime.GOARCH),
		IndexServerAddress: "https://index.docker.io/v1/",
		NCPU:               i.CPUs, MemTotal: i.Memory, DockerRootDir: i.Home, Name: host, Labels: []string{},
		ServerVersion: i.Version,
		Runtimes:      map[string]system.RuntimeWithStatus{runtimeName: {}}, DefaultRuntime: runtimeName,
		Swarm:           swarm.Info{LocalNodeState: swarm.LocalNodeStateInactive},
		SecurityOptions: []string{}, CDISpecDirs: []string{}, Warnings: []string{},
	}
}

// architecture is uname's name for one of Go's.
func architecture(goarch string) string {
	switch goarch {
	case "amd64":
		return "x86_64"
	case "arm64":
		return "aarch64"
	}
	return goarch
}

// skerryInfo is the answer to GET /skerry/version.
type skerryInfo struct {
	Version string `json:"version"`
	Driver  string `json:"driver"`
	Kernel  string `json:"kernel"`
	Home    string `json:"home"`
}

func (s *Server) skerryVersion(w http.ResponseWriter, _ *http.Request) error {
	i := s.engine.Info()
	return writeJSON(w, http.StatusOK, skerryInfo{Version: s.options.Version, Driver: i.Driver, Kernel: i.Kernel, Home: i.Home})
}

// finding is an element of the answer to GET /skerry/doctor.
type finding struct {
	OK      bool   `json:"ok"`
	Subject string `json:"subject"`
	Detail  string `json:"detail"`
	Fix     string `json:"fix,omitempty"`
}

func (s *Server) doctor(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := context.WithTimeout(r.Context(), checkTimeout)
	defer cancel()
	list := []finding{}
	for _, f := range s.engine.Check(ctx) {
		list = append(list, finding(f))
	}
	return writeJSON(w, http.StatusOK, list)
}

// quit answers first: the app's end cuts connections.
func (s *Server) quit(w http.ResponseWriter, _ *http.Request) error {
	if s.options.Quit == nil {
		return notImplemented("ending the app from here is")
	}
	w.WriteHeader(http.StatusAccepted)
	if err := http.NewResponseController(w).Flush(); err != nil {
		s.log.Debug("answer to quit", "error", err)
	}
	s.log.Info("a client asks the app to quit")
	s.options.Quit()
	return nil
}
