package cli

import "golang.org/x/sys/unix"

// peerProcess is the process that serves a socket (SO_PEERCRED, unix(7)).
func peerProcess(socket int) (pid int, err error) {
	peer, err := unix.GetsockoptUcred(socket, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return 0, err
	}
	return int(peer.Pid), nil
}
