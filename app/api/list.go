package api

import (
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"

	"github.com/skerry-app/skerry/engine"
)

// containerFilters are the filters of GET /containers/json, all that Docker has.
var containerFilters = []string{"ancestor", "before", "exited", "expose", "health", "id", "is-task", "isolation", "label",
	"name", "network", "publish", "since", "status", "volume"}

func (s *Server) listContainers(w http.ResponseWriter, r *http.Request) error {
	if boolean(r, "size") {
		return notImplemented("sizes of containers are")
	}
	f, err := parseFilters(r, containerFilters...)
	if err != nil {
		return err
	}
	limit, _, err := integer(r, "limit")
	if err != nil {
		return err
	}
	sel := selection{filters: f, all: boolean(r, "all") || limit > 0, limit: limit}
	if err := s.resolve(&sel); err != nil {
		return err
	}
	var snaps []engine.Snapshot
	for _, c := range s.engine.Containers() {
		snaps = append(snaps, c.Snapshot())
	}
	list, now := []container.Summary{}, time.Now()
	for _, snap := range sel.choose(snaps) {
		list = append(list, toSummary(snap, now))
	}
	return writeJSON(w, http.StatusOK, list)
}

// selection says which containers are listed.
type selection struct {
	filters
	all           bool // not only those that run
	limit         int  // 0: none
	before, since string
	images        []string                // IDs of the images that "ancestor" names
	ports         map[string][]portFilter // by filter: "publish", "expose"
}

type portFilter = network.PortRange

// resolve checks the filters' values and looks up what they name.
func (s *Server) resolve(sel *selection) error {
	for _, v := range sel.filters["status"] {
		if container.ValidateContainerState(container.ContainerState(v)) != nil {
			return invalid("invalid filter 'status=%s'", v)
		}
		sel.all = true
	}
	for _, v := range sel.filters["exited"] {
		if _, err := strconv.Atoi(v); err != nil {
			return invalid("invalid filter 'exited=%s'", v)
		}
	}
	for key, id := range map[string]*string{"before": &sel.before, "since": &sel.since} {
		for _, v := range sel.filters[key] {
			c, err := s.engine.Container(v)
			if err != nil {
				return err
			}
			*id = c.ID()
		}
	}
	sel.ports = map[string][]portFilter{}
	for _, key := range []string{"publish", "expose"} {
		for _, v := range sel.filters[key] {
			p, err := network.ParsePortRange(v)
			if err != nil {
				return invalid("invalid filter '%s=%s'", key, v)
			}
			sel.ports[key] = append(sel.ports[key], p)
		}
	}
	for _, v := range sel.filters["ancestor"] {
		if id, err := s.imageID(v); err == nil {
			sel.images = append(sel.images, id)
		}
	}
	return nil
}

// choose picks from containers that are sorted newest first.
func (sel *selection) choose(snaps []engine.Snapshot) []engine.Snapshot {
	if i := indexOf(snaps, sel.before); i >= 0 {
		snaps = snaps[i+1:]
	}
	if i := indexOf(snaps, sel.since); i >= 0 {
		snaps = snaps[:i]
	}
	var chosen []engine.Snapshot
	for _, snap := range snaps {
		if sel.limit > 0 && len(chosen) == sel.limit {
			break
		}
		if sel.match(snap) {
			chosen = append(chosen, snap)
		}
	}
	return chosen
}

func indexOf(snaps []engine.Snapshot, id string) int {
	if id == "" {
		return -1
	}
	return slices.IndexFunc(snaps, func(s engine.Snapshot) bool { return s.ID == id })
}

func (sel *selection) match(snap engine.Snapshot) bool {
	f, running := sel.filters, snap.State.Status.Alive()
	exited := "" // matches no number
	if !running && !snap.State.FinishedAt.IsZero() {
		exited = strconv.Itoa(snap.State.ExitCode)
	}
	return (sel.all || running) &&
		f.matches("name", snap.Name, "/"+snap.Name) &&
		f.matches("id", snap.ID) &&
		f.labels("label", snap.Spec.Labels) &&
		f.exact("status", string(snap.State.Status)) &&
		f.exact("exited", exited) &&
		f.exact("network", networkName(snap.Spec.Network), networkID(snap.Spec.Network)) &&
		f.exact("health", healthWord(snap.State.Health)) &&
		f.exact("is-task", "false", "0") &&
		f.exact("isolation", "default") &&
		f.exact("volume", "") &&
		(len(f["ancestor"]) == 0 || slices.Contains(sel.images, snap.ImageID.String())) &&
		sel.port("publish", snap.Bindings) &&
		sel.port("expose", snap.Spec.Ports)
}

// port tells whether one of the ports is asked for, or none is.
func (sel *selection) port(key string, ports []engine.Port) bool {
	return len(sel.ports[key]) == 0 || slices.ContainsFunc(ports, func(p engine.Port) bool {
		return slices.ContainsFunc(sel.ports[key], func(want portFilter) bool {
			return want.Start() <= p.Container && p.Container <= want.End() && string(want.Proto()) == p.Protocol
		})
	})
}

// healthWord is what the filter for health goes by.
func healthWord(h *engine.Health) string {
	if h == nil {
		return "none"
	}
	return string(h.Status)
}
