package layers

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"path"
	"strings"

	"github.com/skerry-app/skerry/ext4"
	"github.com/skerry-app/skerry/ext4/format"
)

const (
	tarBlock = 512 // bytes
	// maxPath is the longest path in an archive, in bytes (PATH_MAX).
	maxPath = 4096
	// maxDepth is how many directories may be in each other.
	maxDepth = 1024
)

// changeset is what a layer says: what it hides of the layers below, and its
// own entries in the archive's order. Paths are clean and relative to the
// root, which is "".
type changeset struct {
	whiteouts []whiteout
	entries   []entry
}

// whiteout hides a name in a directory of the layers below, or all names.
type whiteout struct {
	dir  string
	name string // "" for all
}

// entry is an entry of the archive.
type entry struct {
	path   string
	node   *ext4.Node // nil for a hard link
	target string     // of a hard link
}

// archive reads the tar archive of one layer.
type archive struct {
	ctx   context.Context
	image *image
	lane  *ext4.Lane
	r     io.Reader
	last  string // name of the entry before, for errors
}

// read reads all entries, and what follows the archive to the end.
func (a *archive) read() (*changeset, error) {
	tr := tar.NewReader(a.r)
	c := &changeset{}
	for {
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) { // names are clamped to the root
			return nil, fmt.Errorf("tar header after entry %.300q: %w", a.last, err)
		}
		a.last = h.Name
		if err := a.entry(c, h, tr); err != nil {
			return nil, fmt.Errorf("entry %.300q: %w", h.Name, err)
		}
	}
	if _, err := io.Copy(io.Discard, a.r); err != nil {
		return nil, fmt.Errorf("after the archive's end: %w", err)
	}
	return c, nil
}

// entry takes one entry in.
func (a *archive) entry(c *changeset, h *tar.Header, r io.Reader) error {
	if h.Typeflag == tar.TypeXGlobalHeader { // git archive puts a comment there
		return nil
	}
	a.image.entries.Add(1)
	name, err := cleanPath(h.Name)
	if err != nil {
		return err
	}
	if err := a.image.spent.node(len(h.Name) + len(h.Linkname)); err != nil {
		return err
	}
	hides, special, err := hiding(name)
	if err != nil {
		return err
	}
	if hides != nil {
		c.whiteouts = append(c.whiteouts, *hides)
	}
	if special {
		return nil
	}
	e := entry{path: name}
	if h.Typeflag == tar.TypeLink {
		e.target, err = cleanPath(h.Linkname)
	} else {
		e.node, err = a.node(h, r)
	}
	if err != nil {
		return err
	}
	c.entries = append(c.entries, e)
	return nil
}

// cleanPath returns a path below the root, which ".." does not leave.
func cleanPath(name string) (string, error) {
	if len(name) > maxPath {
		return "", fmt.Errorf("path of %d bytes is longer than %d", len(name), maxPath)
	}
	clean := path.Clean("/" + name)[1:]
	for part := range strings.SplitSeq(clean, "/") {
		if len(part) > format.MaxName {
			return "", fmt.Errorf("name of %d bytes is longer than %d", len(part), format.MaxName)
		}
	}
	return clean, nil
}

const (
	whiteoutPrefix = ".wh."
	// metaPrefix is that of files that AUFS, where whiteouts come from, kept
	// for itself.
	metaPrefix = ".wh..wh."
	opaque     = ".wh..wh..opq"
)

// hiding returns the whiteout that a path stands for. special is set for one,
// and for a path without meaning here, which stands for none.
func hiding(name string) (w *whiteout, special bool, err error) {
	dir, base := path.Split(name)
	dir = strings.TrimSuffix(dir, "/")
	for part := range strings.SplitSeq(dir, "/") {
		if strings.HasPrefix(part, metaPrefix) {
			return nil, true, nil
		}
		if strings.HasPrefix(part, whiteoutPrefix) {
			return nil, false, fmt.Errorf("whiteout %q is used as a directory", part)
		}
	}
	hidden, found := strings.CutPrefix(base, whiteoutPrefix)
	switch {
	case !found:
		return nil, false, nil
	case base == opaque:
		return &whiteout{dir: dir}, true, nil
	case strings.HasPrefix(base, metaPrefix):
		return nil, true, nil
	case hidden == "" || hidden == "." || hidden == "..":
		return nil, false, errors.New("whiteout of nothing that can have a name")
	}
	return &whiteout{dir: dir, name: hidden}, true, nil
}

// node returns the inode that a header describes. A file's data is read and
// written.
func (a *archive) node(h *tar.Header, r io.Reader) (*ext4.Node, error) {
	if h.Uid < 0 || h.Uid > math.MaxUint32 || h.Gid < 0 || h.Gid > math.MaxUint32 {
		return nil, fmt.Errorf("owner %d:%d is not in the range of 32 bits", h.Uid, h.Gid)
	}
	n := &ext4.Node{
		Mode: uint16(h.Mode & 0o7777),
		UID:  uint32(h.Uid), GID: uint32(h.Gid),
		Mtime: h.ModTime, Atime: h.AccessTime, Ctime: h.ChangeTime,
	}
	var err error
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeCont, tar.TypeGNUSparse:
		n.Mode |= format.TypeFile
		n.Data, err = a.data(h, r)
	case tar.TypeDir:
		n.Mode |= format.TypeDir
	case tar.TypeSymlink:
		n.Mode |= format.TypeLink
		n.Target = h.Linkname
		if len(n.Target) == 0 || len(n.Target) > format.MaxSymlink {
			err = fmt.Errorf("symbolic link has a target of %d bytes: it may have 1 to %d", len(n.Target), format.MaxSymlink)
		}
	case tar.TypeChar, tar.TypeBlock:
		n.Mode |= format.TypeChar
		if h.Typeflag == tar.TypeBlock {
			n.Mode = n.Mode&^format.TypeMask | format.TypeBlock
		}
		if h.Devmajor < 0 || h.Devmajor > format.MaxMajor || h.Devminor < 0 || h.Devminor > format.MaxMinor {
			err = fmt.Errorf("device %d:%d does not exist: numbers go up to %d:%d", h.Devmajor, h.Devminor, format.MaxMajor, format.MaxMinor)
		}
		n.Major, n.Minor = uint32(h.Devmajor), uint32(h.Devminor)
	case tar.TypeFifo:
		n.Mode |= format.TypeFIFO
	default:
		err = fmt.Errorf("tar entries of type %q are not supported", h.Typeflag)
	}
	if err != nil {
		return nil, err
	}
	if n.Xattrs, err = xattrs(h, n.Mode); err != nil {
		return nil, err
	}
	if err := ext4.CheckXattrs(n.Xattrs); err != nil {
		return nil, err
	}
	for name, value := range n.Xattrs {
		a.image.spent.metadata.Add(int64(len(name) + len(value)))
	}
	return n, nil
}

// data writes a file's contents.
func (a *archive) data(h *tar.Header, r io.Reader) (*ext4.Blob, error) {
	if h.Size == 0 {
		return nil, nil
	}
	if err := a.image.spent.file(h.Size); err != nil {
		return nil, err
	}
	return a.lane.Data(cancellable{a.ctx, r}, h.Size)
}

// cancellable ends with its context: a sparse file's holes are read without
// reading the archive.
type cancellable struct {
	ctx context.Context
	r   io.Reader
}

func (c cancellable) Read(p []byte) (int, error) {
	if err := context.Cause(c.ctx); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
