package engine

import "golang.org/x/sys/unix"

// hostMemory returns the host's memory in bytes, 0 when it is not known
// (sysinfo(2)).
func hostMemory() int64 {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 0
	}
	return int64(info.Totalram) * int64(info.Unit)
}
