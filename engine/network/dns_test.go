package network

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/dns/dnsmessage"
)

// message is a DNS query as a guest's resolver sends it.
func message(t testing.TB, name string, kind dnsmessage.Type, udpSize int) []byte {
	t.Helper()
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: 7, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(name), Type: kind, Class: dnsmessage.ClassINET}},
	}
	if udpSize > 0 {
		var h dnsmessage.ResourceHeader
		h.SetEDNS0(udpSize, 0, false)
		m.Additionals = []dnsmessage.Resource{{Header: h, Body: &dnsmessage.OPTResource{}}}
	}
	packed, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return packed
}

func unpack(t testing.TB, raw []byte) dnsmessage.Message {
	t.Helper()
	var m dnsmessage.Message
	if err := m.Unpack(raw); err != nil {
		t.Fatalf("answer %x: %v", raw, err)
	}
	return m
}

// answers lists the data of all answers in a fixed order.
func answers(m dnsmessage.Message) []string {
	var all []string
	for _, a := range m.Answers {
		switch body := a.Body.(type) {
		case *dnsmessage.AResource:
			all = append(all, netip.AddrFrom4(body.A).String())
		case *dnsmessage.PTRResource:
			all = append(all, body.PTR.String())
		case *dnsmessage.TXTResource:
			all = append(all, body.TXT...)
		default:
			all = append(all, a.Body.GoString())
		}
	}
	slices.Sort(all)
	return all
}

