// Package api is the contract between the engine on the host and vminitd inside
// a virtual machine: a gRPC service (agent.proto) and a few bytes on raw vsock
// streams. Both sides import it and nothing of each other.
package api

import (
	"encoding/binary"
	"fmt"
	"io"
	"syscall"
)

//go:generate go tool -modfile=../../.ci/tools.mod buf generate

// Version of the contract. A host refuses an agent of another Major.
const (
	Major = 1
	Minor = 2
)

// Ports on vsock.
const (
	// AgentPort is where vminitd serves gRPC. The guest also dials the host on
	// it, once, as soon as it serves: the host need not poll.
	AgentPort = 1024
	// StreamPort is where the host accepts stdio streams: the guest dials,
	// writes the stream's number (WriteStreamID) and then raw bytes flow.
	StreamPort = 1025
	// ForwardPort is where vminitd accepts connections for TCP ports of the
	// container: the host dials and writes the port (WriteForward), the guest
	// connects and answers with a status (WriteStatus), then raw bytes flow.
	ForwardPort = 1026
)

// WriteStreamID names the stream that a connection to StreamPort carries.
func WriteStreamID(w io.Writer, id uint64) error {
	_, err := w.Write(binary.BigEndian.AppendUint64(nil, id))
	return err
}

// ReadStreamID reads what WriteStreamID wrote.
func ReadStreamID(r io.Reader) (uint64, error) {
	var b [8]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return 0, fmt.Errorf("read stream number: %w", err)
	}
	return binary.BigEndian.Uint64(b[:]), nil
}

// WriteForward names the container's TCP port that a connection to
// ForwardPort is for.
func WriteForward(w io.Writer, port uint16) error {
	_, err := w.Write(binary.BigEndian.AppendUint16(nil, port))
	return err
}

// ReadForward reads what WriteForward wrote.
func ReadForward(r io.Reader) (uint16, error) {
	var b [2]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return 0, fmt.Errorf("read port to forward: %w", err)
	}
	return binary.BigEndian.Uint16(b[:]), nil
}

// WriteStatus answers a forward: 0, or the errno with which the guest's
// connect failed.
func WriteStatus(w io.Writer, errno syscall.Errno) error {
	_, err := w.Write([]byte{byte(min(errno, 255))})
	return err
}

// ReadStatus reads what WriteStatus wrote. The numbers are Linux's; only
// refused, timed out and unreachable are told apart on other hosts.
func ReadStatus(r io.Reader) error {
	var b [1]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return fmt.Errorf("read status of forward: %w", err)
	}
	switch b[0] {
	case 0:
		return nil
	case linuxECONNREFUSED:
		return syscall.ECONNREFUSED
	case linuxETIMEDOUT:
		return syscall.ETIMEDOUT
	case linuxEHOSTUNREACH:
		return syscall.EHOSTUNREACH
	default:
		return fmt.Errorf("connect inside the container failed with errno %d", b[0])
	}
}

// Linux's numbers (include/uapi/asm-generic/errno.h): the guest is always
// Linux, the host may not be.
const (
	linuxETIMEDOUT    = 110
	linuxECONNREFUSED = 111
	linuxEHOSTUNREACH = 113
)
