package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"syscall"
)

const (
	// firstFreePort is the first port that every user may listen on.
	firstFreePort = 1024

	// pickAttempts is how many ports are tried for one that is free on both loopback addresses.
	pickAttempts = 16
)

// listen opens a TCP listener on hostIP, or if that is empty on both loopback addresses, with one port.
// A host without IPv6 has just one loopback address.
func listen(ctx context.Context, hostIP string, port uint16) ([]net.Listener, error) {
	if hostIP != "" {
		at, err := netip.ParseAddr(hostIP)
		if err != nil {
			return nil, fmt.Errorf("host address %q is not an IP address, like 127.0.0.1, 0.0.0.0 or ::1", hostIP)
		}
		l, err := listenAt(ctx, netip.AddrPortFrom(at.Unmap(), port))
		if err != nil {
			return nil, err
		}
		return []net.Listener{l}, nil
	}
	for attempt := 1; ; attempt++ {
		both, err := listenLoopback(ctx, port)
		if err == nil || port != 0 || attempt == pickAttempts || !errors.Is(err, syscall.EADDRINUSE) {
			return both, err
		}
	}
}

func listenLoopback(ctx context.Context, port uint16) ([]net.Listener, error) {
	var listeners []net.Listener
	for _, a := range loopbacks {
		l, err := listenAt(ctx, netip.AddrPortFrom(a, port))
		if err != nil && a.Is6() && (errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT)) {
			continue
		}
		if err != nil {
			for _, open := range listeners {
				open.Close()
			}
			return nil, err
		}
		listeners = append(listeners, l)
		port = l.Addr().(*net.TCPAddr).AddrPort().Port()
	}
	return listeners, nil
}

func listenAt(ctx context.Context, at netip.AddrPort) (net.Listener, error) {
	family := "tcp4"
	if at.Addr().Is6() {
		family = "tcp6" // for IPv6 only, also on [::]
	}
	var config net.ListenConfig
	l, err := config.Listen(ctx, family, at.String())
	if err != nil {
		return nil, explainListen(at, err)
	}
	return l, nil
}

// explainListen says what can be done about an address that cannot be listened on.
func explainListen(at netip.AddrPort, err error) error {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return fmt.Errorf("cannot listen on %s: %w", at, err)
	}
	switch errno {
	case syscall.EADDRINUSE:
		holder := "another process"
		if known := portHolder(at); known != "" {
			holder = known
		}
		return fmt.Errorf("cannot listen on %s: port %d is taken by %s; stop it or choose another host port: %w", at, at.Port(), holder, errno)
	case syscall.EACCES, syscall.EPERM:
		return fmt.Errorf("cannot listen on %s: %s: %w", at, lowPortHint(at.Port()), errno)
	case syscall.EADDRNOTAVAIL:
		return fmt.Errorf("cannot listen on %s: no interface of this host has the address: %w", at, errno)
	}
	return fmt.Errorf("cannot listen on %s: %w", at, errno)
}

func lowPortHint(port uint16) string {
	switch {
	case port == 0 || port >= firstFreePort:
		return "the system does not allow it"
	case runtime.GOOS == "darwin":
		return fmt.Sprintf("ports below %d need the host address 0.0.0.0 or root; choose a higher host port", firstFreePort)
	}
	return fmt.Sprintf("ports below %d need root or the sysctl net.ipv4.ip_unprivileged_port_start; choose a higher host port", firstFreePort)
}
