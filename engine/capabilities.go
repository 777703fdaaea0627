package engine

import (
	"fmt"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
)

// capabilityNames are Linux's in the order of their numbers (capabilities(7)).
var capabilityNames = []string{
	"CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP", "LINUX_IMMUTABLE",
	"NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT",
	"SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE",
	"AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ",
	"PERFMON", "BPF", "CHECKPOINT_RESTORE",
}

// capabilities is a set of them, as the kernel has it.
type capabilities uint64

const (
	allCapabilities capabilities = 1<<64 - 1
	// defaultCapabilities are the fourteen that Docker gives: CHOWN,
	// DAC_OVERRIDE, FSETID, FOWNER, MKNOD, NET_RAW, SETGID, SETUID, SETFCAP,
	// SETPCAP, NET_BIND_SERVICE, SYS_CHROOT, KILL and AUDIT_WRITE.
	defaultCapabilities capabilities = 0xa80425fb
)

// has tells whether a capability is in the set, by its full name.
func (c capabilities) has(name string) bool {
	i := slices.Index(capabilityNames, strings.TrimPrefix(name, "CAP_"))
	return i >= 0 && c&(1<<i) != 0
}

// parseCapabilities reads names such as "NET_ADMIN", "cap_chown" and "ALL".
func parseCapabilities(names []string) (set capabilities, all bool, err error) {
	for _, name := range names {
		plain := strings.TrimPrefix(strings.ToUpper(strings.TrimSpace(name)), "CAP_")
		if plain == "ALL" {
			all = true
			continue
		}
		i := slices.Index(capabilityNames, plain)
		if i < 0 {
			return 0, false, errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("invalid capability: unknown capability %q; use a name such as NET_ADMIN, or ALL", name))
		}
		set |= 1 << i
	}
	return set, all, nil
}

// capabilities are those that root has in the container, by Docker's rules.
func (s *Spec) capabilities() (capabilities, error) {
	add, addAll, err := parseCapabilities(s.CapAdd)
	if err != nil {
		return 0, err
	}
	drop, dropAll, err := parseCapabilities(s.CapDrop)
	switch {
	case err != nil:
		return 0, err
	case s.Privileged:
		return allCapabilities, nil
	case addAll:
		return allCapabilities &^ drop, nil
	case dropAll:
		return add, nil
	default:
		return defaultCapabilities&^drop | add, nil
	}
}
