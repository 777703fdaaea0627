// Package unixsocket has what everybody needs who listens on a unix socket at a
// path of the user's.
package unixsocket

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"
	"time"
)

// MaxPath is how many bytes the path of a socket may have: an address holds a
// zero byte at its end as well (unix(7), unix(4)).
const MaxPath = len(syscall.RawSockaddrUnix{}.Path) - 1

// Why a path cannot be taken.
var (
	ErrNoSocket = errors.New("it is there and is not a socket")
	ErrServed   = errors.New("somebody listens on it")
)

// probeTimeout bounds the attempt to reach whoever owns a socket.
const probeTimeout = time.Second

// RemoveStale removes a socket on which nobody listens, if there is one. Anything
// else that is at the path stays, and gives ErrNoSocket, ErrServed, or what kept
// us from finding out.
func RemoveStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at the socket: %w", err)
	}
	if info.Mode().Type() != fs.ModeSocket {
		return ErrNoSocket
	}
	conn, err := net.DialTimeout("unix", path, probeTimeout)
	if err == nil {
		conn.Close()
		return ErrServed
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("somebody seems to own the socket: %w", err)
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("remove a stale socket: %w", err)
	}
	return nil
}
