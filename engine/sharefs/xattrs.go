//go:build linux

package sharefs

import (
	"bytes"
	"strings"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// maxAttribute is what Linux allows an attribute's value, and a list of names,
// to have (XATTR_SIZE_MAX).
const maxAttribute = 64 << 10

// attribute refuses the names of attributes that are not the guest's: what the
// host's kernel or security modules keep there means something on the host.
func (n *node) attribute(name string) error {
	if !n.hasAttributes() || !strings.HasPrefix(name, "user.") || name == ownerAttribute {
		return unix.ENOTSUP
	}
	return nil
}

// GetXAttr implements fuse.RawFileSystem.
func (s *Server) GetXAttr(_ <-chan struct{}, h *fuse.InHeader, name string, to []byte) (size uint32, code fuse.Status) {
	code = s.at(h.NodeId, func(n *node) error {
		if err := n.attribute(name); err != nil {
			return err
		}
		got, err := unix.Getxattr(n.path(), name, to)
		size = uint32(max(got, 0))
		return err
	})
	return size, code
}

// ListXAttr implements fuse.RawFileSystem.
func (s *Server) ListXAttr(_ <-chan struct{}, h *fuse.InHeader, to []byte) (size uint32, code fuse.Status) {
	code = s.at(h.NodeId, func(n *node) error {
		if !n.hasAttributes() {
			return nil
		}
		all := make([]byte, maxAttribute)
		got, err := unix.Listxattr(n.path(), all)
		if err != nil {
			return err
		}
		var list []byte
		for name := range bytes.SplitAfterSeq(all[:got], []byte{0}) {
			if text := strings.TrimSuffix(string(name), "\x00"); n.attribute(text) == nil {
				list = append(list, name...)
			}
		}
		if size = uint32(len(list)); len(to) > 0 && copy(to, list) < len(list) {
			return unix.ERANGE
		}
		return nil
	})
	return size, code
}

// SetXAttr implements fuse.RawFileSystem.
func (s *Server) SetXAttr(_ <-chan struct{}, in *fuse.SetXAttrIn, name string, value []byte) fuse.Status {
	return s.change(in.NodeId, func(n *node) error {
		if err := n.attribute(name); err != nil {
			return err
		}
		if uint64(in.Size) > uint64(len(value)) {
			return unix.EINVAL
		}
		return unix.Setxattr(n.path(), name, value[:in.Size], int(in.Flags))
	})
}

// RemoveXAttr implements fuse.RawFileSystem.
func (s *Server) RemoveXAttr(_ <-chan struct{}, h *fuse.InHeader, name string) fuse.Status {
	return s.change(h.NodeId, func(n *node) error {
		if err := n.attribute(name); err != nil {
			return err
		}
		return unix.Removexattr(n.path(), name)
	})
}
