package api

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"github.com/skerry-app/skerry/engine/unixsocket"
)

// Listen makes the unix socket at path, for its owner only, in a directory for
// its owner only. A socket that nobody listens on any more is replaced; one
// that somebody does is an error.
func Listen(path string) (net.Listener, error) {
	if len(path) > unixsocket.MaxPath {
		return nil, fmt.Errorf("socket %s: the path has %d bytes, sockets can have %d: set SKERRY_HOME to a shorter directory", path, len(path), unixsocket.MaxPath)
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the socket's directory: %w", err)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return nil, fmt.Errorf("protect the socket's directory: %w", err)
	}
	switch err := unixsocket.RemoveStale(path); {
	case errors.Is(err, unixsocket.ErrNoSocket):
		return nil, fmt.Errorf("%s is there and is not a socket: move it away", path)
	case errors.Is(err, unixsocket.ErrServed):
		return nil, fmt.Errorf("another app listens on %s: end it first", path)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	// The directory keeps others out in the moment before Chmod.
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("protect the socket: %w", err), l.Close())
	}
	return l, nil
}
