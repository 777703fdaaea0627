package api

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"sync"

	"github.com/containerd/errdefs"
)

// Projects brings what project files describe up and down. Package project
// implements it.
//
// Progress may be called from several goroutines, and blocks while the client
// does not read. Errors are of the classes of containerd/errdefs: a file with
// mistakes in it is errdefs.ErrInvalidArgument and its message lists them all.
type Projects interface {
	// Up creates and starts the containers that do not run yet.
	Up(ctx context.Context, r ProjectRequest, progress func(ProjectProgress)) error
	// Down stops and removes the containers.
	Down(ctx context.Context, r ProjectRequest, progress func(ProjectProgress)) error
	// Plan returns what Up would change, in no particular order.
	Plan(ctx context.Context, r ProjectRequest) ([]ProjectChange, error)
	// List returns the projects that are known, by name.
	List(ctx context.Context) ([]ProjectStatus, error)
}

// ProjectRequest is the body of POST /skerry/projects/up, /down and /plan.
type ProjectRequest struct {
	File  string            `json:"file"`            // absolute path of the project file
	Env   map[string]string `json:"env,omitempty"`   // what variables in the file stand for
	Names []string          `json:"names,omitempty"` // containers of the project; none: all
	// Volumes removes the project's volumes, too; for down.
	Volumes bool `json:"volumes,omitempty"`
}

// ProjectProgress is one step of bringing a project up or down.
type ProjectProgress struct {
	Container string `json:"container,omitempty"` // its name in the project; empty: the project itself
	Status    string `json:"status"`              // "pulling", "creating", "starting", "running", "stopping", "removed", ...
	Detail    string `json:"detail,omitempty"`    // a sentence for people
	Current   int64  `json:"current,omitempty"`   // bytes, while pulling
	Total     int64  `json:"total,omitempty"`     // bytes, 0 when unknown
}

// ProjectStatus is one element of GET /skerry/projects.
type ProjectStatus struct {
	Name       string             `json:"name"`
	File       string             `json:"file"`
	Containers []ProjectContainer `json:"containers"`

	Changes      []ProjectChange `json:"changes,omitempty"`  // what up would do, beside starting what does not run
	Problems     []string        `json:"problems,omitempty"` // of the file, each with its place
	StartAtLogin bool            `json:"startAtLogin,omitempty"`
}

// ProjectChange is what Up would do with one container, because the file is not
// what the container was made from.
type ProjectChange struct {
	Container string        `json:"container"`
	Action    ProjectAction `json:"action"`
	Keys      []string      `json:"keys,omitempty"` // of the file, that say something else
}

// ProjectAction is what is done with a container of a project.
type ProjectAction string

const (
	ProjectCreate  ProjectAction = "create"
	ProjectRestart ProjectAction = "restart" // it is made anew
	ProjectUpdate  ProjectAction = "update"  // while it runs
	ProjectRemove  ProjectAction = "remove"
)

// ProjectContainer is a container of a project.
type ProjectContainer struct {
	Name   string `json:"name"`         // in the project
	ID     string `json:"id,omitempty"` // empty: not created
	Status string `json:"status"`       // in Docker's words; "absent" when it is not created
}

// projectEnd is the last line of a progress stream.
type projectEnd struct {
	Done  bool   `json:"done,omitempty"`
	Error string `json:"error,omitempty"`
}

func (s *Server) projectUp(w http.ResponseWriter, r *http.Request) error {
	return s.project(w, r, func(p Projects) projectChange { return p.Up })
}

func (s *Server) projectDown(w http.ResponseWriter, r *http.Request) error {
	return s.project(w, r, func(p Projects) projectChange { return p.Down })
}

type projectChange func(context.Context, ProjectRequest, func(ProjectProgress)) error

// project runs a change and streams its progress, a JSON object a line. An
// error before the first line has a status of its own.
func (s *Server) project(w http.ResponseWriter, r *http.Request, change func(Projects) projectChange) error {
	req, err := s.projectRequest(r)
	if err != nil {
		return err
	}
	out := newStream(w, "application/x-ndjson")
	var mu sync.Mutex
	err = change(s.options.Projects)(r.Context(), req, func(p ProjectProgress) {
		mu.Lock()
		defer mu.Unlock()
		_ = writeLine(out, p) // a client that went away ends the request's context
	})
	mu.Lock()
	defer mu.Unlock()
	end := projectEnd{Done: true}
	if err != nil {
		if !out.started {
			return err
		}
		s.log.Info("project", "file", req.File, "error", err)
		end = projectEnd{Error: err.Error()}
	}
	_ = writeLine(out, end)
	return nil
}

func (s *Server) projectPlan(w http.ResponseWriter, r *http.Request) error {
	req, err := s.projectRequest(r)
	if err != nil {
		return err
	}
	changes, err := s.options.Projects.Plan(r.Context(), req)
	if err != nil {
		return err
	}
	if changes == nil {
		changes = []ProjectChange{}
	}
	return writeJSON(w, http.StatusOK, changes)
}

// projectRequest reads the body of a request about a project.
func (s *Server) projectRequest(r *http.Request) (req ProjectRequest, err error) {
	if s.options.Projects == nil {
		return req, notImplemented("projects are")
	}
	if err := readJSON(r, &req); err != nil {
		return req, err
	}
	if !filepath.IsAbs(req.File) {
		return req, errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("project file %q: give an absolute path", req.File))
	}
	return req, nil
}

func (s *Server) listProjects(w http.ResponseWriter, r *http.Request) error {
	if s.options.Projects == nil {
		return notImplemented("projects are")
	}
	list, err := s.options.Projects.List(r.Context())
	if err != nil {
		return err
	}
	if list == nil {
		list = []ProjectStatus{}
	}
	return writeJSON(w, http.StatusOK, list)
}
