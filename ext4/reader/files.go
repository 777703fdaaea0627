package reader

import (
	"io"
	"io/fs"
	"path"
	"syscall"
	"time"

	"github.com/skerry-app/skerry/ext4/format"
)

// What an FS is to others.
var (
	_ fs.ReadDirFS  = (*FS)(nil)
	_ fs.StatFS     = (*FS)(nil)
	_ fs.ReadLinkFS = (*FS)(nil)
)

// Open opens a file or directory; symbolic links are followed and never leave
// the file system. A regular file is an io.ReaderAt and an io.Seeker too, a
// directory an fs.ReadDirFile. Devices, FIFOs and sockets can be opened and not
// be read.
func (f *FS) Open(name string) (fs.File, error) {
	fi, err := f.info("open", name, true)
	if err != nil {
		return nil, err
	}
	in := fi.in
	switch in.Mode & format.TypeMask {
	case format.TypeDir:
		return &directory{special: special{fi, name, syscall.EISDIR}}, nil
	case format.TypeFile:
		c, err := in.Contents()
		if err != nil {
			return nil, &fs.PathError{Op: "open", Path: name, Err: err}
		}
		return &file{io.NewSectionReader(c, 0, in.Size), fi}, nil
	}
	return &special{fi, name, errNotRegular}, nil
}

// Stat describes a file; symbolic links are followed. Sys returns an *Inode.
func (f *FS) Stat(name string) (fs.FileInfo, error) {
	fi, err := f.info("stat", name, true)
	if err != nil {
		return nil, err
	}
	return fi, nil
}

// Lstat is Stat without following a symbolic link that is the path's last
// element.
func (f *FS) Lstat(name string) (fs.FileInfo, error) {
	fi, err := f.info("lstat", name, false)
	if err != nil {
		return nil, err
	}
	return fi, nil
}

// ReadLink returns the target of a symbolic link, as it is.
func (f *FS) ReadLink(name string) (string, error) {
	in, err := f.resolve(name, false)
	target := ""
	if err == nil {
		if !in.isLink() {
			err = fs.ErrInvalid
		} else {
			target, err = in.target()
		}
	}
	if err != nil {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: err}
	}
	return target, nil
}

// ReadDir returns the entries of a directory, sorted by name.
func (f *FS) ReadDir(name string) ([]fs.DirEntry, error) {
	in, err := f.resolve(name, true)
	if err == nil && !in.isDir() {
		err = syscall.ENOTDIR
	}
	var all []fs.DirEntry
	if err == nil {
		all, err = in.readDir()
	}
	if err != nil {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: err}
	}
	return all, nil
}

func (in *Inode) readDir() ([]fs.DirEntry, error) {
	list, err := in.list()
	if err != nil {
		return nil, err
	}
	all := make([]fs.DirEntry, len(list))
	for i, e := range list {
		all[i] = &dirEntry{in, e}
	}
	return all, nil
}

func (f *FS) info(op, name string, follow bool) (*info, error) {
	in, err := f.resolve(name, follow)
	if err != nil {
		return nil, &fs.PathError{Op: op, Path: name, Err: err}
	}
	return &info{path.Base(name), in}, nil
}

// info is an fs.FileInfo.
type info struct {
	name string
	in   *Inode
}

func (i *info) Name() string       { return i.name }
func (i *info) Size() int64        { return i.in.Size }
func (i *info) Mode() fs.FileMode  { return fileMode(i.in.Mode) }
func (i *info) ModTime() time.Time { return i.in.Mtime }
func (i *info) IsDir() bool        { return i.in.isDir() }
func (i *info) Sys() any           { return i.in }

// fileMode returns what package os makes of a mode.
func fileMode(mode uint16) fs.FileMode {
	m := fs.FileMode(mode & 0o777)
	switch mode & format.TypeMask {
	case format.TypeDir:
		m |= fs.ModeDir
	case format.TypeLink:
		m |= fs.ModeSymlink
	case format.TypeFIFO:
		m |= fs.ModeNamedPipe
	case format.TypeSocket:
		m |= fs.ModeSocket
	case format.TypeBlock:
		m |= fs.ModeDevice
	case format.TypeChar:
		m |= fs.ModeDevice | fs.ModeCharDevice
	}
	for bit, set := range map[uint16]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if mode&bit != 0 {
			m |= set
		}
	}
	return m
}

// dirEntry is an fs.DirEntry.
type dirEntry struct {
	dir *Inode
	e   entry
}

func (d *dirEntry) Name() string      { return d.e.name }
func (d *dirEntry) IsDir() bool       { return d.e.kind == format.TypeDir }
func (d *dirEntry) Type() fs.FileMode { return fileMode(d.e.kind).Type() }
func (d *dirEntry) String() string    { return fs.FormatDirEntry(d) }

func (d *dirEntry) Info() (fs.FileInfo, error) {
	in, err := d.dir.open(d.e)
	if err != nil {
		return nil, &fs.PathError{Op: "lstat", Path: d.e.name, Err: err}
	}
	return &info{d.e.name, in}, nil
}

// file is an open regular file.
type file struct {
	*io.SectionReader
	info *info
}

func (f *file) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *file) Close() error               { return nil }

// special is an open file that cannot be read.
type special struct {
	info *info
	name string
	err  error
}

func (s *special) Stat() (fs.FileInfo, error) { return s.info, nil }
func (s *special) Close() error               { return nil }

func (s *special) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: s.name, Err: s.err}
}

// directory is an open directory.
type directory struct {
	special
	entries []fs.DirEntry // those not given out yet
	read    bool
}

// ReadDir reads entries as fs.ReadDirFile says, sorted by name.
func (d *directory) ReadDir(n int) ([]fs.DirEntry, error) {
	if !d.read {
		all, err := d.info.in.readDir()
		if err != nil {
			return nil, &fs.PathError{Op: "readdir", Path: d.name, Err: err}
		}
		d.entries, d.read = all, true
	}
	if n <= 0 || n > len(d.entries) {
		if n > 0 && len(d.entries) == 0 {
			return nil, io.EOF
		}
		n = len(d.entries)
	}
	given := d.entries[:n:n]
	d.entries = d.entries[n:]
	return given, nil
}
