//go:build linux

package launch

import (
	"fmt"
	"math"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/skerry-app/skerry/guest/api"
)

// defaultCapabilities are the fourteen that Docker gives.
const defaultCapabilities = uint64(0 |
	1<<unix.CAP_CHOWN | 1<<unix.CAP_DAC_OVERRIDE | 1<<unix.CAP_FSETID | 1<<unix.CAP_FOWNER | 1<<unix.CAP_MKNOD |
	1<<unix.CAP_NET_RAW | 1<<unix.CAP_SETGID | 1<<unix.CAP_SETUID | 1<<unix.CAP_SETFCAP | 1<<unix.CAP_SETPCAP |
	1<<unix.CAP_NET_BIND_SERVICE | 1<<unix.CAP_SYS_CHROOT | 1<<unix.CAP_KILL | 1<<unix.CAP_AUDIT_WRITE)

// capabilities are those that a process gets.
func capabilities(p *api.Process) *api.Capabilities {
	switch {
	case p.Capabilities != nil:
		return p.Capabilities
	case p.Privileged:
		return &api.Capabilities{Bounding: math.MaxUint64}
	default:
		return &api.Capabilities{Bounding: defaultCapabilities}
	}
}

// restrict drops what processes of the calling thread may not do. Most often
// the bounding set is enough: execve(2) gives root what is in it and other
// users nothing, as the inheritable and ambient sets are empty
// (capabilities(7), "Transformation of capabilities during execve()"). Until
// then the thread keeps the capabilities that it needs to change its child's
// identity.
func restrict(bounding uint64, noNewPrivs bool) error {
	for c := range uint(unix.CAP_LAST_CAP + 1) {
		if bounding&(1<<c) != 0 {
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

// carries tells whether a process is executed with sets of its own.
func carries(c *api.Capabilities) bool {
	return c.Effective|c.Permitted|c.Inheritable|c.Ambient != 0
}

// setCapabilities has a process take its sets on, once it has its identity.
func setCapabilities(list *calls, c *api.Capabilities) {
	header := &unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	data := &[2]unix.CapUserData{}
	for i := range data {
		word := func(set uint64) uint32 { return uint32(set >> (32 * i)) }
		data[i] = unix.CapUserData{Effective: word(c.Effective), Permitted: word(c.Permitted), Inheritable: word(c.Inheritable)}
	}
	list.keep = append(list.keep, header, data)
	list.add("set capabilities", unix.SYS_CAPSET, uintptr(unsafe.Pointer(header)), uintptr(unsafe.Pointer(data)))
	for n := range uint(unix.CAP_LAST_CAP + 1) {
		if c.Ambient&(1<<n) != 0 {
			list.add(fmt.Sprintf("raise ambient capability %d", n), unix.SYS_PRCTL, unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, uintptr(n))
		}
	}
}
