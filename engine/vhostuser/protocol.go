//go:build linux

// Package vhostuser serves virtio devices to QEMU from this process, over the
// vhost-user protocol, so that a machine has vsock without a kernel module,
// without privileges and without a second daemon.
//
// QEMU shares the guest's memory and hands over each virtqueue; the device
// reads and writes the rings itself. Everything found there was written by
// the guest and is checked before use: a guest that breaks the rules loses the
// device, nothing else.
//
// Sources: "Vhost-user Protocol" (QEMU, docs/interop/vhost-user.rst) and
// Virtual I/O Device (VIRTIO) 1.2.
package vhostuser

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// Requests that QEMU sends for the devices served here.
const (
	reqGetFeatures         = 1
	reqSetFeatures         = 2
	reqSetOwner            = 3
	reqResetOwner          = 4
	reqSetMemTable         = 5
	reqSetVringNum         = 8
	reqSetVringAddr        = 9
	reqSetVringBase        = 10
	reqGetVringBase        = 11
	reqSetVringKick        = 12
	reqSetVringCall        = 13
	reqSetVringErr         = 14
	reqGetProtocolFeatures = 15
	reqSetProtocolFeatures = 16
	reqGetQueueNum         = 17
	reqSetVringEnable      = 18
	reqGetConfig           = 24
	reqSetConfig           = 25
)

// Flags in a message header.
const (
	flagVersion     = 0x1
	flagVersionMask = 0x3
	flagReply       = 0x4
	flagNeedReply   = 0x8
)

// Protocol features on offer: nothing that no device here needs.
const (
	protocolMQ       = 1 << 0
	protocolReplyAck = 1 << 3
	protocolConfig   = 1 << 9
)

// Virtio feature bits that belong to the transport and not to a device.
const (
	featureNotifyOnEmpty    = 1 << 24
	featureIndirectDesc     = 1 << 28
	featureEventIdx         = 1 << 29
	featureProtocolFeatures = 1 << 30
	featureVersion1         = 1 << 32
)

const (
	headerSize = 12
	// maxPayload is far above the largest message in use, a memory table of
	// maxRegions entries.
	maxPayload = 4096
	// maxFDs is how many descriptors one message carries: one per memory region.
	maxFDs = maxRegions
)

// message is a request from the front-end with the descriptors that came along.
type message struct {
	request, flags uint32
	payload        []byte
	fds            []int
}

// receive reads one message. It ends with io.EOF when the front-end has gone.
// The caller closes the message, also after an error.
func receive(conn *net.UnixConn) (*message, error) {
	m := &message{}
	var header [headerSize]byte
	control := make([]byte, unix.CmsgSpace(maxFDs*4))
	n, controlLen, flags, _, err := conn.ReadMsgUnix(header[:], control)
	if err != nil {
		return m, err
	}
	if err := m.takeRights(control[:controlLen]); err != nil {
		return m, err
	}
	if n == 0 {
		return m, io.EOF
	}
	if flags&unix.MSG_CTRUNC != 0 {
		return m, errors.New("vhost-user: more descriptors in a message than the protocol allows")
	}
	if _, err := io.ReadFull(conn, header[n:]); err != nil {
		return m, fmt.Errorf("vhost-user: read a message header: %w", err)
	}
	m.request = binary.LittleEndian.Uint32(header[0:])
	m.flags = binary.LittleEndian.Uint32(header[4:])
	size := binary.LittleEndian.Uint32(header[8:])
	if m.flags&flagVersionMask != flagVersion || size > maxPayload {
		return m, fmt.Errorf("vhost-user: bad header: request %d, flags %#x, size %d", m.request, m.flags, size)
	}
	m.payload = make([]byte, size)
	if _, err := io.ReadFull(conn, m.payload); err != nil {
		return m, fmt.Errorf("vhost-user: read the payload of request %d: %w", m.request, err)
	}
	return m, nil
}

func (m *message) takeRights(control []byte) error {
	if len(control) == 0 {
		return nil
	}
	parts, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return fmt.Errorf("vhost-user: parse control data: %w", err)
	}
	for i := range parts {
		if fds, err := unix.ParseUnixRights(&parts[i]); err == nil {
			m.fds = append(m.fds, fds...)
		}
	}
	return nil
}

// takeFD hands over the message's next descriptor.
func (m *message) takeFD() (int, error) {
	if len(m.fds) == 0 {
		return -1, fmt.Errorf("request %d lacks a file descriptor", m.request)
	}
	fd := m.fds[0]
	m.fds = m.fds[1:]
	return fd, nil
}

// close closes the descriptors that nobody has taken.
func (m *message) close() {
	for _, fd := range m.fds {
		unix.Close(fd)
	}
	m.fds = nil
}

// need checks that the payload has at least n bytes.
func (m *message) need(n int) error {
	if len(m.payload) < n {
		return fmt.Errorf("request %d has %d bytes of payload, %d are needed", m.request, len(m.payload), n)
	}
	return nil
}

// u32 and u64 read the payload at a byte offset that need has covered.
func (m *message) u32(at int) uint32 { return binary.LittleEndian.Uint32(m.payload[at:]) }
func (m *message) u64(at int) uint64 { return binary.LittleEndian.Uint64(m.payload[at:]) }

// reply writes an answer to request with the given payload.
func reply(conn *net.UnixConn, request uint32, payload []byte) error {
	out := make([]byte, 0, headerSize+len(payload))
	out = binary.LittleEndian.AppendUint32(out, request)
	out = binary.LittleEndian.AppendUint32(out, flagVersion|flagReply)
	out = binary.LittleEndian.AppendUint32(out, uint32(len(payload)))
	_, err := conn.Write(append(out, payload...))
	return err
}

func encode64(v uint64) []byte { return binary.LittleEndian.AppendUint64(nil, v) }

// Socketpair returns the two ends of a vhost-user connection: ours for Serve,
// and the file that QEMU inherits (-chardev socket,id=...,fd=N).
func Socketpair() (*net.UnixConn, *os.File, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("vhost-user: make a socket pair: %w", err)
	}
	ours := os.NewFile(uintptr(pair[0]), "vhost-user")
	theirs := os.NewFile(uintptr(pair[1]), "vhost-user front-end")
	defer ours.Close()
	conn, err := net.FileConn(ours)
	if err != nil {
		theirs.Close()
		return nil, nil, fmt.Errorf("vhost-user: use a socket pair: %w", err)
	}
	return conn.(*net.UnixConn), theirs, nil
}
