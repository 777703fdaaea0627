//go:build linux

package boot

import (
	"bytes"
	"fmt"
)

// Initramfs returns an uncompressed cpio archive in the "newc" format whose only member is /init, as the kernel
// unpacks it (Documentation/driver-api/early-userspace/buffer-format.rst). The kernel's own built-in archive
// brings /dev/console.
func Initramfs(init []byte) []byte {
	const executable = 0o100755
	var archive bytes.Buffer
	writeMember(&archive, "init", executable, init)
	writeMember(&archive, "TRAILER!!!", 0, nil)
	return archive.Bytes()
}

// writeMember appends one file: a header of hexadecimal fields, the name with its NUL, the content, the latter two
// each padded to four bytes.
func writeMember(archive *bytes.Buffer, name string, mode uint32, content []byte) {
	const ino, uid, gid, links, mtime, device, check = 0, 0, 0, 1, 0, 0, 0
	fmt.Fprintf(archive, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
		ino, mode, uid, gid, links, mtime, len(content),
		device, device, device, device, len(name)+1, check)
	archive.WriteString(name + "\x00")
	pad(archive)
	archive.Write(content)
	pad(archive)
}

func pad(archive *bytes.Buffer) {
	for archive.Len()%4 != 0 {
		archive.WriteByte(0)
	}
}
