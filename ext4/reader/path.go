package reader

import (
	"io/fs"
	"strings"
	"syscall"
)

// resolve returns what a path stands for. Symbolic links are followed as if
// the file system's root were the root; the last element's only if follow is
// set.
func (f *FS) resolve(name string, follow bool) (*Inode, error) {
	if !valid(name) {
		return nil, fs.ErrInvalid
	}
	if len(name) > maxPath {
		return nil, syscall.ENAMETOOLONG
	}
	trail := []*Inode{f.root} // directories from the root on
	links := 0
	for rest, more := name, true; more; {
		var part string
		part, rest, more = strings.Cut(rest, "/")
		switch part {
		case "", ".":
			continue
		case "..":
			trail = trail[:max(1, len(trail)-1)]
			continue
		}
		in, err := trail[len(trail)-1].child(part)
		if err != nil {
			return nil, err
		}
		switch {
		case in.isDir():
			trail = append(trail, in)
		case in.isLink() && (more || follow):
			if links++; links > maxLinks {
				return nil, syscall.ELOOP
			}
			target, err := in.target()
			if err != nil {
				return nil, err
			}
			if strings.HasPrefix(target, "/") {
				trail = trail[:1]
			}
			if more {
				target += "/" + rest
			}
			rest, more = target, true
		case more:
			return nil, syscall.ENOTDIR
		default:
			return in, nil
		}
	}
	return trail[len(trail)-1], nil
}

// child returns the inode of a name in a directory.
func (in *Inode) child(name string) (*Inode, error) {
	e, ok, err := in.find(name)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fs.ErrNotExist
	}
	return in.open(e)
}

// valid is fs.ValidPath for names of any bytes.
func valid(name string) bool {
	if name == "." {
		return true
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part == "." || part == ".." {
			return false
		}
	}
	return true
}