// localServer knows two containers, web (10.0.0.2, alias app) and db (10.0.0.3, alias app), and nobody
// upstream.
func localServer(t testing.TB) *nameServer {
	t.Helper()
	subnet := netip.MustParsePrefix("10.0.0.0/24")
	a := newAddresses(subnet)
	n := newNames("shop", a.gateway, a.host)
	for at, given := range map[string][]string{"10.0.0.2": {"web", "app"}, "10.0.0.3": {"db", "app", "db_1.old"}} {
		if err := n.add(netip.MustParseAddr(at), given); err != nil {
			t.Fatal(err)
		}
	}
	return &nameServer{
		log:      slog.New(slog.DiscardHandler),
		names:    n,
		subnet:   subnet,
		upstream: newUpstream([]netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:1")}), // nobody listens there
	}
}

func TestLocalNames(t *testing.T) {
	s := localServer(t)
	const ok, none = dnsmessage.RCodeSuccess, dnsmessage.RCodeNameError
	for _, test := range []struct {
		name string
		kind dnsmessage.Type
		code dnsmessage.RCode
		want []string
	}{
		{"web.", dnsmessage.TypeA, ok, []string{"10.0.0.2"}},
		{"WEB.", dnsmessage.TypeA, ok, []string{"10.0.0.2"}},
		{"web.shop.", dnsmessage.TypeA, ok, []string{"10.0.0.2"}},
		{"Web.Shop.Internal.", dnsmessage.TypeA, ok, []string{"10.0.0.2"}},
		{"app.", dnsmessage.TypeA, ok, []string{"10.0.0.2", "10.0.0.3"}},
		{"db_1.old.shop.internal.", dnsmessage.TypeA, ok, []string{"10.0.0.3"}},
		{"web.", dnsmessage.TypeALL, ok, []string{"10.0.0.2"}},
		{"web.", dnsmessage.TypeAAAA, ok, nil},
		{"web.", dnsmessage.TypeMX, ok, nil},
		{"cache.shop.internal.", dnsmessage.TypeA, none, nil},
		{"cache.shop.internal.", dnsmessage.TypeAAAA, none, nil},
		{"shop.internal.", dnsmessage.TypeA, none, nil},
		{"host.docker.internal.", dnsmessage.TypeA, ok, []string{"10.0.0.254"}},
		{"host.docker.internal.", dnsmessage.TypeAAAA, ok, nil},
		{"host.internal.", dnsmessage.TypeA, ok, []string{"10.0.0.254"}},
		{"gateway.docker.internal.", dnsmessage.TypeA, ok, []string{"10.0.0.1"}},
		{"2.0.0.10.in-addr.arpa.", dnsmessage.TypePTR, ok, []string{"web.shop.internal."}},
		{"254.0.0.10.in-addr.arpa.", dnsmessage.TypePTR, ok, []string{"host.docker.internal."}},
		{"2.0.0.10.in-addr.arpa.", dnsmessage.TypeA, ok, nil},
		{"9.0.0.10.in-addr.arpa.", dnsmessage.TypePTR, none, nil},
		{"example.com.", dnsmessage.TypeTXT, dnsmessage.RCodeServerFailure, nil},
		{"9.0.0.11.in-addr.arpa.", dnsmessage.TypePTR, dnsmessage.RCodeServerFailure, nil},
	} {
		m := unpack(t, s.respond(t.Context(), message(t, test.name, test.kind, 0), false))
		if m.ID != 7 || !m.Response || m.RCode != test.code || !cmp.Equal(answers(m), test.want) {
			t.Errorf("%s %s: got %s %v, want %s %v", test.name, test.kind, m.RCode, answers(m), test.code, test.want)
		}
		if len(m.Questions) != 1 || m.Questions[0].Name.String() != test.name {
			t.Errorf("%s %s: the answer repeats the question as %v", test.name, test.kind, m.Questions)
		}
	}
}

func TestNamesGoWithTheirOwner(t *testing.T) {
	s := localServer(t)
	s.names.remove(netip.MustParseAddr("10.0.0.2"), []string{"web", "app"})
	for name, want := range map[string]dnsmessage.RCode{
		"web.shop.internal.":     dnsmessage.RCodeNameError,
		"app.shop.internal.":     dnsmessage.RCodeSuccess, // db still has it
		"2.0.0.10.in-addr.arpa.": dnsmessage.RCodeNameError,
	} {
		if m := unpack(t, s.respond(t.Context(), message(t, name, dnsmessage.TypeA, 0), false)); m.RCode != want {
			t.Errorf("%s: %s, want %s", name, m.RCode, want)
		}
	}
}

func TestNamesRefused(t *testing.T) {
	n := newNames("shop", netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.254"))
	for _, name := range []string{
		"", ".", "a..b", "two words", "tab\t", "ümlaut", strings.Repeat("a", maxLabel+1), strings.Repeat("a.", maxName),
		"host.docker.internal", "HOST.internal.", "gateway.docker.internal",
	} {
		if err := n.add(netip.MustParseAddr("10.0.0.2"), []string{"good", name}); err == nil {
			t.Errorf("name %q was accepted", name)
		}
	}
	if n.addresses("good") != nil {
		t.Error("a refused registration left a name behind")
	}
}

func TestLongAnswersAreTruncated(t *testing.T) {
	s := localServer(t)
	for i := range 100 {
		if err := s.names.add(netip.AddrFrom4([4]byte{10, 0, 0, byte(10 + i)}), []string{"many"}); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		name    string
		size    int
		overTCP bool
		want    int
	}{
		{"plain UDP", 0, false, 0},
		{"EDNS too small", 600, false, 0},
		{"EDNS", 4096, false, 100},
		{"TCP", 0, true, 100},
	} {
		raw := s.respond(t.Context(), message(t, "many.", dnsmessage.TypeA, test.size), test.overTCP)
		m := unpack(t, raw)
		if m.Truncated != (test.want == 0) || len(m.Answers) != test.want {
			t.Errorf("%s: truncated %v with %d answers, want %d", test.name, m.Truncated, len(m.Answers), test.want)
		}
		if limit := max(test.size, plainUDPAnswer); !test.overTCP && len(raw) > limit {
			t.Errorf("%s: %d bytes, more than %d", test.name, len(raw), limit)
		}
		if hasOPT := len(m.Additionals) == 1; hasOPT != (test.size > 0) {
			t.Errorf("%s: OPT record in the answer: %v", test.name, hasOPT)
		}
	}
}

func TestMalformedQueries(t *testing.T) {
	s := localServer(t)
	good := message(t, "web.", dnsmessage.TypeA, 0)
	with := func(change func(b []byte)) []byte {
		b := slices.Clone(good)
		change(b)
		return b
	}
	for _, test := range []struct {
		name string
		raw  []byte
		want dnsmessage.RCode // -1: no answer
	}{
		{"empty", nil, 0xffff},
		{"short", good[:11], 0xffff},
		{"an answer", with(func(b []byte) { b[2] |= 0x80 }), 0xffff},
		{"status query", with(func(b []byte) { b[2] |= 2 << 3 }), dnsmessage.RCodeNotImplemented},
		{"no question", good[:12], dnsmessage.RCodeFormatError},
		{"question cut off", good[:15], dnsmessage.RCodeFormatError},
		{"two questions, one there", with(func(b []byte) { b[5] = 2 }), dnsmessage.RCodeFormatError},
		{"additional record missing", with(func(b []byte) { b[11] = 1 }), dnsmessage.RCodeFormatError},
	} {
		answer := s.respond(t.Context(), test.raw, false)
		if test.want == 0xffff {
			if answer != nil {
				t.Errorf("%s: answered %x", test.name, answer)
			}
			continue
		}
		var p dnsmessage.Parser
		if h, err := p.Start(answer); err != nil || h.RCode != test.want {
			t.Errorf("%s: got %s, %v, want %s", test.name, h.RCode, err, test.want)
		}
	}
}

func FuzzRespond(f *testing.F) {
	f.Add(message(f, "web.", dnsmessage.TypeA, 0), false)
	f.Add(message(f, "2.0.0.10.in-addr.arpa.", dnsmessage.TypePTR, 512), true)
	f.Add([]byte("\x00\x07\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\xc0\x0c\x00\x01\x00\x01"), false)
	s := localServer(f)
	f.Fuzz(func(t *testing.T, raw []byte, overTCP bool) {
		answer := s.respond(t.Context(), raw, overTCP)
		if answer == nil {
			return
		}
		if len(raw) < 2 || !slices.Equal(answer[:2], raw[:2]) {
			t.Errorf("answer %x has another ID than query %x", answer, raw)
		}
		if !overTCP && len(answer) > largestUDPAnswer {
			t.Errorf("%d bytes over UDP", len(answer))
		}
	})
}

// dnsHost is a name server on the host's loopback, over UDP and TCP on one port.
func dnsHost(t *testing.T, respond func(query dnsmessage.Message, overTCP bool) []dnsmessage.Message) netip.AddrPort {
	t.Helper()
	handle := func(raw []byte, overTCP bool, send func([]byte)) {
		query := unpack(t, raw)
		for _, answer := range respond(query, overTCP) {
			answer.Response = true
			packed, err := answer.Pack()
			if err != nil {
				t.Error(err)
				return
			}
			send(packed)
		}
	}
	at := listenHost(t, "tcp4", "127.0.0.1:0", func(conn net.Conn) {
		var length [2]byte
		if _, err := io.ReadFull(conn, length[:]); err != nil {
			return
		}
		raw := make([]byte, binary.BigEndian.Uint16(length[:]))
		if _, err := io.ReadFull(conn, raw); err != nil {
			return
		}
		handle(raw, true, func(b []byte) { conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...)) })
	})
	packets, err := net.ListenPacket("udp4", at.String())
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		buf := make([]byte, 4096)
		for {
			n, from, err := packets.ReadFrom(buf)
			if err != nil {
				return
			}
			handle(buf[:n], false, func(b []byte) { packets.WriteTo(b, from) })
		}
	}()
	t.Cleanup(func() {
		packets.Close()
		<-ended
	})
	return at
}

