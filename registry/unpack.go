package registry

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strconv"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

const (
	// maxMembers limits the files of an image archive.
	maxMembers = 1 << 16
	// maxLinks limits the links from one member of an archive to the next; old
	// versions of docker wrote a layer that two images share as a link.
	maxLinks = 8
)

// unpacked is an image archive whose files lie in a directory, under numbers
// instead of the names that the archive gives them.
type unpacked struct {
	dir     string
	members map[string]member // by clean name, without a slash in front
}

// member is a file of an archive, or a link to one.
type member struct {
	path   string // on disk
	size   int64
	digest digest.Digest
	link   string // the clean name that a link means
}

// unpack reads an archive to its end.
func (u *unpacked) unpack(ctx context.Context, r io.Reader) error {
	archive := tar.NewReader(r)
	for n := 0; ; n++ {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("%w: this is not a whole tar archive: %w", errdefs.ErrInvalidArgument, err)
		}
		if n == maxMembers {
			return fmt.Errorf("%w: the archive has more than %d members", errdefs.ErrInvalidArgument, maxMembers)
		}
		name := clean(h.Name)
		switch h.Typeflag {
		case tar.TypeReg:
			if u.members[name], err = u.write(ctx, strconv.Itoa(n), archive); err != nil {
				return fmt.Errorf("unpack %q: %w", h.Name, err)
			}
		case tar.TypeSymlink:
			u.members[name] = member{link: clean(path.Join(path.Dir(name), h.Linkname))}
		case tar.TypeLink:
			u.members[name] = member{link: clean(h.Linkname)}
		}
	}
}

// clean makes a name in an archive one that cannot leave it.
func clean(name string) string { return path.Clean("/" + name)[1:] }

func (u *unpacked) write(ctx context.Context, name string, r io.Reader) (member, error) {
	f, err := os.OpenFile(filepath.Join(u.dir, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return member{}, err
	}
	hash := sha256.New()
	size, err := io.Copy(io.MultiWriter(f, hash), readerFunc(func(b []byte) (int, error) {
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		n, err := r.Read(b)
		if err != nil && !errors.Is(err, io.EOF) {
			err = fmt.Errorf("%w: the archive is damaged: %w", errdefs.ErrInvalidArgument, err)
		}
		return n, err
	}))
	if err := errors.Join(err, f.Close()); err != nil {
		return member{}, err
	}
	return member{path: f.Name(), size: size, digest: digest.NewDigest(digest.SHA256, hash)}, nil
}

// member returns a file by the name that it has in the archive.
func (u *unpacked) member(name string) (member, error) {
	at := clean(name)
	for range maxLinks {
		m, ok := u.members[at]
		if !ok {
			return m, fmt.Errorf("%w: the archive lacks the file %q: is it complete?", errdefs.ErrInvalidArgument, name)
		}
		if m.link == "" {
			return m, nil
		}
		at = m.link
	}
	return member{}, fmt.Errorf("%w: %q in the archive is a link that leads nowhere", errdefs.ErrInvalidArgument, name)
}

// blob returns the file of a layout that has a digest.
func (u *unpacked) blob(d digest.Digest) (member, error) {
	if err := checkDigest(d); err != nil {
		return member{}, err
	}
	m, err := u.member(path.Join(ocispec.ImageBlobsDir, d.Algorithm().String(), d.Encoded()))
	if err != nil {
		return m, err
	}
	if m.digest != d {
		return m, fmt.Errorf("%w: blob %s in the archive has the digest %s", errdefs.ErrDataLoss, d, m.digest)
	}
	return m, nil
}

// decode reads a table of contents.
func (u *unpacked) decode(name string, into any) error {
	m, err := u.member(name)
	if err != nil {
		return err
	}
	data, err := m.read()
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("%w: %s in the archive: %w", errdefs.ErrInvalidArgument, name, err)
	}
	return nil
}

// read returns a document whole.
func (m member) read() ([]byte, error) {
	if m.size > maxDocument {
		return nil, fmt.Errorf("%w: a document in the archive has %d bytes; more than %d are not accepted", errdefs.ErrInvalidArgument, m.size, maxDocument)
	}
	return os.ReadFile(m.path)
}
