//go:build linux

package qemu

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/skerry-app/skerry/engine/nbd"
	"github.com/skerry-app/skerry/engine/vm"
)

const (
	// reconnectDelay is how long a guest's requests wait for a server that has
	// gone. Then they fail, until it is back: the guest sees I/O errors and does
	// not stand still.
	reconnectDelay = 5 * time.Second
	// openTimeout is how long the start of a machine waits for a server.
	openTimeout = 5 * time.Second
)

// nbdOptions are QEMU's BlockdevOptionsNbd, as far as they are used.
type nbdOptions struct {
	Server         socketAddress `json:"server"`
	Export         string        `json:"export"`
	ReconnectDelay int           `json:"reconnect-delay"` // seconds
	OpenTimeout    int           `json:"open-timeout"`    // seconds (QEMU 7.0)
}

// socketAddress is QEMU's SocketAddress.
type socketAddress struct {
	Type string `json:"type"`
	Path string `json:"path,omitempty"` // of type unix
	Host string `json:"host,omitempty"` // of type inet, as all that follows
	Port string `json:"port,omitempty"`
	// KeepAlive has a host that is gone without a word noticed, if slowly.
	KeepAlive bool `json:"keep-alive,omitempty"`
}

func newNBDOptions(n nbd.Address) *nbdOptions {
	server := socketAddress{Type: "unix", Path: n.Socket}
	if n.Socket == "" {
		server = socketAddress{Type: "inet", Host: n.Host, Port: strconv.Itoa(int(n.Port)), KeepAlive: true}
	}
	return &nbdOptions{Server: server, Export: n.Export,
		ReconnectDelay: int(reconnectDelay / time.Second), OpenTimeout: int(openTimeout / time.Second)}
}

// parseNBD reads the URL of a disk.
func parseNBD(disk vm.Disk) (nbd.Address, error) {
	n, err := disk.Address()
	if err == nil && n.TLS {
		// QEMU wants a directory with certificates, which the URL does not name.
		return n, fmt.Errorf("%s: encrypted connections to network block devices work on macOS only: use nbd or nbd+unix here, through a tunnel (ssh -L, stunnel) where others could listen", n)
	}
	return n, err
}

// diskError says that QEMU could not use a machine's network block device.
type diskError struct {
	serial string
	nbd    nbd.Address
	words  string // QEMU's
}

func (e *diskError) Error() string {
	words := e.words
	if words == "Could not open image: Permission denied" {
		// What QEMU makes of a server that gives out less than is asked for.
		words = "its server gives it out for reading only: use it read-only"
	}
	return fmt.Sprintf("disk %q: %s: %s", e.serial, e.nbd, words)
}

// blameDisk finds the network block device that kept QEMU from coming up, whose
// options QEMU repeats before it complains. It has to be asked before anybody
// looks for words in the complaint: a URL may have any.
func (m *Machine) blameDisk(failure error) error {
	var failed *startError
	if !errors.As(failure, &failed) {
		return failure
	}
	for i, disk := range m.config.Disks {
		if disk.URL == "" {
			continue
		}
		options := newBlockdev(i, &disk, m.disks[i]).String()
		if _, words, ok := strings.Cut(failed.words, options+": "); ok {
			return &diskError{disk.Serial, m.disks[i].nbd, strings.ReplaceAll(words, "\n", "; ")}
		}
	}
	return failure
}