// answerText answers any query with TXT records, or with nothing but a code.
func answerText(query dnsmessage.Message, code dnsmessage.RCode, text ...string) dnsmessage.Message {
	query.RCode, query.Additionals = code, nil
	for _, s := range text {
		query.Answers = append(query.Answers, dnsmessage.Resource{
			Header: dnsmessage.ResourceHeader{Name: query.Questions[0].Name, Class: dnsmessage.ClassINET},
			Body:   &dnsmessage.TXTResource{TXT: []string{s}},
		})
	}
	return query
}

func TestForwarding(t *testing.T) {
	long := strings.Repeat("x", 200)
	good := dnsHost(t, func(q dnsmessage.Message, overTCP bool) []dnsmessage.Message {
		switch name := q.Questions[0].Name.String(); {
		case name == "missing.example.":
			return []dnsmessage.Message{answerText(q, dnsmessage.RCodeNameError)}
		case name == "long.example." && !overTCP:
			q.Truncated = true
			return []dnsmessage.Message{answerText(q, 0)}
		case name == "long.example.":
			return []dnsmessage.Message{answerText(q, 0, long+"1", long+"2", long+"3")}
		case name == "toolong.example.":
			return []dnsmessage.Message{answerText(q, 0, long+"1", long+"2", long+"3")}
		case name == "forged.example.":
			otherID, otherName := answerText(q, 0, "forged ID"), answerText(q, 0, "forged name")
			otherID.ID++
			otherName.Questions = []dnsmessage.Question{{Name: dnsmessage.MustNewName("bank.example."), Type: dnsmessage.TypeTXT, Class: 1}}
			return []dnsmessage.Message{otherID, otherName, answerText(q, 0, "true")}
		}
		return []dnsmessage.Message{answerText(q, 0, "v=1")}
	})
	failing := dnsHost(t, func(q dnsmessage.Message, _ bool) []dnsmessage.Message {
		return []dnsmessage.Message{answerText(q, dnsmessage.RCodeServerFailure)}
	})
	dead := netip.MustParseAddrPort("127.0.0.1:1")
	for _, test := range []struct {
		name    string
		servers []netip.AddrPort
		overTCP bool
		code    dnsmessage.RCode
		cut     bool
		want    []string
	}{
		{"plain.example.", []netip.AddrPort{good}, false, 0, false, []string{"v=1"}},
		{"plain.example.", []netip.AddrPort{good}, true, 0, false, []string{"v=1"}},
		{"missing.example.", []netip.AddrPort{good}, false, dnsmessage.RCodeNameError, false, nil},
		{"long.example.", []netip.AddrPort{good}, false, 0, true, nil},
		{"long.example.", []netip.AddrPort{good}, true, 0, false, []string{long + "1", long + "2", long + "3"}},
		{"toolong.example.", []netip.AddrPort{good}, false, 0, true, nil},
		{"forged.example.", []netip.AddrPort{good}, false, 0, false, []string{"true"}},
		{"plain.example.", []netip.AddrPort{dead, failing, good}, false, 0, false, []string{"v=1"}},
		{"plain.example.", []netip.AddrPort{dead, failing}, false, dnsmessage.RCodeServerFailure, false, nil},
		{"plain.example.", []netip.AddrPort{dead}, true, dnsmessage.RCodeServerFailure, false, nil},
	} {
		s := localServer(t)
		s.upstream = newUpstream(test.servers)
		m := unpack(t, s.respond(t.Context(), message(t, test.name, dnsmessage.TypeTXT, 0), test.overTCP))
		if m.ID != 7 || m.RCode != test.code || m.Truncated != test.cut || !cmp.Equal(answers(m), test.want) {
			t.Errorf("%s from %v, TCP %v: got %s, truncated %v, %v", test.name, test.servers, test.overTCP, m.RCode, m.Truncated, answers(m))
		}
	}
}

