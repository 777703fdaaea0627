package engine

import "golang.org/x/sys/unix"

// hostMemory returns the host's memory in bytes, 0 when it is not known
// (sysctl(3), hw.memsize).
func hostMemory() int64 {
	n, err := unix.SysctlUint64("hw.memsize")
	if err != nil {
		return 0
	}
	return int64(n)
}
