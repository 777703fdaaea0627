//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"unsafe"

	"github.com/mdlayher/vsock"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

var networking = []probe{
	{"network card", func() error { _, err := netlink.LinkByName("eth0"); return err }},
	{"IPv6", exists("/proc/net/if_inet6")},
	{"packet socket", packetSocket},
	{"vsock", vsockLoopback},
	{"tun", exists("/dev/net/tun")},
	{"kinds of links", links},
	{"bridged packets meet the firewall", exists("/proc/sys/net/bridge/bridge-nf-call-iptables")},
	{"netem and HTB", queueing},
	{"nf_tables", netfilterAnswers(unix.NFNL_SUBSYS_NFTABLES, unix.NFT_MSG_GETGEN)},
	{"compatibility of nf_tables with xtables", netfilterAnswers(unix.NFNL_SUBSYS_NFT_COMPAT, 0)},
	{"ip_set", netfilterAnswers(unix.NFNL_SUBSYS_IPSET, 1)},
	{"connection tracking by netlink", connections},
	{"iptables-legacy tables", legacyTables},
	{"diagnosis of sockets", diagnosis},
}

func packetSocket() error {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

// vsockLoopback sends a word to itself over vsock.
func vsockLoopback() error {
	const port = 1024
	listener, err := vsock.ListenContextID(vsock.Local, port, nil)
	if err != nil {
		return err
	}
	defer listener.Close()
	go func() {
		if conn, err := listener.Accept(); err == nil {
			io.WriteString(conn, "word")
			conn.Close()
		}
	}()
	conn, err := vsock.Dial(vsock.Local, port, nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	word, err := io.ReadAll(conn)
	if err == nil && string(word) != "word" {
		err = fmt.Errorf("received %q", word)
	}
	return err
}

// links makes one link of each kind that containers make for themselves.
func links() error {
	parent := netlink.LinkAttrs{Name: "probe0"}
	if err := netlink.LinkAdd(&netlink.Dummy{LinkAttrs: parent}); err != nil {
		return fmt.Errorf("dummy: %w", err)
	}
	dummy, err := netlink.LinkByName(parent.Name)
	if err != nil {
		return err
	}
	child := func(name string) netlink.LinkAttrs {
		return netlink.LinkAttrs{Name: name, ParentIndex: dummy.Attrs().Index}
	}
	named := func(name string) netlink.LinkAttrs { return netlink.LinkAttrs{Name: name} }
	for _, link := range []netlink.Link{
		&netlink.Bridge{LinkAttrs: named("bridge0")},
		&netlink.Veth{LinkAttrs: named("veth0"), PeerName: "veth1"},
		&netlink.Vlan{LinkAttrs: child("vlan0"), VlanId: 7},
		&netlink.Macvlan{LinkAttrs: child("macvlan0"), Mode: netlink.MACVLAN_MODE_BRIDGE},
		&netlink.Vxlan{LinkAttrs: named("vxlan0"), VxlanId: 7, Port: 4789},
		&netlink.Wireguard{LinkAttrs: named("wireguard0")},
	} {
		if err := netlink.LinkAdd(link); err != nil {
			return fmt.Errorf("%s: %w", link.Type(), err)
		}
	}
	// A parent of macvlans cannot have ipvlans.
	bridge, err := netlink.LinkByName("bridge0")
	if err != nil {
		return err
	}
	ipvlan := &netlink.IPVlan{LinkAttrs: netlink.LinkAttrs{Name: "ipvlan0", ParentIndex: bridge.Attrs().Index}}
	if err := netlink.LinkAdd(ipvlan); err != nil {
		return fmt.Errorf("ipvlan: %w", err)
	}
	return nil
}

func queueing() error {
	link, err := netlink.LinkByName("veth0")
	if err != nil {
		return err
	}
	root := netlink.QdiscAttrs{LinkIndex: link.Attrs().Index, Handle: netlink.MakeHandle(1, 0), Parent: netlink.HANDLE_ROOT}
	other := root
	other.Handle = netlink.MakeHandle(2, 0)
	if err := netlink.QdiscReplace(netlink.NewNetem(root, netlink.NetemQdiscAttrs{Latency: 1000})); err != nil {
		return fmt.Errorf("netem: %w", err)
	}
	if err := netlink.QdiscReplace(netlink.NewHtb(other)); err != nil {
		return fmt.Errorf("htb: %w", err)
	}
	return nil
}

// netfilterAnswers sends an empty request to one of netfilter's netlink subsystems. One that is not there answers
// EINVAL from nfnetlink itself; those probed here answer success or complain about what the request lacks, which
// nfnetlink reports after it has found them.
func netfilterAnswers(subsystem, message int) func() error {
	return func() error {
		request := nl.NewNetlinkRequest(subsystem<<8|message, unix.NLM_F_ACK)
		request.AddData(&nl.Nfgenmsg{NfgenFamily: unix.AF_INET, Version: nl.NFNETLINK_V0})
		if subsystem == unix.NFNL_SUBSYS_IPSET {
			// IPSET_CMD_PROTOCOL asks with the version it speaks, IPSET_ATTR_PROTOCOL.
			request.AddData(nl.NewRtAttr(1, []byte{7}))
		}
		if subsystem == unix.NFNL_SUBSYS_NFT_COMPAT {
			// NFNL_MSG_COMPAT_GET: which revision of the match "addrtype" is there?
			request.AddData(nl.NewRtAttr(1, nl.ZeroTerminated("addrtype")))
			request.AddData(nl.NewRtAttr(2|unix.NLA_F_NET_BYTEORDER, []byte{0, 0, 0, 1}))
			request.AddData(nl.NewRtAttr(3|unix.NLA_F_NET_BYTEORDER, []byte{0, 0, 0, 0}))
		}
		_, err := request.Execute(unix.NETLINK_NETFILTER, 0)
		return err
	}
}

// legacyTables has the kernel make each table of iptables-legacy, by asking for its struct ipt_getinfo.
func legacyTables() error {
	const getInfo = 64 // IPT_SO_GET_INFO
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_RAW)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for _, table := range []string{"filter", "nat", "mangle", "raw"} {
		var info struct {
			name    [32]byte
			numbers [13]uint32
		}
		copy(info.name[:], table)
		size := uint32(unsafe.Sizeof(info))
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_IP, getInfo,
			uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
		if errno != 0 {
			return fmt.Errorf("%s: %w", table, errno)
		}
	}
	return nil
}

func connections() error {
	_, err := netlink.ConntrackTableList(netlink.ConntrackTable, unix.AF_INET)
	return err
}

// diagnosis asks for the listening TCP and the unix sockets, as ss does.
func diagnosis() error {
	listener, err := net.Listen("unix", "/tmp/socket")
	if err != nil {
		return err
	}
	defer os.Remove("/tmp/socket")
	defer listener.Close()
	if _, err := netlink.SocketDiagTCP(unix.AF_INET); err != nil {
		return fmt.Errorf("inet_diag: %w", err)
	}
	sockets, err := netlink.UnixSocketDiag()
	if err != nil {
		return fmt.Errorf("unix_diag: %w", err)
	}
	if len(sockets) == 0 {
		return errors.New("unix_diag does not show a listening socket")
	}
	return nil
}
