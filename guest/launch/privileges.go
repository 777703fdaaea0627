//go:build linux

package launch

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// defaultCapabilities are the fourteen that Docker gives.
const defaultCapabilities = uint64(0 |
	1<<unix.CAP_CHOWN | 1<<unix.CAP_DAC_OVERRIDE | 1<<unix.CAP_FSETID | 1<<unix.CAP_FOWNER | 1<<unix.CAP_MKNOD |
	1<<unix.CAP_NET_RAW | 1<<unix.CAP_SETGID | 1<<unix.CAP_SETUID | 1<<unix.CAP_SETFCAP | 1<<unix.CAP_SETPCAP |
	1<<unix.CAP_NET_BIND_SERVICE | 1<<unix.CAP_SYS_CHROOT | 1<<unix.CAP_KILL | 1<<unix.CAP_AUDIT_WRITE)

// restrict drops what processes of the calling thread may not do. The bounding
// set is enough: execve(2) gives root what is in it and other users nothing,
// as the inheritable and ambient sets are empty (capabilities(7),
// "Transformation of capabilities during execve()"). Until then the thread
// keeps the capabilities that it needs to change its child's identity.
func restrict(privileged, noNewPrivs bool) error {
	for c := range uint(unix.CAP_LAST_CAP + 1) {
		if privileged || defaultCapabilities&(1<<c) != 0 {
			continue
		}
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(c), 0, 0, 0); err != nil && err != unix.EINVAL { // not of this kernel
			return fmt.Errorf("drop capability %d: %w", c, err)
		}
	}
	if noNewPrivs {
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return fmt.Errorf("set no_new_privs: %w", err)
		}
	}
	return nil
}
