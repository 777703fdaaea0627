package api

import (
	"net/http"
	"strings"

	"github.com/containerd/errdefs"
)

// routes maps requests to handlers. Whatever Docker has and Skerry has not
// answers 501, everything else 404.
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	for pattern, f := range map[string]handlerFunc{
		"GET /_ping":   s.ping, // GET stands for HEAD as well
		"GET /version": s.dockerVersion,
		"GET /info":    s.info,
		"GET /events":  s.events,

		"GET /containers/json":                        s.listContainers,
		"POST /containers/create":                     s.createContainer,
		"GET /containers/{id}/json":                   s.inspectContainer,
		"GET /containers/{id}/logs":                   s.containerLogs,
		"GET /containers/{id}/top":                    s.containerTop,
		"GET /containers/{id}/stats":                  s.containerStats,
		"POST /containers/{id}/start":                 s.startContainer,
		"POST /containers/{id}/stop":                  s.stopContainer,
		"POST /containers/{id}/restart":               s.restartContainer,
		"POST /containers/{id}/kill":                  s.killContainer,
		"POST /containers/{id}/pause":                 s.pauseContainer,
		"POST /containers/{id}/unpause":               s.unpauseContainer,
		"POST /containers/{id}/wait":                  s.waitContainer,
		"POST /containers/{id}/rename":                s.renameContainer,
		"POST /containers/{id}/update":                s.updateContainer,
		"POST /containers/{id}/resize":                s.resizeContainer,
		"POST /containers/{id}/attach":                s.attachContainer,
		"POST /containers/{id}/exec":                  s.createExec,
		"DELETE /containers/{id}":                     s.removeContainer,
		"HEAD /containers/{id}/archive":               s.statFile,
		"GET /containers/{id}/archive":                s.readFiles,
		"PUT /containers/{id}/archive":                s.writeFiles,
		"POST /exec/{id}/start":                       s.startExec,
		"POST /exec/{id}/resize":                      s.resizeExec,
		"GET /exec/{id}/json":                         s.inspectExec,
		"GET /images/json":                            s.listImages,
		"POST /images/create":                         s.pullImage,
		"GET /images/get":                             s.saveImages,
		"POST /images/load":                           s.loadImages,
		"POST /images/prune":                          s.pruneImages,
		"POST /auth":                                  s.checkLogin,
		"POST /skerry/containers/{id}/files/{action}": s.changeFileSystem,
		"POST /skerry/login":                          s.login,
		"POST /skerry/logout":                         s.logout,
		"GET /networks":                               s.listNetworks,
		"GET /networks/{id}":                          s.inspectNetwork,
		"GET /volumes":                                s.listVolumes,
		"GET /volumes/{name}":                         s.inspectVolume,
		"DELETE /volumes/{name}":                      s.removeVolume,
		"POST /volumes/create":                        s.createVolume,
		"POST /volumes/prune":                         s.pruneVolumes,
		"GET /plugins":                                s.listPlugins,
		"GET /plugins/{name}/json":                    s.noPlugin,
		"GET /skerry/version":                         s.skerryVersion,
		"GET /skerry/doctor":                          s.doctor,
		"POST /skerry/quit":                           s.quit,
		"GET /skerry/projects":                        s.listProjects,
		"POST /skerry/projects/up":                    s.projectUp,
		"POST /skerry/projects/down":                  s.projectDown,
		"POST /skerry/projects/plan":                  s.projectPlan,
		"GET /images/{nameAndVerb...}":                s.imageVerbs(map[string]imageHandler{"json": s.inspectImage, "history": s.imageHistory, "get": s.saveImage}),
		"POST /images/{nameAndVerb...}":               s.imageVerbs(map[string]imageHandler{"tag": s.tagImage, "push": s.pushImage}),
		"DELETE /images/{nameAndVerb...}": func(w http.ResponseWriter, r *http.Request) error {
			return s.removeImage(w, r, r.PathValue("nameAndVerb"))
		},
	} {
		mux.Handle(pattern, s.handle(f))
	}
	for pattern, feature := range missing {
		mux.Handle(pattern, s.handle(func(http.ResponseWriter, *http.Request) error { return notImplemented(feature) }))
	}
	mux.Handle("/", s.handle(pageNotFound))
	return mux
}

func pageNotFound(http.ResponseWriter, *http.Request) error {
	return errdefs.ErrNotFound.WithMessage("page not found")
}

// imageHandler handles a request about an image, whose name has slashes in it.
type imageHandler func(w http.ResponseWriter, r *http.Request, name string) error

// imageVerbs chooses a handler by the last element of the path.
func (s *Server) imageVerbs(handlers map[string]imageHandler) handlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		path := r.PathValue("nameAndVerb")
		i := strings.LastIndexByte(path, '/')
		if i <= 0 || handlers[path[i+1:]] == nil {
			return pageNotFound(w, r)
		}
		return handlers[path[i+1:]](w, r, path[:i])
	}
}

// missing lists what Docker has and Skerry has not, with the subject and verb
// of the sentence that says so.
var missing = map[string]string{
	"POST /build":   "building images is",
	"POST /build/":  "building images is",
	"POST /session": "building images is",
	"POST /grpc":    "building images is",
	"POST /commit":  "making images from containers is",

	"GET /images/search":             "searching for images is",
	"GET /distribution/":             "inspecting images in a registry is",
	"GET /system/df":                 "showing disk usage is",
	"POST /containers/prune":         "pruning containers is",
	"GET /containers/{id}/changes":   "listing a container's changes is",
	"GET /containers/{id}/export":    "exporting containers is",
	"GET /containers/{id}/attach/ws": "attaching by WebSocket is",
	"/containers/{id}/checkpoints":   "checkpoints are",
	"/containers/{id}/checkpoints/":  "checkpoints are",

	"POST /networks/create":          "creating networks is",
	"POST /networks/prune":           "pruning networks is",
	"POST /networks/{id}/connect":    "connecting a container to a further network is",
	"POST /networks/{id}/disconnect": "disconnecting a container from its network is",
	"DELETE /networks/{id}":          "removing networks is",

	"POST /plugins/":   "plugins are",
	"DELETE /plugins/": "plugins are",
	"/swarm":           "swarm mode is",
	"/swarm/":          "swarm mode is",
	"/nodes":           "swarm mode is",
	"/nodes/":          "swarm mode is",
	"/services":        "swarm mode is",
	"/services/":       "swarm mode is",
	"/tasks":           "swarm mode is",
	"/tasks/":          "swarm mode is",
	"/secrets":         "swarm secrets are",
	"/secrets/":        "swarm secrets are",
	"/configs":         "swarm configs are",
	"/configs/":        "swarm configs are",
}
