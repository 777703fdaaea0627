package layers

import (
	"archive/tar"
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"

	"github.com/skerry-app/skerry/ext4"
	"github.com/skerry-app/skerry/ext4/format"
)

// Keywords of extended attributes in PAX headers. The first is star's, with a
// binary value, which GNU tar, Docker and Go write too; the second libarchive's
// (archive_write_set_format_pax.c): the name is encoded as in a URL, the value
// in base64 without padding.
const (
	paxSchily     = "SCHILY.xattr."
	paxLibarchive = "LIBARCHIVE.xattr."
)

// xattrs returns the extended attributes in a header, but for those that a
// file of this type cannot have and those in namespaces that ext4 has no place
// for, such as those of macOS.
func xattrs(h *tar.Header, mode uint16) (map[string][]byte, error) {
	var all map[string][]byte
	add := func(name string, value []byte) {
		if !ext4.HoldsXattr(name) || !suits(name, mode) {
			return
		}
		if all == nil {
			all = map[string][]byte{}
		}
		all[name] = value
	}
	for key, value := range h.PAXRecords {
		name, ok := strings.CutPrefix(key, paxLibarchive)
		if !ok {
			continue
		}
		name, err := url.PathUnescape(name)
		if err != nil {
			return nil, fmt.Errorf("extended attribute %.300q: name: %w", key, err)
		}
		plain, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(value, "="))
		if err != nil {
			return nil, fmt.Errorf("extended attribute %.300q: value: %w", name, err)
		}
		add(name, plain)
	}
	for key, value := range h.PAXRecords {
		if name, ok := strings.CutPrefix(key, paxSchily); ok {
			add(name, []byte(value))
		}
	}
	return all, nil
}

// suits says whether a file of this type can have an attribute (xattr(7)).
// Attributes of overlayfs are instructions to a mount of it and never contents
// of an image.
func suits(name string, mode uint16) bool {
	if strings.HasPrefix(name, "trusted.overlay.") || strings.HasPrefix(name, "user.overlay.") {
		return false
	}
	kind := mode & format.TypeMask
	switch {
	case name == format.ACLDefault:
		return kind == format.TypeDir
	case name == format.ACLAccess:
		return kind != format.TypeLink
	case strings.HasPrefix(name, "user."):
		return kind == format.TypeFile || kind == format.TypeDir
	}
	return true
}
