package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/containerd/errdefs"
	"github.com/containers/image/v5/docker"
	"github.com/containers/image/v5/types"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
)

// parallelBlobs is how many blobs of one image are on the wire at a time, as
// with docker.
const parallelBlobs = 3

// PullOptions change what Pull does. The zero value is ready for use.
type PullOptions struct {
	// Platform is [OS/]ARCH[/VARIANT]. Empty: linux on this machine's processor.
	Platform string
	// Others are platforms to take, the first that there is, where there is
	// nothing for Platform.
	Others []string
	// Auth is for the image's registry. nil: what the files and helpers of
	// podman and docker have.
	Auth *Auth
	// Progress hears how far the pull is, one call at a time. It should return
	// soon.
	Progress func(Progress)
	// Unpack, if set, is called with the image's ID and its layers while these
	// are arriving; Layer.Open gives them as they come. When the pull fails its
	// context ends. When it fails the pull does, but not before all layers have
	// come: damage on the way is told rather than what it led to. It is called
	// once more, with layers that are all there, when a download had to be begun
	// again.
	Unpack func(ctx context.Context, id digest.Digest, layers []Layer) error
}

// pull is one call of Pull.
type pull struct {
	store  *Store
	name   reference.Named
	domain string
	// platforms that may be taken, the best first
	platforms []ocispec.Platform
	report    *reporter
	unpack    func(context.Context, digest.Digest, []Layer) error

	system *types.SystemContext
	known  bool // there are credentials in system
	source types.ImageSource
	dir    string // for unfinished blobs
	// arrivals of the layers; for the configuration there is none
	arrivals map[digest.Digest]*arrival
}

// Pull fetches an image from its registry. Nothing of a pull that fails or is
// cancelled stays, except blobs that another image or pull needs. Layers that
// are there are not fetched again.
func (s *Store) Pull(ctx context.Context, ref string, o PullOptions) (Image, error) {
	img, err := s.pull(ctx, ref, o)
	if err != nil {
		return Image{}, fmt.Errorf("pull %s: %w", ref, err)
	}
	return img, nil
}

func (s *Store) pull(ctx context.Context, ref string, o PullOptions) (Image, error) {
	name, err := parseName(ref)
	if err != nil {
		return Image{}, err
	}
	platforms, err := parsePlatforms(o.Platform, o.Others)
	if err != nil {
		return Image{}, err
	}
	p := &pull{store: s, name: name, domain: reference.Domain(name), platforms: platforms, report: newReporter(o.Progress), unpack: o.Unpack}
	if p.system, p.known, err = s.system(ctx, name.Name(), o.Auth); err != nil {
		return Image{}, err
	}
	img, err := p.run(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return Image{}, context.Cause(ctx)
		}
		if errors.As(err, new(unpackError)) {
			return Image{}, err
		}
		return Image{}, explain(err, p.domain, p.known)
	}
	return img, nil
}

func (p *pull) run(ctx context.Context) (Image, error) {
	if err := p.connect(ctx); err != nil {
		return Image{}, err
	}
	defer p.source.Close()
	root, data, d, err := p.resolve(ctx)
	if err != nil {
		return Image{}, err
	}
	m := ocispec.Descriptor{MediaType: d.MediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}

	blobs := []digest.Digest{m.Digest, d.Config.Digest}
	for _, l := range d.Layers {
		blobs = append(blobs, l.Digest)
	}
	p.store.pin(blobs)
	defer p.store.unpin(blobs)
	dir, remove, err := p.store.ingest()
	if err != nil {
		return Image{}, err
	}
	defer remove()
	p.dir = dir

	img, err := p.config(ctx, d)
	if err != nil {
		return Image{}, err
	}
	c := content{config: *d.Config, layers: d.Layers, image: img, diffIDs: img.RootFS.DiffIDs}
	if err := p.contents(ctx, c); err != nil {
		return Image{}, err
	}
	if err := p.store.writeBlob(m, data); err != nil {
		return Image{}, err
	}
	return p.record(m, c, root)
}

// contents fetches the layers and unpacks them meanwhile.
func (p *pull) contents(ctx context.Context, c content) error {
	p.arrivals = map[digest.Digest]*arrival{}
	for _, l := range c.layers {
		p.arrivals[l.Digest] = newArrival(l)
	}
	if p.unpack == nil {
		return p.layers(ctx, c.layers)
	}
	there := p.store.layers(c)
	arriving := slices.Clone(there)
	for i := range arriving {
		arriving[i].arrival = p.arrivals[arriving[i].Digest]
	}
	unpacking, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	unpacked := make(chan error, 1)
	go func() { unpacked <- p.unpack(unpacking, c.config.Digest, arriving) }()
	if err := p.layers(ctx, c.layers); err != nil {
		cancel(err)
		<-unpacked
		return err
	}
	err := <-unpacked
	if errors.Is(err, errRestarted) {
		err = p.unpack(ctx, c.config.Digest, there)
	}
	if err != nil {
		return unpackError{err}
	}
	return nil
}

