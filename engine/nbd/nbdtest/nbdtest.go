// Package nbdtest serves disk images to tests as network block devices, by
// qemu-nbd.
package nbdtest

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/skerry-app/skerry/engine/nbd"
)

// Export is the name that all servers give their image.
const Export = "disk"

// clients is how many may use a server at the same time.
const clients = "8"

// Server is a qemu-nbd that serves one image.
type Server struct {
	// URL is where it does.
	URL string

	image    string
	readOnly bool
	network  string // of net.Listen
	address  string

	process *os.Process
	kill    func()
}

// Serve serves an image on a unix socket until the end of the test. Where there
// is no qemu-nbd the test is skipped.
func Serve(t testing.TB, image string) *Server {
	t.Helper()
	return (&Server{image: image}).onSocket(t)
}

// ServeReadOnly is Serve for an image that may not be written to.
func ServeReadOnly(t testing.TB, image string) *Server {
	t.Helper()
	return (&Server{image: image, readOnly: true}).onSocket(t)
}

// ServeTCP is Serve on a port of the loopback interface.
func ServeTCP(t testing.TB, image string) *Server {
	t.Helper()
	s := &Server{image: image, network: "tcp", address: "127.0.0.1:0"}
	s.Start(t)
	s.URL = fmt.Sprintf("nbd://%s/%s", s.address, Export)
	return s
}

func (s *Server) onSocket(t testing.TB) *Server {
	// Not in t.TempDir: the paths of sockets are short.
	dir, err := os.MkdirTemp("", "nbd")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s.network, s.address = "unix", filepath.Join(dir, "socket")
	s.Start(t)
	s.URL = nbd.Address{Socket: s.address, Export: Export}.String()
	return s
}

// Start serves the image, again after Kill at the same address.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	program, err := exec.LookPath("qemu-nbd")
	if err != nil {
		t.Skipf("%v: install it (Debian: apt install qemu-utils; macOS: brew install qemu)", err)
	}
	// The server inherits a socket that is listened on already (sd_listen_fds(3)):
	// nobody has to wait for it or to look for a free port.
	l, err := net.Listen(s.network, s.address)
	if err != nil {
		t.Fatal(err)
	}
	s.address = l.Addr().String()
	if u, ok := l.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false)
	}
	file, err := l.(interface{ File() (*os.File, error) }).File()
	l.Close()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	args := []string{"--persistent", "--shared", clients, "--format", "raw", "--discard", "unmap", "--export-name", Export}
	if s.readOnly {
		args = append(args, "--read-only")
	}
	ctx, cancel := context.WithCancel(context.Background())
	// A shell, because the variable has to name the process that exec makes.
	cmd := exec.CommandContext(ctx, "sh", append([]string{"-c", `LISTEN_FDS=1 LISTEN_PID=$$ exec "$@"`, "sh", program}, append(args, s.image)...)...)
	cmd.ExtraFiles = []*os.File{file}
	var words strings.Builder
	cmd.Stdout, cmd.Stderr = &words, &words
	if err := cmd.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	s.process = cmd.Process
	s.kill = sync.OnceFunc(func() {
		cancel()
		cmd.Wait() // it was killed, or its words say more than its status
		if words.Len() > 0 {
			t.Logf("qemu-nbd: %s", words.String())
		}
		if s.network == "unix" {
			os.Remove(s.address)
		}
	})
	t.Cleanup(s.kill)
}

// Kill ends the server as a crash of its host does.
func (s *Server) Kill() { s.kill() }

// Hang has the server go on to take connections and requests, and answer none.
func (s *Server) Hang(t testing.TB) {
	t.Helper()
	if err := s.process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
}
