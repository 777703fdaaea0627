// Package network gives every container an address, a name, a way out and a way in, without root and
// without touching the host's own network configuration.
//
// A [Network] is an Ethernet switch inside this process plus a gateway. Every machine is one port of
// the switch: one end of a datagram socket pair that carries one Ethernet frame a datagram, the format
// of QEMU's "-netdev dgram" and of Virtualization.framework's VZFileHandleNetworkDeviceAttachment. The
// gateway is gVisor's TCP/IP stack: it serves DNS for the network's names and carries the containers'
// TCP and UDP to the outside over ordinary sockets of this process, so that the host's routes, VPN and
// firewall apply to containers exactly as to any other program.
//
// What the design holds on to:
//
//   - A machine that stops reading loses frames and delays nobody: no send ever waits for another
//     machine's socket while a frame of someone else is in hand.
//   - A machine speaks only for itself: frames whose source is not its own MAC and IPv4 address are
//     dropped at its port. IPv6 is not carried.
//   - Networks are isolated from each other: each has its own switch, stack and subnet, and a gateway
//     refuses to connect to an address of any of them.
//   - Everything a guest can make this process hold (connections, flows, queries, queued frames) has a
//     limit for each guest, so that one guest cannot starve the others.
//
// A [Publisher] is independent of the switch: it listens on the host and hands each connection to a
// dialer, which reaches into the machine over vsock.
package network
