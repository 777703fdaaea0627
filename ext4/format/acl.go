package format

import (
	"encoding/binary"
	"fmt"
)

// An access control list has two forms: the one that getxattr(2) and so tar
// archives have (linux/posix_acl_xattr.h), version 2, and ext4's own
// (fs/ext4/acl.h), version 1, where only named users and groups have a number.
const (
	aclXattrVersion = 2
	aclDiskVersion  = 1
	aclXattrEntry   = 8
	aclUser         = 0x02
	aclGroup        = 0x08
	aclTags         = 0x01 | aclUser | 0x04 | aclGroup | 0x10 | 0x20
)

// ACL returns the on-disk form of an access control list in the form of
// extended attributes.
func ACL(value []byte) ([]byte, error) {
	le := binary.LittleEndian
	if len(value) < 4 || (len(value)-4)%aclXattrEntry != 0 || le.Uint32(value) != aclXattrVersion {
		return nil, fmt.Errorf("access control list of %d bytes is not in the form of version %d", len(value), aclXattrVersion)
	}
	out := le.AppendUint32(nil, aclDiskVersion)
	for e := value[4:]; len(e) > 0; e = e[aclXattrEntry:] {
		tag, perm := le.Uint16(e), le.Uint16(e[2:])
		if tag&aclTags == 0 || tag&(tag-1) != 0 || perm > 7 {
			return nil, fmt.Errorf("access control list has an entry with tag %#x and permissions %#o", tag, perm)
		}
		n := 4
		if tag == aclUser || tag == aclGroup {
			n = aclXattrEntry
		}
		out = append(out, e[:n]...)
	}
	return out, nil
}

// XattrACL returns the form of extended attributes of an access control list
// that is in its on-disk form.
func XattrACL(disk []byte) ([]byte, error) {
	const noID = 0xFFFFFFFF // linux/posix_acl.h, ACL_UNDEFINED_ID
	le := binary.LittleEndian
	if len(disk) < 4 || le.Uint32(disk) != aclDiskVersion {
		return nil, fmt.Errorf("access control list of %d bytes is not in ext4's form of version %d", len(disk), aclDiskVersion)
	}
	out := le.AppendUint32(nil, aclXattrVersion)
	for e := disk[4:]; len(e) > 0; {
		if len(e) < 4 {
			return nil, fmt.Errorf("access control list ends with %d bytes of an entry", len(e))
		}
		tag := le.Uint16(e)
		if tag&aclTags == 0 || tag&(tag-1) != 0 {
			return nil, fmt.Errorf("access control list has an entry with tag %#x", tag)
		}
		out = append(out, e[:4]...)
		if tag != aclUser && tag != aclGroup {
			out = le.AppendUint32(out, noID)
			e = e[4:]
			continue
		}
		if len(e) < aclXattrEntry {
			return nil, fmt.Errorf("access control list ends with %d bytes of an entry", len(e))
		}
		out = append(out, e[4:aclXattrEntry]...)
		e = e[aclXattrEntry:]
	}
	return out, nil
}
