package network

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

const (
	resolvConf = "/etc/resolv.conf"

	// serverTimeout is how long one name server may take before the next one is asked.
	serverTimeout = 2 * time.Second

	// mostServers is how many name servers are asked (MAXNS of resolv.conf(5)).
	mostServers = 3
)

// upstream resolves what a network does not know itself, the way the host does.
type upstream struct {
	// servers returns the name servers to ask, best first. It is called for each query: the host may
	// have moved to another network.
	servers func() ([]netip.AddrPort, error)
	// system prefers the host's own resolver for addresses. On macOS only that knows the servers which
	// a VPN has for its own domains; resolv.conf there has the primary ones.
	system bool
}

// newUpstream asks the given servers, or without any the host's.
func newUpstream(fixed []netip.AddrPort) *upstream {
	if len(fixed) > 0 {
		return &upstream{servers: func() ([]netip.AddrPort, error) { return fixed, nil }}
	}
	return &upstream{servers: hostServers, system: runtime.GOOS == "darwin"}
}

// resolve returns the complete answer to a query.
func (u *upstream) resolve(ctx context.Context, q query) ([]byte, error) {
	servers, err := u.servers()
	addresses := q.question.Type == dnsmessage.TypeA || q.question.Type == dnsmessage.TypeAAAA
	if addresses && (u.system || len(servers) == 0) {
		return resolveBySystem(ctx, q)
	}
	if err != nil {
		return nil, err
	}
	return forward(ctx, q, servers[:min(len(servers), mostServers)])
}

// resolveBySystem looks addresses up with the host's resolver. Both families are looked up whatever the
// query's type, to tell a name without such addresses from a name that does not exist.
func resolveBySystem(ctx context.Context, q query) ([]byte, error) {
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", q.name)
	var failed *net.DNSError
	if errors.As(err, &failed) && failed.IsNotFound {
		return q.pack(nil, dnsmessage.RCodeNameError, false), nil
	}
	if err != nil {
		return nil, err
	}
	var answers []dnsmessage.ResourceBody
	for _, a := range found {
		switch a = a.Unmap(); {
		case a.Is4() && q.question.Type == dnsmessage.TypeA:
			answers = append(answers, &dnsmessage.AResource{A: a.As4()})
		case a.Is6() && q.question.Type == dnsmessage.TypeAAAA:
			answers = append(answers, &dnsmessage.AAAAResource{AAAA: a.As16()})
		}
	}
	return q.pack(answers, dnsmessage.RCodeSuccess, false), nil
}

// forward passes the query on as it is, over the same transport as it came, to one server after the
// other. If all fail, an answer that says so is better than none.
func forward(ctx context.Context, q query, servers []netip.AddrPort) ([]byte, error) {
	var unhelpful []byte
	var errs error
	for _, server := range servers {
		answer, err := ask(ctx, q, server)
		if err != nil {
			errs = errors.Join(errs, fmt.Errorf("name server %s: %w", server, err))
			continue
		}
		switch code := dnsmessage.RCode(answer[3] & 0xf); code {
		case dnsmessage.RCodeServerFailure, dnsmessage.RCodeRefused, dnsmessage.RCodeNotImplemented:
			unhelpful = answer
		default:
			return answer, nil
		}
	}
	if unhelpful != nil {
		return unhelpful, nil
	}
	if errs == nil {
		errs = fmt.Errorf("no name server is configured in %s", resolvConf)
	}
	return nil, errs
}

// ask puts the query to one server, under an ID of our own: the guest's may be easy to guess.
func ask(ctx context.Context, q query, server netip.AddrPort) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, serverTimeout)
	defer cancel()
	transport := "udp"
	if q.overTCP {
		transport = "tcp"
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, transport, server.String())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()

	message := bytes.Clone(q.raw)
	rand.Read(message[:2])
	id := [2]byte(message[:2])
	if q.overTCP {
		message = append(binary.BigEndian.AppendUint16(nil, uint16(len(message))), message...)
	}
	if _, err := conn.Write(message); err != nil {
		return nil, err
	}
	buf := make([]byte, largestMessage)
	for {
		answer, err := readMessage(conn, buf, q.overTCP)
		if err != nil {
			return nil, errors.Join(ctx.Err(), err)
		}
		if answersQuery(answer, id, q.question) {
			copy(answer, q.raw[:2])
			return answer, nil
		}
		if q.overTCP {
			return nil, errors.New("the answer does not belong to the question")
		}
		// Over UDP anybody can send something: keep waiting for the real answer.
	}
}

func readMessage(conn net.Conn, buf []byte, overTCP bool) ([]byte, error) {
	if !overTCP {
		n, err := conn.Read(buf)
		return buf[:n], err
	}
	if _, err := io.ReadFull(conn, buf[:2]); err != nil {
		return nil, err
	}
	message := buf[:binary.BigEndian.Uint16(buf)]
	_, err := io.ReadFull(conn, message)
	return message, err
}

// answersQuery tells whether a message is the answer to the question asked under id (RFC 5452, section 9.1).
func answersQuery(message []byte, id [2]byte, asked dnsmessage.Question) bool {
	var p dnsmessage.Parser
	h, err := p.Start(message)
	if err != nil || !h.Response || h.ID != binary.BigEndian.Uint16(id[:]) {
		return false
	}
	q, err := p.Question()
	if errors.Is(err, dnsmessage.ErrSectionDone) {
		return h.RCode != dnsmessage.RCodeSuccess // some servers leave the question out of an error
	}
	return err == nil && q.Type == asked.Type && q.Class == asked.Class &&
		strings.EqualFold(q.Name.String(), asked.Name.String())
}

// hostServers reads the host's name servers.
func hostServers() ([]netip.AddrPort, error) {
	text, err := os.ReadFile(resolvConf)
	if err != nil {
		return nil, err
	}
	return parseServers(text), nil
}

// parseServers returns the name servers of a resolv.conf(5).
func parseServers(text []byte) []netip.AddrPort {
	var servers []netip.AddrPort
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 2 || fields[0] != "nameserver" {
			continue
		}
		if a, err := netip.ParseAddr(fields[1]); err == nil {
			servers = append(servers, netip.AddrPortFrom(a, dnsPort))
		}
	}
	return servers
}
