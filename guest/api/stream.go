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
	// StreamPort is where the host accepts streams of stdio, archives and relayed
	// sockets: the guest dials, writes the stream's number (WriteStreamID) and
	// then raw bytes flow.
	StreamPort = 1025
	// ForwardPort is where vminitd accepts connections for TCP ports of the
	// machine and sockets of its containers: the host dials and says which
	// (WriteForward), the guest connects and answers with a status
	// (WriteStatus), then raw bytes flow.
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

// Forward is where a connection to ForwardPort is to lead.
type Forward struct {
	Port      uint16 // TCP; 0: a socket
	Container string // its id, of a socket
	Path      string // of the socket, in the container
}

// maxForwardText bounds a Forward's texts, in bytes: a path has at most
// PATH_MAX.
const maxForwardText = 4096

// WriteForward writes the port and, where that is 0, the texts with their
// lengths.
func WriteForward(w io.Writer, f Forward) error {
	b := binary.BigEndian.AppendUint16(nil, f.Port)
	if f.Port == 0 {
		for _, text := range []string{f.Container, f.Path} {
			if len(text) > maxForwardText {
				return fmt.Errorf("a name of %d bytes is too long to forward", len(text))
			}
			b = append(binary.BigEndian.AppendUint16(b, uint16(len(text))), text...)
		}
	}
	_, err := w.Write(b)
	return err
}

// ReadForward reads what WriteForward wrote.
func ReadForward(r io.Reader) (f Forward, err error) {
	number := func() (uint16, error) {
		var b [2]byte
		_, err := io.ReadFull(r, b[:])
		return binary.BigEndian.Uint16(b[:]), err
	}
	if f.Port, err = number(); err == nil && f.Port == 0 {
		for _, text := range []*string{&f.Container, &f.Path} {
			n, err := number()
			if err == nil && n > maxForwardText {
				err = fmt.Errorf("a name of %d bytes", n)
			}
			b := make([]byte, min(n, maxForwardText))
			if err == nil {
				_, err = io.ReadFull(r, b)
			}
			if err != nil {
				return f, fmt.Errorf("read what to forward: %w", err)
			}
			*text = string(b)
		}
	}
	if err != nil {
		return f, fmt.Errorf("read what to forward: %w", err)
	}
	return f, nil
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
