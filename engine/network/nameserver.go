package network

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
)

const (
	// resolveTimeout bounds the work on one query; resolvers ask again after 5 seconds (resolv.conf(5)).
	resolveTimeout = 8 * time.Second

	// nameConnIdle is how long a TCP connection to the name server may be silent, or slow to take an answer.
	nameConnIdle = 10 * time.Second
)

// nameServer serves a network's DNS on port 53 of the gateway, over UDP and TCP.
type nameServer struct {
	log      *slog.Logger
	names    *names
	subnet   netip.Prefix
	upstream *upstream
	guest    func(netip.Addr) *Endpoint

	packets *gonet.UDPConn
	conns   *gonet.TCPListener
	running sync.WaitGroup
}

func (s *nameServer) start(g *gateway) error {
	at := fullAddress(g.address, dnsPort)
	var err error
	if s.packets, err = gonet.DialUDP(g.stack, &at, nil, ipv4.ProtocolNumber); err != nil {
		return fmt.Errorf("name server: %w", err)
	}
	if s.conns, err = gonet.ListenTCP(g.stack, at, ipv4.ProtocolNumber); err != nil {
		s.packets.Close()
		return fmt.Errorf("name server: %w", err)
	}
	s.running.Go(s.servePackets)
	s.running.Go(s.serveConns)
	return nil
}

// stop returns when the server's own goroutines have ended. Those that work for a guest end with it.
func (s *nameServer) stop() {
	s.packets.Close()
	s.conns.Shutdown()
	s.conns.Close()
	s.running.Wait()
}

func (s *nameServer) servePackets() {
	buf := make([]byte, largestMessage)
	for {
		n, from, err := s.packets.ReadFrom(buf)
		if err != nil {
			return
		}
		ep := s.asker(from)
		if ep == nil {
			continue
		}
		done, err := ep.flows.start(nameQuery)
		if err != nil {
			continue // the guest asks again
		}
		query := append([]byte(nil), buf[:n]...)
		go func() {
			defer done()
			ctx, cancel := context.WithTimeout(ep.flows.ctx, resolveTimeout)
			defer cancel()
			if answer := s.respond(ctx, query, false); answer != nil {
				s.packets.WriteTo(answer, from) // lost, as any datagram may be
			}
		}()
	}
}

func (s *nameServer) serveConns() {
	for {
		conn, err := s.conns.Accept()
		if err != nil {
			return
		}
		ep := s.asker(conn.RemoteAddr())
		if ep == nil {
			conn.Close()
			continue
		}
		done, err := ep.flows.start(nameConn)
		if err != nil {
			conn.Close()
			continue
		}
		go func() {
			defer done()
			defer conn.Close()
			stop := context.AfterFunc(ep.flows.ctx, func() { conn.Close() })
			defer stop()
			for s.serveOne(ep.flows.ctx, conn) == nil {
			}
		}()
	}
}

// serveOne answers one query of a TCP connection (RFC 1035, section 4.2.2).
func (s *nameServer) serveOne(ctx context.Context, conn net.Conn) error {
	conn.SetDeadline(time.Now().Add(nameConnIdle))
	var length [2]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return err
	}
	query := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(conn, query); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	answer := s.respond(ctx, query, true)
	if answer == nil {
		return io.EOF
	}
	conn.SetDeadline(time.Now().Add(nameConnIdle))
	_, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...))
	return err
}

// asker returns the guest behind a source address, or nil.
func (s *nameServer) asker(from net.Addr) *Endpoint { return s.guest(addressOf(from)) }
