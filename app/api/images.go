package api

import (
	"net/http"
	"slices"
	"time"

	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/api/types/network"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/skerry-app/skerry/engine"
	"github.com/skerry-app/skerry/registry"
)

func (s *Server) listImages(w http.ResponseWriter, r *http.Request) error {
	f, err := parseFilters(r, "before", "dangling", "label", "reference", "since", "until")
	if err != nil {
		return err
	}
	if len(f["until"]) > 0 {
		return notImplemented("the image filter until is")
	}
	images, err := s.engine.Images().Images()
	if err != nil {
		return err
	}
	bounds, err := s.imageTimes(f)
	if err != nil {
		return err
	}
	list := []image.Summary{}
	for _, img := range images {
		sum := toImageSummary(img)
		if bounds.within(img.Created) && f.labels("label", sum.Labels) &&
			f.exact("dangling", booleanWords(len(sum.RepoTags) == 0)...) && filterReferences(f["reference"], &sum) {
			list = append(list, sum)
		}
	}
	return writeJSON(w, http.StatusOK, list)
}

// imageTimes turns the filters "before" and "since", which name images, into
// times.
func (s *Server) imageTimes(f filters) (b timeBounds, err error) {
	for key, t := range map[string]*time.Time{"before": &b.before, "since": &b.since} {
		for _, name := range f[key] {
			img, err := s.engine.Images().Image(name)
			if err != nil {
				return b, err
			}
			*t = img.Created
		}
	}
	return b, nil
}

type timeBounds struct{ before, since time.Time }

func (b timeBounds) within(t time.Time) bool {
	return (b.before.IsZero() || t.Before(b.before)) && (b.since.IsZero() || t.After(b.since))
}

// filterReferences keeps the names that match one of the patterns, and tells
// whether the image is still to be listed.
func filterReferences(patterns []string, sum *image.Summary) bool {
	if len(patterns) == 0 {
		return true
	}
	matches := func(name string) bool {
		ref, err := reference.ParseAnyReference(name)
		return err == nil && slices.ContainsFunc(patterns, func(p string) bool {
			ok, err := reference.FamiliarMatch(p, ref)
			return ok && err == nil
		})
	}
	keep := func(names []string) []string {
		return slices.DeleteFunc(names, func(n string) bool { return !matches(n) })
	}
	sum.RepoTags, sum.RepoDigests = keep(sum.RepoTags), keep(sum.RepoDigests)
	return len(sum.RepoTags)+len(sum.RepoDigests) > 0
}

// noPlatform refuses to choose among the platforms of an image: the store has
// one of each.
func noPlatform(r *http.Request) error {
	if q := r.URL.Query(); q.Has("platform") || q.Has("platforms") {
		return notImplemented("choosing a platform of an image that is here is")
	}
	return nil
}

func (s *Server) inspectImage(w http.ResponseWriter, r *http.Request, name string) error {
	if err := noPlatform(r); err != nil {
		return err
	}
	img, config, err := s.image(name)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, toImageInspect(img, config))
}

func (s *Server) imageHistory(w http.ResponseWriter, r *http.Request, name string) error {
	if err := noPlatform(r); err != nil {
		return err
	}
	img, config, err := s.image(name)
	if err != nil {
		return err
	}
	layers, err := s.engine.Images().Layers(img)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, toHistory(img, config, layers))
}

// pruneImages removes what no container was made from: images without a name,
// and with the filter dangling=false the others too.
func (s *Server) pruneImages(w http.ResponseWriter, r *http.Request) error {
	f, err := parseFilters(r, "dangling")
	if err != nil {
		return err
	}
	all := len(f["dangling"]) > 0 && f.exact("dangling", "false", "0")
	deleted, size, err := s.engine.RemoveUnusedImages(r.Context(), all)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, image.PruneReport{ImagesDeleted: toDeleted(deleted), SpaceReclaimed: uint64(size)})
}

