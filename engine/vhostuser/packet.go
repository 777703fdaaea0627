//go:build linux

package vhostuser

import "encoding/binary"

// Operations of a vsock packet (virtio 1.2, section 5.10.6).
const (
	opRequest       = 1
	opResponse      = 2
	opReset         = 3
	opShutdown      = 4
	opData          = 5
	opCreditUpdate  = 6
	opCreditRequest = 7
)

// Flags of opShutdown: what the sender will not do any more.
const (
	shutReceive = 1
	shutSend    = 2
	shutBoth    = shutReceive | shutSend
)

// typeStream is the only type of socket on offer.
const typeStream = 1

// packetHeaderSize is the size of struct virtio_vsock_hdr.
const packetHeaderSize = 44

// packetHeader is struct virtio_vsock_hdr.
type packetHeader struct {
	srcCID, dstCID   uint64
	srcPort, dstPort uint32
	length           uint32 // bytes of payload
	kind, op         uint16
	flags            uint32
	window, taken    uint32 // buf_alloc and fwd_cnt: the sender's receive buffer
}

func (h *packetHeader) encode() (b [packetHeaderSize]byte) {
	le := binary.LittleEndian
	le.PutUint64(b[0:], h.srcCID)
	le.PutUint64(b[8:], h.dstCID)
	le.PutUint32(b[16:], h.srcPort)
	le.PutUint32(b[20:], h.dstPort)
	le.PutUint32(b[24:], h.length)
	le.PutUint16(b[28:], h.kind)
	le.PutUint16(b[30:], h.op)
	le.PutUint32(b[32:], h.flags)
	le.PutUint32(b[36:], h.window)
	le.PutUint32(b[40:], h.taken)
	return b
}

func decodePacketHeader(b *[packetHeaderSize]byte) packetHeader {
	le := binary.LittleEndian
	return packetHeader{
		srcCID: le.Uint64(b[0:]), dstCID: le.Uint64(b[8:]),
		srcPort: le.Uint32(b[16:]), dstPort: le.Uint32(b[20:]),
		length: le.Uint32(b[24:]), kind: le.Uint16(b[28:]), op: le.Uint16(b[30:]),
		flags: le.Uint32(b[32:]), window: le.Uint32(b[36:]), taken: le.Uint32(b[40:]),
	}
}

// splitHeader copies the header out of a packet's buffers, which need not be
// cut at its end, and returns what follows it. It shortens the slices in segs.
func splitHeader(segs [][]byte) (header [packetHeaderSize]byte, rest [][]byte, ok bool) {
	n := 0
	for len(segs) > 0 && n < len(header) {
		m := copy(header[n:], segs[0])
		n += m
		if segs[0] = segs[0][m:]; len(segs[0]) == 0 {
			segs = segs[1:]
		}
	}
	return header, segs, n == len(header)
}

// scatter copies a header and payload into a packet's buffers, which have room.
func scatter(segs [][]byte, header, payload []byte) {
	for _, s := range segs {
		n := copy(s, header)
		header = header[n:]
		payload = payload[copy(s[n:], payload):]
	}
}

// room is how many bytes of payload fit behind a header, negative if not even
// that fits.
func room(segs [][]byte) int {
	n := -packetHeaderSize
	for _, s := range segs {
		n += len(s)
	}
	return n
}
