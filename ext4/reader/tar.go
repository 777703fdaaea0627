package reader

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/skerry-app/skerry/ext4/format"
)

// sparseGain is how many bytes of holes a file must have to become a sparse
// file in an archive, which not every reader of archives knows. Fewer are
// written as zeros.
const sparseGain = 64 << 10

// WriteTar writes a PAX archive of all files: the root as "./", directories
// before what is in them, names in the order of their bytes. skip, if set, is
// asked for each path but the root's; what it returns true for is left out,
// with all that is below. So are sockets, which archives cannot have.
//
// Extended attributes are records "SCHILY.xattr.", with access control lists
// in the form of getxattr(2), as GNU tar, Docker and containerd have them. Of
// the times there is only the last modification. The second and further names
// of an inode are hard links to the first. Files with holes of 64 KiB and more
// together are sparse files in GNU's form 1.0. Names that are not UTF-8 are
// written as they are, and marked by "hdrcharset=BINARY". What an archive
// cannot have otherwise, such as an attribute with a "=" in its name, is an
// error.
//
// The archive is of no use after an error.
func (f *FS) WriteTar(w io.Writer, skip func(path string) bool) error {
	buffered := bufio.NewWriterSize(w, 64<<10)
	x := exporter{
		fs: f, w: buffered, skip: skip, names: map[uint32]string{},
		left: f.super.blocks * f.super.shares(), spans: f.super.maxSpans(), buffer: make([]byte, 256<<10),
	}
	if err := x.add(".", f.root); err != nil {
		return fmt.Errorf("export ext4: %w", err)
	}
	buffered.Write(make([]byte, 2*tarBlock)) // an error stays up to Flush
	if err := buffered.Flush(); err != nil {
		return fmt.Errorf("export ext4: %w", err)
	}
	return nil
}

// exporter writes one archive.
type exporter struct {
	fs    *FS
	w     *bufio.Writer
	skip  func(path string) bool
	names map[uint32]string // inodes with further names, by their first
	// left is how many blocks directories and files can still have, and spans
	// how many spans files, as no two of them have a block in common: an image
	// that says otherwise could become an archive of any size.
	left, spans uint64
	buffer      []byte
}

// add writes an inode by one of its names, and what is below it.
func (x *exporter) add(path string, in *Inode) error {
	if len(path) > maxPath {
		return corrupt("path %.100q... is longer than %d bytes", path, maxPath)
	}
	if in.Mode&format.TypeMask == format.TypeSocket {
		return nil
	}
	if err := x.entry(path, in); err != nil {
		return fmt.Errorf("%.300q: %w", path, err)
	}
	if !in.isDir() {
		return nil
	}
	if err := x.spend(in, in.Size); err != nil {
		return fmt.Errorf("%.300q: %w", path, err)
	}
	list, err := in.list()
	if err != nil {
		return fmt.Errorf("%.300q: %w", path, err)
	}
	for _, e := range list {
		below := e.name
		if path != "." {
			below = path + "/" + e.name
		}
		if x.skip != nil && x.skip(below) {
			continue
		}
		child, err := in.open(e)
		if err != nil {
			return fmt.Errorf("%.300q: %w", below, err)
		}
		if err := x.add(below, child); err != nil {
			return err
		}
	}
	return nil
}

// spend takes blocks of so many bytes of an inode into account.
func (x *exporter) spend(in *Inode, bytes int64) error {
	if in.flags&format.InodeInlineData != 0 {
		return nil
	}
	size := uint64(x.fs.super.blockSize)
	n := (uint64(bytes) + size - 1) / size
	if n > x.left {
		return corrupt("files have more blocks together than the %d of the file system", x.fs.super.blocks)
	}
	x.left -= n
	return nil
}

// entry writes an inode.
func (x *exporter) entry(path string, in *Inode) error {
	h := header{name: path, mode: in.Mode & 0o7777, uid: in.UID, gid: in.GID, modified: in.Mtime}
	if first, ok := x.names[in.Number]; ok {
		h.kind, h.link = tarLink, first
		return h.write(x.w)
	}
	if in.Links > 1 && !in.isDir() {
		x.names[in.Number] = path
	}
	if err := h.setXattrs(in); err != nil {
		return err
	}
	switch in.Mode & format.TypeMask {
	case format.TypeFile:
		return x.file(&h, in)
	case format.TypeDir:
		h.kind = tarDirectory
		h.name += "/"
	case format.TypeLink:
		h.kind = tarSymlink
		var err error
		if h.link, err = in.target(); err != nil {
			return err
		}
	case format.TypeChar:
		h.kind, h.major, h.minor = tarChar, in.Major, in.Minor
	case format.TypeBlock:
		h.kind, h.major, h.minor = tarBlockDevice, in.Major, in.Minor
	case format.TypeFIFO:
		h.kind = tarFIFO
	}
	return h.write(x.w)
}

// file writes a regular file.
func (x *exporter) file(h *header, in *Inode) error {
	h.kind, h.size = tarFile, in.Size
	c, err := in.Contents()
	if err != nil {
		return err
	}
	x.spans += spansOfInode
	segments, err := c.segments(&x.spans)
	if err != nil {
		return err
	}
	stored := int64(0)
	for _, s := range segments {
		stored += s.End - s.Start
	}
	if err := x.spend(in, stored); err != nil {
		return err
	}
	if in.Size-stored < sparseGain {
		segments = []Segment{{0, in.Size}}
		if err := h.write(x.w); err != nil {
			return err
		}
	} else {
		sparse := sparseMap(segments, in.Size)
		h.sparse, h.size = in.Size, int64(len(sparse))+stored
		if err := h.write(x.w); err != nil {
			return err
		}
		if _, err := x.w.WriteString(sparse); err != nil {
			return err
		}
	}
	for _, s := range segments {
		if err := x.copy(c, s); err != nil {
			return err
		}
	}
	_, err = x.w.Write(make([]byte, padding(h.size)))
	return err
}

// segments returns all data of a file, whose spans are taken from left.
func (c *Contents) segments(left *uint64) ([]Segment, error) {
	var all []Segment
	for at := int64(0); ; {
		s, err := c.next(at, left)
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		if len(all) == maxSegments {
			return nil, fmt.Errorf("inode %d: file has more than %d pieces of data", c.in.Number, maxSegments)
		}
		all = append(all, s)
		at = s.End
	}
}

// copy writes a segment of a file.
func (x *exporter) copy(c *Contents, s Segment) error {
	for at := s.Start; at < s.End; {
		p := x.buffer[:min(int64(len(x.buffer)), s.End-at)]
		if _, err := c.ReadAt(p, at); err != nil {
			return err
		}
		if _, err := x.w.Write(p); err != nil {
			return err
		}
		at += int64(len(p))
	}
	return nil
}

// sparseMap returns what comes before the data of a sparse file (GNU tar's
// manual, "Storing Sparse Files", version 1.0): the number of segments, and
// where each begins and how long it is, in lines, up to the end of a block.
func sparseMap(segments []Segment, size int64) string {
	if n := len(segments); n == 0 || segments[n-1].End < size {
		segments = append(slices.Clip(segments), Segment{size, size})
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d\n", len(segments))
	for _, s := range segments {
		fmt.Fprintf(&b, "%d\n%d\n", s.Start, s.End-s.Start)
	}
	b.Write(make([]byte, padding(int64(b.Len()))))
	return b.String()
}
