// Package ports is what the conformance tests and their guest agree on.
package ports

import (
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
)

// HostCID is the host's vsock address.
const HostCID = 2

// Ports of the host that the guest calls.
const (
	Ready  = 1024 // once, when it serves
	Report = 1025
)

// Ports of the guest.
const (
	Echo    = 1
	Sink    = 2
	Source  = 3
	Hold    = 4
	Answer  = 5
	Control = 6
	Nobody  = 7 // where nobody listens
)

// Greeting is what the guest prints and says first.
const Greeting = "conformance guest is up"

// Hello is what the guest sends in frames until it gets one.
const Hello = "hello"

// Shares is where the guest mounts shared directories.
const Shares = "/dev/shares"

// Calls is how many connections the guest makes at once when told to.
const Calls = 32

// EtherType marks the frames of the tests (IEEE 802: local experimental).
const EtherType = 0x88b5

// Broadcast is the header of an Ethernet frame to everybody.
func Broadcast(from net.HardwareAddr) []byte {
	h := []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	h = append(h, from...)
	return binary.BigEndian.AppendUint16(h, EtherType)
}

// Request is a line of JSON on the Control port.
type Request struct {
	Do       string
	Argument string
	Port     uint32
}

// Response answers it.
type Response struct {
	Result string
	Error  string
}

// Pattern is an endless stream of bytes, the same on both sides, in which no
// part is like another.
func Pattern() io.Reader {
	return rand.NewChaCha8([32]byte([]byte("the bytes of conformance tests!!")))
}