// unpackError is an error that the registry has nothing to do with.
type unpackError struct{ error }

func (e unpackError) Error() string { return "unpack: " + e.error.Error() }

func (e unpackError) Unwrap() error { return e.error }

// connect reaches the registry and has it send what the name stands for.
func (p *pull) connect(ctx context.Context) error {
	ref, err := docker.ParseReference("//" + p.name.String())
	if err != nil {
		return err
	}
	return p.store.patience.retry(ctx, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, p.store.patience.answer)
		defer cancel()
		p.source, err = ref.NewImageSource(ctx, p.system)
		return err
	})
}

// resolve finds the manifest for the best platform. root is the digest of what the
// name stands for: of the list when there is one.
func (p *pull) resolve(ctx context.Context) (root digest.Digest, data []byte, d document, err error) {
	data, contentType, err := p.source.GetManifest(ctx, nil)
	if err != nil {
		return "", nil, d, err
	}
	root = digest.FromBytes(data)
	if want, ok := p.name.(reference.Digested); ok && want.Digest() != root {
		return "", nil, d, fmt.Errorf("%w: the registry sent a manifest with the digest %s", errdefs.ErrDataLoss, root)
	}
	p.report.resolved(root)
	if d, err = parseDocument(data, contentType); err != nil {
		return "", nil, d, err
	}
	if d.Manifests != nil {
		chosen, err := choose(ocispec.Index{Manifests: *d.Manifests}, p.platforms)
		if err != nil {
			return "", nil, d, err
		}
		if data, d, err = p.manifest(ctx, chosen); err != nil {
			return "", nil, d, err
		}
	}
	return root, data, d, d.checkManifest()
}

// manifest fetches one image's manifest that an index lists.
func (p *pull) manifest(ctx context.Context, chosen ocispec.Descriptor) (data []byte, d document, err error) {
	if err := checkDigest(chosen.Digest); err != nil {
		return nil, d, err
	}
	var contentType string
	err = p.store.patience.retry(ctx, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, p.store.patience.answer)
		defer cancel()
		data, contentType, err = p.source.GetManifest(ctx, &chosen.Digest)
		return err
	})
	if err != nil {
		return nil, d, fmt.Errorf("manifest %s: %w", chosen.Digest, err)
	}
	if got := digest.FromBytes(data); got != chosen.Digest {
		return nil, d, fmt.Errorf("%w: manifest %s: the registry sent one with the digest %s", errdefs.ErrDataLoss, chosen.Digest, got)
	}
	d, err = parseDocument(data, contentType)
	return data, d, err
}

// config fetches the image's configuration and checks that the image can run.
func (p *pull) config(ctx context.Context, d document) (ocispec.Image, error) {
	if err := p.blob(ctx, *d.Config); err != nil {
		return ocispec.Image{}, fmt.Errorf("configuration %s: %w", d.Config.Digest, err)
	}
	data, err := p.store.readBlob(*d.Config)
	if err != nil {
		return ocispec.Image{}, err
	}
	img, err := parseConfig(data, d)
	if err != nil {
		return img, err
	}
	if img.Architecture != "" && !slices.ContainsFunc(p.platforms, func(want ocispec.Platform) bool { return suits(want, img.Platform) > 0 }) {
		return img, noPlatform(p.platforms[0], []string{platformString(img.Platform)})
	}
	return img, nil
}

// layers fetches the layers, each once even when the image has it twice.
func (p *pull) layers(ctx context.Context, layers []ocispec.Descriptor) error {
	wanted := distinct(layers)
	for _, l := range wanted {
		p.report.announce(l.Digest, l.Size)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallelBlobs)
	for _, l := range wanted {
		group.Go(func() error {
			if err := p.blob(ctx, l); err != nil {
				return fmt.Errorf("layer %s: %w", l.Digest, err)
			}
			return nil
		})
	}
	return group.Wait()
}

// distinct leaves out what has been listed before.
func distinct(blobs []ocispec.Descriptor) []ocispec.Descriptor {
	seen := map[digest.Digest]bool{}
	return slices.DeleteFunc(slices.Clone(blobs), func(d ocispec.Descriptor) bool {
		before := seen[d.Digest]
		seen[d.Digest] = true
		return before
	})
}

// record makes the image known under its name.
func (p *pull) record(m ocispec.Descriptor, c content, root digest.Digest) (Image, error) {
	canonical, err := reference.WithDigest(reference.TrimNamed(p.name), root)
	if err != nil {
		return Image{}, err
	}
	tagged := ""
	if _, ok := p.name.(reference.Tagged); ok {
		tagged = p.name.String()
	}
	if err := p.store.record(m, c, tagged, canonical.String()); err != nil {
		return Image{}, err
	}
	p.store.mu.Lock()
	defer p.store.mu.Unlock()
	return p.store.image(c.config.Digest), nil
}
