package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/containerd/errdefs"

	"github.com/skerry-app/skerry/engine/agent"
	"github.com/skerry-app/skerry/engine/network"
	"github.com/skerry-app/skerry/engine/unixsocket"
	"github.com/skerry-app/skerry/engine/vm"
	"github.com/skerry-app/skerry/guest/api"
)

// Socket publishes a unix socket of the container on the host, as a port is.
// (The other way round a Mount of type bind does it, of a socket.)
type Socket struct {
	Host      string // absolute path; nothing, or a socket that nobody serves, may be there
	Container string // absolute path
}

const (
	// sshSocket is where the host's SSH agent is in the container.
	sshSocket   = "/run/ssh-agent.sock"
	sshVariable = "SSH_AUTH_SOCK"
)

// checkSockets refuses sockets that cannot be published.
func checkSockets(sockets []Socket) error {
	bad := func(format string, a ...any) error {
		return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf(format, a...))
	}
	for i, s := range sockets {
		switch {
		case !filepath.IsAbs(s.Host) || !path.IsAbs(s.Container) || strings.ContainsRune(s.Container, 0):
			return bad("socket %s:%s: use absolute paths on both sides", s.Host, s.Container)
		case len(filepath.Join(filepath.Dir(s.Host), socketTemporary)) > unixsocket.MaxPath:
			return bad("socket %s: this system allows %d bytes in the path of a socket: choose a shorter one", s.Host, unixsocket.MaxPath-len(socketTemporary))
		case slices.ContainsFunc(sockets[:i], func(o Socket) bool { return filepath.Clean(o.Host) == filepath.Clean(s.Host) }):
			return bad("socket %s is published twice", s.Host)
		}
	}
	return nil
}

// relays are a run's sockets.
type relays struct {
	inside  []*agent.Relay
	outside []*outsideSocket
}

func (r *relays) close() {
	for _, i := range r.inside {
		i.Close()
	}
	for _, o := range r.outside {
		o.close()
	}
}

// bringSockets has sockets of the host in the container: those that are mounted
// and the SSH agent's.
func (r *run) bringSockets() (list []*api.Socket) {
	bring := func(target string, dial func() (net.Conn, error)) {
		relay := r.guest.Relay(func(inside vm.Conn) {
			outside, err := dial()
			if err != nil {
				r.log.Warn("a socket of the host cannot be reached from the container", "socket", target, "error", err)
				inside.Close()
				return
			}
			network.Splice(inside, outside)
		})
		r.relays.inside = append(r.relays.inside, relay)
		list = append(list, &api.Socket{Path: target, Stream: relay.Stream()})
	}
	for _, m := range r.c.mounts() {
		if m.Type == MountBind && isSocket(m.Source) {
			bring(m.Target, func() (net.Conn, error) { return net.Dial("unix", m.Source) })
		}
	}
	if agent := r.c.rec.Spec.SSHAgent; agent != "" {
		bring(sshSocket, func() (net.Conn, error) { return dialSSH(agent) })
	}
	return list
}

// dialSSH connects to an SSH agent: the one that was there when the container
// was made, or after that this process's own.
func dialSSH(socket string) (net.Conn, error) {
	c, err := net.Dial("unix", socket)
	if own := os.Getenv(sshVariable); err != nil && own != "" && own != socket {
		return net.Dial("unix", own)
	}
	return c, err
}

func isSocket(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.Mode().Type() == fs.ModeSocket
}

// outsideSocket is a container's socket on the host.
type outsideSocket struct {
	path string
	l    *net.UnixListener
}

// publishSockets listens for the container's sockets on the host.
func (r *run) publishSockets() error {
	for _, s := range r.c.rec.Spec.Sockets {
		o, err := listenOutside(s.Host)
		if err != nil {
			return fmt.Errorf("publish socket %s: %w", s.Container, err)
		}
		r.relays.outside = append(r.relays.outside, o)
		go o.serve(func() (net.Conn, error) { return r.dialSocket(s.Container) })
	}
	return nil
}

// dialSocket reaches a socket of the container, once that runs.
func (r *run) dialSocket(path string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(r.ctx, dialTimeout)
	defer cancel()
	if err := r.awaitLive(ctx); err != nil {
		return nil, err
	}
	return r.guest.DialSocket(ctx, path)
}

// socketTemporary is like the name under which a socket is made, whose end is
// made up: nobody can connect before its mode is right.
const (
	socketTemporary = ".skerry-00000000"
	socketRandom    = 8
)

func listenOutside(path string) (*outsideSocket, error) {
	if err := makeWay(path); err != nil {
		return nil, err
	}
	// No two have the same: containers may start at once.
	temporary := filepath.Join(filepath.Dir(path), socketTemporary[:len(socketTemporary)-socketRandom]+newID()[:socketRandom])
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: temporary, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false)
	err = os.Chmod(temporary, 0o600)
	if err == nil {
		err = os.Rename(temporary, path)
	}
	if err != nil {
		l.Close()
		return nil, errors.Join(err, os.Remove(temporary))
	}
	return &outsideSocket{path, l}, nil
}

// makeWay removes a socket that nobody serves and refuses anything else.
func makeWay(path string) error {
	conflict := func(why string) error {
		return errdefs.ErrConflict.WithMessage(fmt.Sprintf("%s %s: remove it, or choose another path", path, why))
	}
	switch err := unixsocket.RemoveStale(path); {
	case errors.Is(err, unixsocket.ErrNoSocket):
		return conflict("is there and is no socket")
	case errors.Is(err, unixsocket.ErrServed):
		return conflict("is served by somebody else")
	default:
		return err
	}
}

func (o *outsideSocket) serve(dial func() (net.Conn, error)) {
	for {
		outside, err := o.l.Accept()
		if err != nil {
			return
		}
		go func() {
			inside, err := dial()
			if err != nil {
				outside.Close()
				return
			}
			network.Splice(outside, inside)
		}()
	}
}

func (o *outsideSocket) close() {
	o.l.Close()
	os.Remove(o.path)
}
