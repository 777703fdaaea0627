//go:build linux

package main

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// defaultCapabilities are the fourteen that Docker gives.
var defaultCapabilities = []uint{
	unix.CAP_CHOWN, unix.CAP_DAC_OVERRIDE, unix.CAP_FSETID, unix.CAP_FOWNER, unix.CAP_MKNOD, unix.CAP_NET_RAW, unix.CAP_SETGID,
	unix.CAP_SETUID, unix.CAP_SETFCAP, unix.CAP_SETPCAP, unix.CAP_NET_BIND_SERVICE, unix.CAP_SYS_CHROOT, unix.CAP_KILL, unix.CAP_AUDIT_WRITE,
}

// assume takes on a user's identity and drops what the process may not do.
// The system calls are the raw ones, for this thread alone, which is the one
// that goes on.
func assume(id identity, privileged, noNewPrivs bool) error {
	allowed := ^uint64(0)
	if !privileged {
		allowed = 0
		for _, c := range defaultCapabilities {
			allowed |= 1 << c
		}
	}
	for c := range uint(unix.CAP_LAST_CAP + 1) {
		if allowed&(1<<c) != 0 {
			continue
		}
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(c), 0, 0, 0); err != nil && err != unix.EINVAL {
			return fmt.Errorf("drop capability %d: %w", c, err)
		}
	}
	if err := setIDs(id); err != nil {
		return err
	}
	if id.uid == 0 { // for others the kernel has cleared all sets
		if err := setCapabilities(allowed); err != nil {
			return err
		}
	}
	if noNewPrivs {
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return fmt.Errorf("set no_new_privs: %w", err)
		}
	}
	return nil
}

func setIDs(id identity) error {
	if err := unix.Setgroups(id.groups); err != nil {
		return fmt.Errorf("set groups %v: %w", id.groups, err)
	}
	if err := unix.Setresgid(id.gid, id.gid, id.gid); err != nil {
		return fmt.Errorf("set group %d: %w", id.gid, err)
	}
	if err := unix.Setresuid(id.uid, id.uid, id.uid); err != nil {
		return fmt.Errorf("set user %d: %w", id.uid, err)
	}
	return nil
}

// setCapabilities sets the effective and permitted sets and clears the
// inheritable one (capabilities(7)).
func setCapabilities(allowed uint64) error {
	var bounded uint64
	for c := range uint(unix.CAP_LAST_CAP + 1) {
		if n, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, uintptr(c), 0, 0, 0); err == nil && n == 1 {
			bounded |= 1 << c
		}
	}
	allowed &= bounded
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	low, high := uint32(allowed), uint32(allowed>>32)
	data := [2]unix.CapUserData{{Effective: low, Permitted: low}, {Effective: high, Permitted: high}}
	if err := unix.Capset(&header, &data[0]); err != nil {
		return fmt.Errorf("set capabilities: %w", err)
	}
	return nil
}
