package api

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/go-units"
	"github.com/moby/moby/api/types/volume"

	"github.com/skerry-app/skerry/engine"
)

func toVolume(v engine.Volume) volume.Volume {
	labels := nonNilMap(v.Labels)
	if v.Unnamed {
		labels = map[string]string{unnamedLabel: ""}
		for k, value := range v.Labels {
			labels[k] = value
		}
	}
	options := map[string]string{}
	if v.NBD != "" {
		options[optionURL] = v.NBD
	}
	return volume.Volume{Name: v.Name, Driver: v.Driver(), Scope: "local", Mountpoint: v.Path,
		CreatedAt: v.Created.UTC().Format(time.RFC3339), Labels: labels, Options: options}
}

// Options of volume drivers.
const (
	optionSize = "size" // of local: what the volume may grow to
	optionURL  = "url"  // of nbd: where the network block device is
)

// unnamedLabel is how Docker marks volumes that were made without a name.
const unnamedLabel = "com.docker.volume.anonymous"

func (s *Server) listVolumes(w http.ResponseWriter, r *http.Request) error {
	f, err := parseFilters(r, "dangling", "driver", "label", "name")
	if err != nil {
		return err
	}
	all, err := s.engine.Volumes()
	if err != nil {
		return err
	}
	unused := map[string]bool{}
	if len(f["dangling"]) > 0 {
		list, err := s.engine.UnusedVolumes()
		if err != nil {
			return err
		}
		for _, v := range list {
			unused[v.Name] = true
		}
	}
	answer := volume.ListResponse{Volumes: []volume.Volume{}, Warnings: []string{}}
	for _, e := range all {
		v := toVolume(e)
		dangling := "false"
		if unused[v.Name] {
			dangling = "true"
		}
		if f.exact("dangling", dangling, map[string]string{"true": "1", "false": "0"}[dangling]) && f.exact("driver", v.Driver) &&
			f.labels("label", v.Labels) && f.matches("name", v.Name) {
			answer.Volumes = append(answer.Volumes, v)
		}
	}
	return writeJSON(w, http.StatusOK, answer)
}

func (s *Server) inspectVolume(w http.ResponseWriter, r *http.Request) error {
	v, err := s.engine.Volume(r.PathValue("name"))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, toVolume(v))
}

// newVolume reads the options of a volume's driver.
func newVolume(req volume.CreateRequest) (engine.Volume, error) {
	vol := engine.Volume{Name: req.Name, Labels: req.Labels}
	nbd := req.Driver == engine.DriverNBD
	for option, value := range req.DriverOpts {
		switch {
		case option == optionURL && nbd:
			vol.NBD = value
		case option == optionURL:
			return vol, invalid("volume option url=%q: it belongs to the driver nbd", value)
		case option == optionSize && nbd:
			return vol, invalid("volume option size=%q: the size of a network block device is its server's to say", value)
		case option == optionSize:
			size, err := units.RAMInBytes(value)
			if err != nil {
				return vol, invalid("volume option size=%q: use a size such as 20g", value)
			}
			vol.Size = size
		default:
			return vol, notImplemented("the volume option " + option + " is")
		}
	}
	if nbd && vol.NBD == "" {
		return vol, invalid("the volume driver nbd needs the option url=nbd://host/export or url=nbd+unix:///export?socket=/path")
	}
	return vol, nil
}

func (s *Server) createVolume(w http.ResponseWriter, r *http.Request) error {
	var req volume.CreateRequest
	if err := readJSON(r, &req); err != nil {
		return err
	}
	if err := firstRefused([]feature{
		{"the volume driver " + req.Driver + " is", req.Driver != "" && req.Driver != engine.DriverLocal && req.Driver != engine.DriverNBD},
		{"cluster volumes are", req.ClusterVolumeSpec != nil},
	}); err != nil {
		return err
	}
	vol, err := newVolume(req)
	if err != nil {
		return err
	}
	v, err := s.engine.CreateVolume(vol)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, toVolume(v))
}

// removeVolume: force only forgives that there is none.
func (s *Server) removeVolume(w http.ResponseWriter, r *http.Request) error {
	err := s.engine.RemoveVolume(r.PathValue("name"))
	if err != nil && !(boolean(r, "force") && errdefs.IsNotFound(err)) {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// pruneVolumes removes what no container has: volumes without a name, and with
// the filter "all" the others too.
func (s *Server) pruneVolumes(w http.ResponseWriter, r *http.Request) error {
	f, err := parseFilters(r, "all", "label")
	if err != nil {
		return err
	}
	unused, err := s.engine.UnusedVolumes()
	if err != nil {
		return err
	}
	all := len(f["all"]) > 0 && f.exact("all", "true", "1")
	report := volume.PruneReport{VolumesDeleted: []string{}}
	var errs []error
	for _, v := range unused {
		if !v.Unnamed && !all || !f.labels("label", v.Labels) {
			continue
		}
		switch err := s.engine.RemoveVolume(v.Name); {
		case err == nil:
			report.VolumesDeleted = append(report.VolumesDeleted, v.Name)
		case !errdefs.IsConflict(err) && !errdefs.IsNotFound(err): // a container has just taken it, or somebody removed it
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return errors.New(strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	return writeJSON(w, http.StatusOK, report)
}