func TestHostResolver(t *testing.T) {
	s := localServer(t)
	s.upstream.system = true
	for kind, want := range map[dnsmessage.Type]dnsmessage.RCode{
		dnsmessage.TypeA:    dnsmessage.RCodeSuccess,
		dnsmessage.TypeAAAA: dnsmessage.RCodeSuccess, // with or without an address: the name exists
		dnsmessage.TypeTXT:  dnsmessage.RCodeServerFailure,
	} {
		m := unpack(t, s.respond(t.Context(), message(t, "localhost.", kind, 0), false))
		if m.RCode != want {
			t.Errorf("localhost %s: %s, want %s", kind, m.RCode, want)
		}
		if got := answers(m); kind == dnsmessage.TypeA && !slices.Contains(got, "127.0.0.1") {
			t.Errorf("localhost %s: %v", kind, got)
		}
	}
}

func TestParseServers(t *testing.T) {
	got := parseServers([]byte("# nameserver 1.1.1.1\ndomain example.com\nnameserver 192.0.2.1 # first\n" +
		"nameserver\tfe80::1%eth0\nnameserver nonsense\nnameserver\noptions edns0\nnameserver 2001:db8::1"))
	want := []string{"192.0.2.1:53", "[fe80::1%eth0]:53", "[2001:db8::1]:53"}
	var text []string
	for _, s := range got {
		text = append(text, s.String())
	}
	if diff := cmp.Diff(want, text); diff != "" {
		t.Error(diff)
	}
}

