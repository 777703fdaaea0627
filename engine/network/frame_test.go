package network

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// ethernetFrame makes a frame with an IPv4 packet that carries payload as TCP.
func ethernetFrame(to, from []byte, src, dst netip.Addr, payload []byte) []byte {
	frame := append(append(append([]byte{}, to...), from...), 0x08, 0x00)
	ip := header.IPv4(make([]byte, header.IPv4MinimumSize, header.IPv4MinimumSize+len(payload)))
	ip.Encode(&header.IPv4Fields{
		TotalLength: uint16(len(ip) + len(payload)),
		TTL:         64,
		Protocol:    uint8(header.TCPProtocolNumber),
		SrcAddr:     tcpip.AddrFrom4(src.As4()),
		DstAddr:     tcpip.AddrFrom4(dst.As4()),
	})
	ip.SetChecksum(^ip.CalculateChecksum())
	return append(append(frame, ip...), payload...)
}

// tcpSYN makes the first segment of a connection.
func tcpSYN(src, dst netip.Addr, port uint16) []byte {
	segment := header.TCP(make([]byte, header.TCPMinimumSize))
	segment.Encode(&header.TCPFields{
		SrcPort: 40000, DstPort: port, SeqNum: 1, DataOffset: header.TCPMinimumSize, Flags: header.TCPFlagSyn, WindowSize: 1000,
	})
	sum := header.PseudoHeaderChecksum(header.TCPProtocolNumber, tcpip.AddrFrom4(src.As4()), tcpip.AddrFrom4(dst.As4()), uint16(len(segment)))
	segment.SetChecksum(^segment.CalculateChecksum(checksum.Checksum(nil, sum)))
	return segment
}

func arpFrame(to, from hwaddr, senderHW hwaddr, sender, target netip.Addr) []byte {
	frame := append(append(append([]byte{}, to[:]...), from[:]...), 0x08, 0x06)
	frame = append(frame, 0, 1, 8, 0, 6, 4, 0, 1)
	s, t := sender.As4(), target.As4()
	frame = append(append(frame, senderHW[:]...), s[:]...)
	return append(append(frame, 0, 0, 0, 0, 0, 0), t[:]...)
}

func TestHonest(t *testing.T) {
	var (
		ip, otherIP   = netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("10.0.0.3")
		hw, otherHW   = hwaddrFor(ip), hwaddrFor(otherIP)
		everyone      = hwaddr{255, 255, 255, 255, 255, 255}
		change        = func(frame []byte, at int, to byte) []byte { frame[at] = to; return frame }
		good          = func() []byte { return ethernetFrame(otherHW[:], hw[:], ip, otherIP, []byte("data")) }
		goodARP       = func() []byte { return arpFrame(everyone, hw, hw, ip, otherIP) }
		ethernet, arp = ethernetHeader, ethernetHeader + arpPacket
	)
	for _, test := range []struct {
		name  string
		frame []byte
		want  bool
	}{
		{"IPv4", good(), true},
		{"IPv4 from another MAC", ethernetFrame(otherHW[:], otherHW[:], ip, otherIP, nil), false},
		{"IPv4 from another IP", ethernetFrame(otherHW[:], hw[:], otherIP, ip, nil), false},
		{"IPv4 from no IP", ethernetFrame(everyone[:], hw[:], netip.IPv4Unspecified(), otherIP, nil), false},
		{"version 6 as IPv4", change(good(), ethernet, 0x65), false},
		{"short IPv4", good()[:ethernet+ipv4MinHeader-1], false},
		{"IPv6", change(change(good(), 12, 0x86), 13, 0xdd), false},
		{"VLAN", change(change(good(), 12, 0x81), 13, 0x00), false},
		{"ARP", goodARP(), true},
		{"ARP probe", arpFrame(everyone, hw, hw, netip.IPv4Unspecified(), ip), true},
		{"ARP for another IP", arpFrame(everyone, hw, hw, otherIP, ip), false},
		{"ARP with another sender MAC", arpFrame(everyone, hw, otherHW, ip, otherIP), false},
		{"ARP of another hardware", change(goodARP(), ethernet+1, 6), false},
		{"ARP with long addresses", change(goodARP(), ethernet+4, 20), false},
		{"short ARP", goodARP()[:arp-1], false},
		{"header alone", good()[:ethernet], false},
		{"shorter than a header", good()[:ethernet-1], false},
		{"empty", nil, false},
	} {
		if got := honest(test.frame, hw, ip); got != test.want {
			t.Errorf("%s: honest = %v, want %v", test.name, got, test.want)
		}
	}
}

func TestHardwareAddressIsLocalUnicast(t *testing.T) {
	hw := hwaddrFor(netip.MustParseAddr("10.201.7.9"))
	if hw.group() || hw[0]&2 == 0 {
		t.Errorf("%s is not a locally administered unicast address", hw)
	}
	if got := binary.BigEndian.Uint32(hw[2:]); got != 0x0ac90709 {
		t.Errorf("%s does not follow from the IP address", hw)
	}
}
