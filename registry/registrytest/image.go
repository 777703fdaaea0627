package registrytest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"runtime"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// The types of docker's kind of image (distribution, docs/spec/manifest-v2-2.md).
const (
	DockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	DockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"
	dockerConfig   = "application/vnd.docker.container.image.v1+json"
	dockerLayer    = "application/vnd.docker.image.rootfs.diff.tar"
)

// Compression is how a layer is stored.
type Compression string

// The compressions of layers; the zero value is gzip.
const (
	Gzip  Compression = ""
	Zstd  Compression = "zstd"
	Plain Compression = "plain"
)

// File is an entry of a layer.
type File struct {
	Name string
	Body []byte
	Mode int64  // 0 is 0644, or 0755 for directories
	Type byte   // of package archive/tar; 0 is a regular file, or a directory when Name ends in a slash
	Link string // of links
}

// Layer is a layer of an image: files, or a tar archive.
type Layer struct {
	Files       []File
	Tar         []byte // instead of Files
	Compression Compression
	MediaType   string // instead of the right one
}

// Image is an image to be pushed. The architecture that Config does not tell is
// this machine's.
type Image struct {
	Config ocispec.Image
	Layers []Layer
	Docker bool // docker's media types instead of OCI's
}

// Blob is content with its digest.
type Blob struct {
	Descriptor ocispec.Descriptor
	Data       []byte
}

// Built is an image as registries have it.
type Built struct {
	Manifest Blob
	Config   Blob
	Layers   []Blob
}

// Build makes an image's blobs. The same Image gives the same blobs.
func (i Image) Build() (Built, error) {
	types := struct{ manifest, config string }{ocispec.MediaTypeImageManifest, ocispec.MediaTypeImageConfig}
	if i.Docker {
		types.manifest, types.config = DockerManifest, dockerConfig
	}
	config := i.Config
	if config.OS == "" {
		config.OS = "linux"
	}
	if config.Architecture == "" {
		config.Architecture = runtime.GOARCH
	}
	config.RootFS = ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{}}
	m := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: types.manifest, Layers: []ocispec.Descriptor{}}
	var built Built
	for n, l := range i.Layers {
		diffID, blob, err := l.build(i.Docker)
		if err != nil {
			return built, fmt.Errorf("build layer %d: %w", n, err)
		}
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, diffID)
		m.Layers = append(m.Layers, blob.Descriptor)
		built.Layers = append(built.Layers, blob)
	}
	data, err := json.Marshal(config)
	if err != nil {
		return built, err
	}
	built.Config = newBlob(types.config, data)
	m.Config = built.Config.Descriptor
	if data, err = json.MarshalIndent(m, "", "   "); err != nil {
		return built, err
	}
	built.Manifest = newBlob(types.manifest, data)
	built.Manifest.Descriptor.Platform = &config.Platform
	return built, nil
}

func newBlob(mediaType string, data []byte) Blob {
	return Blob{ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}, data}
}

// build returns the digest of a layer's archive, and the archive compressed.
func (l Layer) build(docker bool) (digest.Digest, Blob, error) {
	archive := l.Tar
	if archive == nil {
		var err error
		if archive, err = Tar(l.Files...); err != nil {
			return "", Blob{}, err
		}
	}
	mediaType, data := ocispec.MediaTypeImageLayer, archive
	if docker {
		mediaType = dockerLayer
	}
	var err error
	switch l.Compression {
	case Gzip:
		data, err = gzipped(archive)
		if mediaType += "+gzip"; docker {
			mediaType = dockerLayer + ".gzip"
		}
	case Zstd:
		data, err = zstandard(archive)
		if mediaType += "+zstd"; docker {
			mediaType = dockerLayer + ".zstd"
		}
	}
	if l.MediaType != "" {
		mediaType = l.MediaType
	}
	return digest.FromBytes(archive), newBlob(mediaType, data), err
}

func gzipped(data []byte) ([]byte, error) {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		return nil, err
	}
	err := w.Close()
	return b.Bytes(), err
}

func zstandard(data []byte) ([]byte, error) {
	w, err := zstd.NewWriter(nil)
	if err != nil {
		return nil, err
	}
	return w.EncodeAll(data, nil), w.Close()
}

// Tar makes an archive of files, all of the same date and root's.
func Tar(files ...File) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		h := &tar.Header{Name: f.Name, Typeflag: f.Type, Mode: f.Mode, Linkname: f.Link, Size: int64(len(f.Body)), ModTime: time.Unix(1_700_000_000, 0)}
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
			if f.Name[len(f.Name)-1] == '/' {
				h.Typeflag = tar.TypeDir
			}
		}
		if h.Mode == 0 {
			h.Mode = 0o644
			if h.Typeflag == tar.TypeDir {
				h.Mode = 0o755
			}
		}
		if err := w.WriteHeader(h); err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
		if _, err := w.Write(f.Body); err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
	}
	err := w.Close()
	return b.Bytes(), err
}
