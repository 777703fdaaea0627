package network

import (
	"encoding/binary"
	"net"
	"net/netip"
)

// Sizes and field values of Ethernet II frames, IPv4 (RFC 791) and ARP (RFC 826).
const (
	ethernetHeader = 14
	ipv4MinHeader  = 20
	arpPacket      = 28 // for 6-byte hardware and 4-byte protocol addresses

	etherTypeIPv4 = 0x0800
	etherTypeARP  = 0x0806

	// maxFrame is the largest frame a port accepts: the largest IPv4 packet behind an Ethernet header.
	maxFrame = 65535 + ethernetHeader
)

// hwaddr is an Ethernet address.
type hwaddr [6]byte

func (a hwaddr) String() string { return net.HardwareAddr(a[:]).String() }

// group tells whether the address is a multicast or the broadcast address.
func (a hwaddr) group() bool { return a[0]&1 != 0 }

// hwaddrFor derives the station address of ip: locally administered, unicast, and the same for as long
// as the IP address is, so that neighbours' ARP entries stay true when an address gets a new owner.
func hwaddrFor(ip netip.Addr) hwaddr {
	b := ip.As4()
	return hwaddr{0x02, 0x53, b[0], b[1], b[2], b[3]}
}

func destination(frame []byte) hwaddr { return hwaddr(frame[0:6]) }
func etherType(frame []byte) uint16   { return binary.BigEndian.Uint16(frame[12:14]) }

// honest tells whether a frame may enter the switch from the machine that owns the addresses hw and ip:
// IPv4 or ARP, and from nobody but this machine. Everything else (IPv6, VLAN tags, other protocols) is
// not carried. The frame may have any length and content.
func honest(frame []byte, hw hwaddr, ip netip.Addr) bool {
	if len(frame) < ethernetHeader || hwaddr(frame[6:12]) != hw {
		return false
	}
	payload := frame[ethernetHeader:]
	switch etherType(frame) {
	case etherTypeIPv4:
		return len(payload) >= ipv4MinHeader && payload[0]>>4 == 4 && ipv4Source(payload) == ip
	case etherTypeARP:
		return honestARP(payload, hw, ip)
	}
	return false
}

// honestARP checks the sender fields of an ARP packet. A sender IP of 0.0.0.0 is a probe (RFC 5227,
// section 1.1) and claims nothing.
func honestARP(arp []byte, hw hwaddr, ip netip.Addr) bool {
	if len(arp) < arpPacket {
		return false
	}
	const ethernetIPv4 = "\x00\x01\x08\x00\x06\x04" // hardware and protocol type, address lengths
	sender := netip.AddrFrom4([4]byte(arp[14:18]))
	return string(arp[:6]) == ethernetIPv4 && hwaddr(arp[8:14]) == hw && (sender == ip || sender.IsUnspecified())
}

func ipv4Source(packet []byte) netip.Addr { return netip.AddrFrom4([4]byte(packet[12:16])) }
func arpTarget(arp []byte) netip.Addr     { return netip.AddrFrom4([4]byte(arp[24:28])) }