func (s *Server) tagImage(w http.ResponseWriter, r *http.Request, name string) error {
	q := r.URL.Query()
	ref, err := targetReference(q.Get("repo"), q.Get("tag"))
	if err != nil {
		return err
	}
	if err := s.engine.Tag(r.Context(), name, ref.String()); err != nil {
		return err
	}
	w.WriteHeader(http.StatusCreated)
	return nil
}

// targetReference is the name an image is to have.
func targetReference(repo, tag string) (reference.Named, error) {
	ref, err := reference.ParseNormalizedNamed(repo)
	if err != nil {
		return nil, invalid("%q is not the name of an image: %v", repo, err)
	}
	if _, digested := ref.(reference.Digested); digested {
		return nil, invalid("refusing to create a tag with a digest reference")
	}
	if tag != "" {
		if ref, err = reference.WithTag(reference.TrimNamed(ref), tag); err != nil {
			return nil, invalid("tag %q: %v", tag, err)
		}
	}
	return reference.TagNameOnly(ref), nil
}

func (s *Server) removeImage(w http.ResponseWriter, r *http.Request, name string) error {
	if err := noPlatform(r); err != nil {
		return err
	}
	// noprune keeps parent images without a name, which there are none of.
	deleted, err := s.engine.RemoveImage(withoutCancel(r), name, boolean(r, "force"))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, toDeleted(deleted))
}

func toDeleted(deleted []registry.Deleted) []image.DeleteResponse {
	list := []image.DeleteResponse{}
	for _, d := range deleted {
		list = append(list, image.DeleteResponse{Deleted: d.Deleted, Untagged: d.Untagged})
	}
	return list
}

// image finds an image by its name or ID.
func (s *Server) image(name string) (img registry.Image, config ocispec.Image, err error) {
	if img, err = s.engine.Images().Image(name); err != nil {
		return img, config, err
	}
	config, err = s.engine.Images().Config(img)
	return img, config, err
}

func (s *Server) imageID(name string) (string, error) {
	img, err := s.engine.Images().Image(name)
	return img.ID.String(), err
}

// imageConfig is the configuration of a container's image, nil when the image
// is gone.
func (s *Server) imageConfig(id string) *ocispec.ImageConfig {
	_, config, err := s.image(id)
	if err != nil {
		return nil
	}
	return &config.Config
}

// complete adds to a Spec what depends on the networks and images there are:
// ports that the image exposes, if all are to be published, and its labels.
func (s *Server) complete(spec *engine.Spec, req container.CreateRequest) error {
	if spec.Network != "" && engine.OwnsNetwork(spec.Network) && !slices.ContainsFunc(s.networks(), func(n network.Inspect) bool { return n.Name == spec.Network }) {
		return notImplemented("network " + spec.Network + " does not exist, and creating networks is")
	}
	_, config, err := s.image(spec.Image)
	if err != nil {
		return err
	}
	if req.HostConfig != nil && req.HostConfig.PublishAllPorts {
		var exposed []network.Port
		for p := range req.Config.ExposedPorts {
			exposed = append(exposed, p)
		}
		for text := range config.Config.ExposedPorts {
			p, err := network.ParsePort(text)
			if err != nil {
				return invalid("image %s exposes the port %q: %v", spec.Image, text, err)
			}
			exposed = append(exposed, p)
		}
		publishAll(spec, exposed)
	}
	for key, value := range config.Config.Labels {
		if _, ok := spec.Labels[key]; ok {
			continue
		}
		if spec.Labels == nil {
			spec.Labels = map[string]string{}
		}
		spec.Labels[key] = value
	}
	return nil
}

// withoutTag is the name of an image as people write it, without its tag.
func withoutTag(name string) string {
	ref, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return name
	}
	return reference.FamiliarName(ref)
}

// shortDigest is how layers are called in progress: 12 digits.
func shortDigest(d digest.Digest) string {
	hex := d.Encoded()
	return hex[:min(len(hex), 12)]
}
