//go:build linux

package launch

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// setFilter has a process take on a seccomp filter, an array of struct
// sock_filter, for all that it calls from then on.
func setFilter(list *calls, filter []byte) {
	// Aligned as the kernel's structures are, wherever the message had it.
	program := make([]unix.SockFilter, uintptr(len(filter))/unsafe.Sizeof(unix.SockFilter{}))
	copy(unsafe.Slice((*byte)(unsafe.Pointer(&program[0])), len(filter)), filter)
	fprog := &unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	list.keep = append(list.keep, fprog)
	list.add("set the seccomp filter", unix.SYS_PRCTL, unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(fprog)))
}
