package api

import (
	"fmt"
	"net/http"
	"reflect"
	"time"

	"github.com/moby/moby/api/types/container"

	"github.com/skerry-app/skerry/engine"
)

// container finds the container that a request's path names.
func (s *Server) container(r *http.Request) (*engine.Container, error) {
	return s.engine.Container(r.PathValue("id"))
}

func (s *Server) createContainer(w http.ResponseWriter, r *http.Request) error {
	var req container.CreateRequest
	if err := readJSON(r, &req); err != nil {
		return err
	}
	if req.Config == nil {
		return invalid("config cannot be empty in order to create a container")
	}
	query := r.URL.Query()
	spec, err := toSpec(req)
	if err != nil {
		return err
	}
	spec.Name, spec.Platform = trimSlash(query.Get("name")), query.Get("platform")
	if err := s.complete(&spec, req); err != nil {
		return err
	}
	c, err := s.engine.Create(r.Context(), spec)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, container.CreateResponse{ID: c.ID(), Warnings: warnings(c)})
}

// warnings is what whoever makes a container should know about it.
func warnings(c *engine.Container) []string {
	s, translator := c.Snapshot(), c.Translator()
	if translator == nil {
		return []string{}
	}
	all := []string{}
	if s.Spec.Platform == "" {
		all = append(all, fmt.Sprintf("image %s is for linux/%s: its programs are translated by %s and slower than this computer's own; say --platform linux/%s to be spared this warning",
			s.Spec.Image, s.Arch, translator.Name, s.Arch))
	}
	if translator.Better != nil {
		all = append(all, fmt.Sprintf("programs for linux/%s are translated by %s, where Rosetta would be faster: %v", s.Arch, translator.Name, translator.Better))
	}
	return all
}

func (s *Server) inspectContainer(w http.ResponseWriter, r *http.Request) error {
	c, err := s.container(r)
	if err != nil {
		return err
	}
	if boolean(r, "size") {
		return notImplemented("sizes of containers are")
	}
	snap := c.Snapshot()
	in := toInspect(snap, s.imageConfig(snap.ImageID.String()))
	for i, m := range in.Mounts {
		if v, err := s.engine.Volume(m.Name); m.Name != "" && err == nil {
			in.Mounts[i].Source, in.Mounts[i].Driver = v.Path, v.Driver()
		}
	}
	return writeJSON(w, http.StatusOK, in)
}

// Whatever changes a container is carried through when the client goes away:
// a half-done stop helps nobody. The engine bounds each of these.

func (s *Server) startContainer(w http.ResponseWriter, r *http.Request) error {
	return s.change(w, r, func(c *engine.Container) error {
		if r.URL.Query().Get("checkpoint") != "" {
			return notImplemented("checkpoints are")
		}
		return startFailure(c.Start(withoutCancel(r)))
	})
}

func (s *Server) stopContainer(w http.ResponseWriter, r *http.Request) error {
	return s.change(w, r, func(c *engine.Container) error {
		timeout, err := seconds(r, "t")
		if err != nil {
			return err
		}
		return c.Stop(withoutCancel(r), r.URL.Query().Get("signal"), timeout)
	})
}

func (s *Server) restartContainer(w http.ResponseWriter, r *http.Request) error {
	return s.change(w, r, func(c *engine.Container) error {
		timeout, err := seconds(r, "t")
		if err != nil {
			return err
		}
		return startFailure(c.Restart(withoutCancel(r), r.URL.Query().Get("signal"), timeout))
	})
}

func (s *Server) killContainer(w http.ResponseWriter, r *http.Request) error {
	return s.change(w, r, func(c *engine.Container) error {
		return c.Kill(withoutCancel(r), r.URL.Query().Get("signal"))
	})
}

func (s *Server) pauseContainer(w http.ResponseWriter, r *http.Request) error {
	return s.change(w, r, func(c *engine.Container) error { return c.Pause(withoutCancel(r)) })
}

func (s *Server) unpauseContainer(w http.ResponseWriter, r *http.Request) error {
	return s.change(w, r, func(c *engine.Container) error { return c.Unpause(withoutCancel(r)) })
}

func (s *Server) renameContainer(w http.ResponseWriter, r *http.Request) error {
	return s.change(w, r, func(c *engine.Container) error { return c.Rename(trimSlash(r.URL.Query().Get("name"))) })
}

func (s *Server) removeContainer(w http.ResponseWriter, r *http.Request) error {
	return s.change(w, r, func(c *engine.Container) error {
		if boolean(r, "link") {
			return notImplemented("links between containers are")
		}
		return c.Remove(withoutCancel(r), engine.RemoveOptions{Force: boolean(r, "force"), Volumes: boolean(r, "v")})
	})
}

// updateContainer changes the restart policy; limits are a machine's and stay.
func (s *Server) updateContainer(w http.ResponseWriter, r *http.Request) error {
	var req container.UpdateConfig
	if err := readJSON(r, &req); err != nil {
		return err
	}
	c, err := s.container(r)
	if err != nil {
		return err
	}
	p := req.RestartPolicy
	if req.RestartPolicy = (container.RestartPolicy{}); !reflect.ValueOf(req).IsZero() {
		return notImplemented("changing a container's limits is")
	}
	if p.Name != "" {
		policy := fromRestartPolicy(p)
		if err := c.Update(engine.Update{Restart: &policy}); err != nil {
			return err
		}
	}
	return writeJSON(w, http.StatusOK, container.UpdateResponse{Warnings: []string{}})
}

// change does something to a container and answers 204.
func (s *Server) change(w http.ResponseWriter, r *http.Request, f func(*engine.Container) error) error {
	c, err := s.container(r)
	if err != nil {
		return err
	}
	if err := f(c); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// resizeContainer answers 200 where others answer 204, as Docker does.
func (s *Server) resizeContainer(_ http.ResponseWriter, r *http.Request) error {
	c, err := s.container(r)
	if err != nil {
		return err
	}
	rows, columns, err := terminalSize(r)
	if err != nil {
		return err
	}
	return c.Resize(r.Context(), rows, columns)
}

// waitContainer sends the headers as soon as no exit can be missed: clients
// start the container only then.
func (s *Server) waitContainer(w http.ResponseWriter, r *http.Request) error {
	c, err := s.container(r)
	if err != nil {
		return err
	}
	condition := engine.WaitCondition(r.URL.Query().Get("condition"))
	switch condition {
	case "":
		condition = engine.WaitNotRunning
	case engine.WaitNotRunning, engine.WaitNextExit, engine.WaitRemoved:
	default:
		return invalid("invalid condition: %q", condition)
	}
	out := newStream(w, "application/json")
	exit, err := c.Wait(r.Context(), condition, func() { _ = out.start() })
	if err != nil && !out.started {
		return err
	}
	answer := container.WaitResponse{StatusCode: int64(exit.Code)}
	if err != nil {
		exit.Error = err.Error()
	}
	if exit.Error != "" {
		answer.Error = &container.WaitExitError{Message: exit.Error}
	}
	_ = writeLine(out, answer) // the client may have gone
	return nil
}

func (s *Server) containerTop(w http.ResponseWriter, r *http.Request) error {
	if args := r.URL.Query().Get("ps_args"); args != "" && args != "-ef" {
		return notImplemented("arguments for ps are")
	}
	c, err := s.container(r)
	if err != nil {
		return err
	}
	processes, err := c.Top(r.Context())
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, toTop(processes, time.Now()))
}
