package network

import (
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// nic is the gateway's network card: a station of the switch on one side, a link endpoint of the TCP/IP
// stack (stack.LinkEndpoint) on the other.
type nic struct {
	sw      *ethernetSwitch
	hw      hwaddr
	mtu     uint32
	answers func(arp []byte) bool // whether an ARP packet concerns the gateway

	stack atomic.Pointer[stack.NetworkDispatcher]
}

var (
	_ station            = (*nic)(nil)
	_ stack.LinkEndpoint = (*nic)(nil)
)

// deliver implements station.
func (n *nic) deliver(frame []byte) {
	up := n.stack.Load()
	if up == nil {
		return
	}
	protocol := tcpip.NetworkProtocolNumber(etherType(frame))
	payload := frame[ethernetHeader:]
	switch protocol {
	case header.IPv4ProtocolNumber:
	case header.ARPProtocolNumber:
		// The stack takes every address for its own (it must, to accept connections to all of them)
		// and would claim the containers' addresses.
		if !n.answers(payload) {
			return
		}
	default:
		return
	}
	packet := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(payload)})
	defer packet.DecRef()
	(*up).DeliverNetworkPacket(protocol, packet)
}

// WritePackets implements stack.LinkWriter.
func (n *nic) WritePackets(packets stack.PacketBufferList) (int, tcpip.Error) {
	for _, packet := range packets.AsSlice() {
		frame := packet.ToView()
		if frame.Size() >= ethernetHeader {
			n.sw.forward(n.hw, frame.AsSlice())
		}
		frame.Release()
	}
	return packets.Len(), nil
}

// AddHeader implements stack.NetworkLinkEndpoint.
func (n *nic) AddHeader(packet *stack.PacketBuffer) {
	header.Ethernet(packet.LinkHeader().Push(header.EthernetMinimumSize)).Encode(&header.EthernetFields{
		SrcAddr: n.LinkAddress(),
		DstAddr: packet.EgressRoute.RemoteLinkAddress,
		Type:    packet.NetworkProtocolNumber,
	})
}

// Attach implements stack.NetworkLinkEndpoint; nil means that the stack lets go.
func (n *nic) Attach(up stack.NetworkDispatcher) {
	if up == nil {
		n.stack.Store(nil)
		return
	}
	n.stack.Store(&up)
}

// The rest of stack.NetworkLinkEndpoint: the address and MTU never change, and no goroutine works here.

func (n *nic) IsAttached() bool                        { return n.stack.Load() != nil }
func (n *nic) MTU() uint32                             { return n.mtu }
func (n *nic) SetMTU(uint32)                           {}
func (n *nic) MaxHeaderLength() uint16                 { return header.EthernetMinimumSize }
func (n *nic) LinkAddress() tcpip.LinkAddress          { return tcpip.LinkAddress(n.hw[:]) }
func (n *nic) SetLinkAddress(tcpip.LinkAddress)        {}
func (n *nic) ARPHardwareType() header.ARPHardwareType { return header.ARPHardwareEther }
func (n *nic) ParseHeader(*stack.PacketBuffer) bool    { return true }
func (n *nic) Wait()                                   {}
func (n *nic) Close()                                  {}
func (n *nic) SetOnCloseAction(func())                 {}
func (n *nic) Capabilities() stack.LinkEndpointCapabilities {
	return stack.CapabilityResolutionRequired
}
