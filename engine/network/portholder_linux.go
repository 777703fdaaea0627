package network

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// tcpListen is the state LISTEN in /proc/pid/net/tcp (proc_pid_net(5); the kernel's tcp_states.h).
const tcpListen = "0A"

// portHolder names the process that keeps at from being listened on, as `"nginx" (pid 4711)`, or returns
// "" if it cannot be found: other users' processes do not show their descriptors.
func portHolder(at netip.AddrPort) string {
	for _, table := range []string{"/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"} {
		if inode := listeningInode(table, at); inode != "" {
			return socketOwner(inode)
		}
	}
	return ""
}

// listeningInode returns the inode of a socket that listens on at or on all addresses, "" if none does.
func listeningInode(table string, at netip.AddrPort) string {
	f, err := os.Open(table)
	if err != nil {
		return ""
	}
	defer f.Close()
	const localAddress, state, inode = 1, 3, 9
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) <= inode || fields[state] != tcpListen {
			continue
		}
		local, ok := parseProcAddr(fields[localAddress])
		if ok && local.Port() == at.Port() &&
			(local.Addr() == at.Addr() || local.Addr().IsUnspecified() || at.Addr().IsUnspecified()) {
			return fields[inode]
		}
	}
	return ""
}

// parseProcAddr reads "0100007F:1F90": the address as 32-bit words in the host's byte order, the port as
// a number.
func parseProcAddr(s string) (netip.AddrPort, bool) {
	address, port, _ := strings.Cut(s, ":")
	raw, err := hex.DecodeString(address)
	if err != nil || len(raw)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for i := 0; i < len(raw); i += 4 {
		binary.NativeEndian.PutUint32(raw[i:], binary.BigEndian.Uint32(raw[i:]))
	}
	a, ok := netip.AddrFromSlice(raw)
	p, err := strconv.ParseUint(port, 16, 16)
	return netip.AddrPortFrom(a.Unmap(), uint16(p)), ok && err == nil
}

// socketOwner finds the process that has a socket open.
func socketOwner(inode string) string {
	link := "socket:[" + inode + "]"
	descriptors, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return ""
	}
	for _, fd := range descriptors {
		if target, err := os.Readlink(fd); err != nil || target != link {
			continue
		}
		pid := strings.Split(fd, "/")[2]
		name, err := os.ReadFile("/proc/" + pid + "/comm")
		if err != nil {
			return "process " + pid
		}
		return fmt.Sprintf("%q (pid %s)", strings.TrimSpace(string(name)), pid)
	}
	return ""
}