func TestGuestResolvesNames(t *testing.T) {
	up := dnsHost(t, func(q dnsmessage.Message, _ bool) []dnsmessage.Message {
		if q.Questions[0].Name.String() == "example.com." {
			return []dnsmessage.Message{answerText(q, 0, "upstream")}
		}
		return []dnsmessage.Message{answerText(q, dnsmessage.RCodeNameError)}
	})
	onEachGuest(t, func(t *testing.T, start func(*testing.T, *Endpoint) guest) {
		n := testNetwork(t, Options{Nameservers: []netip.AddrPort{up}})
		web, db := attach(t, n, "web", "app"), attach(t, n, "db", "app")
		g := start(t, web)
		for _, transport := range []string{"udp", "tcp"} {
			r := &net.Resolver{PreferGo: true, StrictErrors: true, Dial: func(context.Context, string, string) (net.Conn, error) {
				conn, err := g.dial(transport, netip.AddrPortFrom(web.DNS, dnsPort).String())
				if transport == "udp" && err == nil {
					conn = packetConn{conn, conn.(net.PacketConn)}
				}
				return conn, err
			}}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			found, err := r.LookupNetIP(ctx, "ip", "app.shop.internal")
			slices.SortFunc(found, netip.Addr.Compare)
			if want := []netip.Addr{web.ip, db.ip}; err != nil || !slices.Equal(found, want) {
				t.Errorf("%s: app has %v, %v, want %v", transport, found, err, want)
			}
			if names, err := r.LookupAddr(ctx, db.ip.String()); err != nil || !slices.Equal(names, []string{"db.shop.internal."}) {
				t.Errorf("%s: %s is %v, %v", transport, db.ip, names, err)
			}
			if text, err := r.LookupTXT(ctx, "example.com"); err != nil || !slices.Equal(text, []string{"upstream"}) {
				t.Errorf("%s: example.com is %v, %v", transport, text, err)
			}
			var failed *net.DNSError
			if _, err := r.LookupNetIP(ctx, "ip", "nobody.example."); !errors.As(err, &failed) || !failed.IsNotFound {
				t.Errorf("%s: unknown name: %v, want not found", transport, err)
			}
		}
		db.Close()
		conn, err := g.dial("udp", netip.AddrPortFrom(web.DNS, dnsPort).String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(patience))
		conn.Write(message(t, "db.shop.internal.", dnsmessage.TypeA, 0))
		buf := make([]byte, plainUDPAnswer)
		size, err := conn.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		if m := unpack(t, buf[:size]); m.RCode != dnsmessage.RCodeNameError {
			t.Errorf("a container that left still has a name: %s", m.RCode)
		}
	})
}

// packetConn shows net.Resolver that a connection carries datagrams.
type packetConn struct {
	net.Conn
	net.PacketConn
}

func (c packetConn) Close() error                       { return c.Conn.Close() }
func (c packetConn) LocalAddr() net.Addr                { return c.Conn.LocalAddr() }
func (c packetConn) SetDeadline(t time.Time) error      { return c.Conn.SetDeadline(t) }
func (c packetConn) SetReadDeadline(t time.Time) error  { return c.Conn.SetReadDeadline(t) }
func (c packetConn) SetWriteDeadline(t time.Time) error { return c.Conn.SetWriteDeadline(t) }
