package cli

import "golang.org/x/sys/unix"

// peerProcess is the process that serves a socket (LOCAL_PEERPID, sys/un.h).
func peerProcess(socket int) (pid int, err error) {
	return unix.GetsockoptInt(socket, unix.SOL_LOCAL, unix.LOCAL_PEERPID)
}
