package ext4

import (
	"maps"
	"slices"
	"time"

	"github.com/skerry-app/skerry/ext4/format"
)

// Node is an inode: what a name in a directory stands for. Several names for
// one Node are hard links. A Node belongs to one file system at most, and is
// not changed any more once the Writer is closed.
type Node struct {
	// Mode is the type and the permissions as in st_mode of stat(2); the
	// types are format.TypeFile and so on.
	Mode     uint16
	UID, GID uint32
	Mtime    time.Time
	Atime    time.Time // zero for Mtime
	Ctime    time.Time // zero for Mtime
	// Xattrs are the extended attributes by full name. Access control lists
	// are in the form that getxattr(2) gives them.
	Xattrs       map[string][]byte
	Target       string // of a symbolic link, 1 to 4095 bytes
	Major, Minor uint32 // of a device
	Data         *Blob  // of a regular file; nil for an empty one

	entries map[string]*Node // of a directory
	links   int              // names
}

// NewDir returns an empty directory with the given permissions, owned by root,
// of the start of 1970.
func NewDir(perm uint16) *Node {
	return &Node{Mode: format.TypeDir | perm, Mtime: time.Unix(0, 0)}
}

// NewFile returns a regular file with the given permissions and contents,
// owned by root, of the start of 1970.
func NewFile(perm uint16, data *Blob) *Node {
	return &Node{Mode: format.TypeFile | perm, Mtime: time.Unix(0, 0), Data: data}
}

// IsDir says whether the node is a directory.
func (n *Node) IsDir() bool { return n.Mode&format.TypeMask == format.TypeDir }

// IsSymlink says whether the node is a symbolic link.
func (n *Node) IsSymlink() bool { return n.Mode&format.TypeMask == format.TypeLink }

// Entry returns what a name in a directory stands for, nil for nothing.
func (n *Node) Entry(name string) *Node { return n.entries[name] }

// Names returns a directory's names in byte order, without "." and "..".
func (n *Node) Names() []string {
	return slices.Sorted(maps.Keys(n.entries))
}

// Set gives child a name in a directory; what had the name loses it.
func (n *Node) Set(name string, child *Node) { n.Replace(name, child, nil) }

// Replace is Set for one who wants to know which nodes have lost their last
// name by it: gone is called as by Remove.
func (n *Node) Replace(name string, child *Node, gone func(*Node)) {
	child.links++ // first: it may be below what is being removed
	n.Remove(name, gone)
	if n.entries == nil {
		n.entries = map[string]*Node{}
	}
	n.entries[name] = child
}

// Remove takes a name, and all names below if it is a directory's, out of a
// directory. It calls gone, which may be nil, with each node that has lost its
// last name.
func (n *Node) Remove(name string, gone func(*Node)) {
	child := n.entries[name]
	if child == nil {
		return
	}
	delete(n.entries, name)
	child.links--
	if child.links > 0 {
		return
	}
	for below := range child.entries {
		child.Remove(below, gone)
	}
	if gone != nil {
		gone(child)
	}
}
