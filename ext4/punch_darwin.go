package ext4

import (
	"errors"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// punch makes a range of a file a hole (fcntl(2), F_PUNCHHOLE). A host file
// system that cannot, or not with this alignment, keeps the range.
func punch(f *os.File, at, n int64) error {
	hole := struct { // fpunchhole_t
		flags, reserved uint32
		offset, length  int64
	}{offset: at, length: n}
	_, _, errno := unix.Syscall(unix.SYS_FCNTL, f.Fd(), unix.F_PUNCHHOLE, uintptr(unsafe.Pointer(&hole)))
	if errno == 0 || errors.Is(errno, unix.ENOTSUP) || errors.Is(errno, unix.EINVAL) {
		return nil
	}
	return errno
}
