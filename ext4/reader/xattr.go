package reader

import (
	"fmt"
	"strings"

	"github.com/skerry-app/skerry/ext4/format"
)

// Xattrs returns the extended attributes by full name, nil for none, in the
// form that getxattr(2) gives them: that is what access control lists are
// turned into. Attributes in namespaces that the kernel does not show are left
// out.
func (in *Inode) Xattrs() (map[string][]byte, error) {
	entries, err := format.ParseInodeXattrs(in.xattrs)
	if err != nil {
		return nil, corrupt("inode %d: %w", in.Number, err)
	}
	if in.xattrBlock != 0 {
		more, err := in.fs.xattrBlock(in.xattrBlock)
		if err != nil {
			return nil, fmt.Errorf("inode %d: %w", in.Number, err)
		}
		entries = append(entries, more...)
	}
	var all map[string][]byte
	room := maxXattrs
	for i := range entries {
		x := &entries[i]
		name, ok := format.JoinXattr(x.Index, x.Name)
		if !ok || !shown(name) {
			continue
		}
		value, err := in.fs.xattrValue(x)
		if err != nil {
			return nil, fmt.Errorf("inode %d: extended attribute %.300q: %w", in.Number, name, err)
		}
		if room -= len(name) + len(value); room < 0 {
			return nil, corrupt("inode %d: extended attributes have more than %d bytes", in.Number, maxXattrs)
		}
		if _, ok := all[name]; ok {
			return nil, corrupt("inode %d: extended attribute %.300q is there twice", in.Number, name)
		}
		if all == nil {
			all = map[string][]byte{}
		}
		all[name] = value
	}
	return all, nil
}

// shown says whether the kernel shows an attribute: of those of the system only
// access control lists.
func shown(name string) bool {
	return !strings.HasPrefix(name, "system.") || name == format.ACLAccess || name == format.ACLDefault
}

// xattrBlock reads a block of attributes.
func (f *FS) xattrBlock(number uint64) ([]format.XattrEntry, error) {
	b, err := f.block(number)
	if err != nil {
		return nil, fmt.Errorf("extended attributes: %w", err)
	}
	if f.super.checksums {
		if err := format.VerifyXattrBlock(b, number, f.super.seed); err != nil {
			return nil, corrupt("extended attributes in block %d: %w", number, err)
		}
	}
	entries, err := format.ParseXattrBlock(b)
	if err != nil {
		return nil, corrupt("block %d: %w", number, err)
	}
	return entries, nil
}

// xattrValue returns a copy of an attribute's value.
func (f *FS) xattrValue(x *format.XattrEntry) ([]byte, error) {
	value := append([]byte{}, x.Value...)
	if x.Inode != 0 {
		var err error
		if value, err = f.xattrInode(x); err != nil {
			return nil, err
		}
	}
	if name, _ := format.JoinXattr(x.Index, x.Name); name == format.ACLAccess || name == format.ACLDefault {
		list, err := format.XattrACL(value)
		if err != nil {
			return nil, corrupt("%w", err)
		}
		return list, nil
	}
	return value, nil
}

// xattrInode reads a value that is an inode's contents.
func (f *FS) xattrInode(x *format.XattrEntry) ([]byte, error) {
	if x.Size > maxXattr {
		return nil, corrupt("value has %d bytes, more than %d", x.Size, maxXattr)
	}
	in, err := f.inode(x.Inode)
	if err != nil {
		return nil, err
	}
	if in.flags&format.InodeEA == 0 || in.Size != int64(x.Size) {
		return nil, corrupt("inode %d with %d bytes is not its value of %d", in.Number, in.Size, x.Size)
	}
	c, err := in.Contents()
	if err != nil {
		return nil, err
	}
	value := make([]byte, x.Size)
	_, err = c.ReadAt(value, 0)
	return value, err
}
