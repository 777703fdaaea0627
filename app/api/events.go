package api

import (
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/moby/moby/api/types"
	"github.com/moby/moby/api/types/events"

	"github.com/skerry-app/skerry/engine"
)

var eventFilters = []string{"config", "container", "daemon", "event", "image", "label", "network", "node", "plugin",
	"scope", "secret", "service", "type", "volume"}

// events streams what happens, a JSON object a line. With since, events of the
// past come first, as many as are kept; a time before the app's start cannot
// be seen.
func (s *Server) events(w http.ResponseWriter, r *http.Request) error {
	f, err := parseFilters(r, eventFilters...)
	if err != nil {
		return err
	}
	since, err := moment(r, "since")
	if err != nil {
		return err
	}
	until, err := moment(r, "until")
	if err != nil {
		return err
	}
	if !until.IsZero() && until.Before(since) {
		return invalid("`since` time (%s) cannot be after `until` time (%s)", r.URL.Query().Get("since"), r.URL.Query().Get("until"))
	}
	at := s.eventLog.end()
	if !since.IsZero() || !until.IsZero() && until.Before(time.Now()) {
		at = s.eventLog.oldest()
	}
	out := newStream(w, types.MediaTypeJSON)
	if err := out.start(); err != nil {
		return nil // the client has gone
	}
	var over <-chan time.Time
	if !until.IsZero() {
		timer := time.NewTimer(time.Until(until))
		defer timer.Stop()
		over = timer.C
	}
	for ; ; at++ {
		ev, wait, lost := s.eventLog.get(at)
		for wait != nil {
			select {
			case <-wait:
			case <-over:
				return nil
			case <-r.Context().Done():
				return nil
			}
			ev, wait, lost = s.eventLog.get(at)
		}
		if lost || !until.IsZero() && ev.Time.After(until) {
			return nil
		}
		if m := toMessage(ev); !ev.Time.Before(since) && matchEvent(f, m.Message) && writeLine(out, m) != nil {
			return nil
		}
	}
}

// message is an event with the fields that Docker had before actors.
type message struct {
	events.Message
	Status string `json:"status,omitempty"`
	ID     string `json:"id,omitempty"`
	From   string `json:"from,omitempty"`
}

func toMessage(ev engine.Event) message {
	m := message{Message: events.Message{
		Type: events.Type(ev.Type), Action: events.Action(ev.Action), Scope: "local",
		Actor: events.Actor{ID: ev.ID, Attributes: map[string]string{}},
		Time:  ev.Time.Unix(), TimeNano: ev.Time.UnixNano(),
	}}
	maps.Copy(m.Actor.Attributes, ev.Attributes)
	m.Actor.Attributes["name"] = ev.Name
	if m.Type == events.ContainerEventType || m.Type == events.ImageEventType {
		m.Status, m.ID, m.From = ev.Action, ev.ID, ev.Attributes["image"]
	}
	return m
}

// matchEvent applies Docker's filters: a filter by object matches its ID or
// name, by their beginning.
func matchEvent(f filters, m events.Message) bool {
	name := m.Actor.Attributes["name"]
	for _, key := range []events.Type{events.ContainerEventType, events.NetworkEventType, events.VolumeEventType, events.DaemonEventType,
		events.PluginEventType, events.NodeEventType, events.ServiceEventType, events.SecretEventType, events.ConfigEventType} {
		if len(f[string(key)]) > 0 && (m.Type != key || !f.prefixed(string(key), m.Actor.ID, name)) {
			return false
		}
	}
	image := m.Actor.Attributes["image"]
	if m.Type == events.ImageEventType {
		image = name
	}
	// "health_status" stands for "health_status: healthy" as well.
	action, _, _ := strings.Cut(string(m.Action), ":")
	return f.exact("event", string(m.Action), action) &&
		f.exact("type", string(m.Type)) &&
		f.exact("scope", m.Scope) &&
		f.labels("label", m.Actor.Attributes) &&
		f.exact("image", m.Actor.ID, image, withoutTag(image))
}
