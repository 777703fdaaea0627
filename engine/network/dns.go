package network

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

const (
	// localTTL is how long a container may remember an answer about its network, in seconds. Addresses
	// change whenever a container is restarted.
	localTTL = 5

	// plainUDPAnswer is the longest answer over UDP to a query that does not say more (RFC 1035, section
	// 4.2.1); largestUDPAnswer is what we send at most, and say that we take (RFC 6891, section 6.2.5).
	plainUDPAnswer   = 512
	largestUDPAnswer = 4096

	// largestMessage is the longest DNS message there is: over TCP its length is a 16-bit number.
	largestMessage = 65535

	reverseZone = ".in-addr.arpa"
)

// query is a parsed DNS query.
type query struct {
	header   dnsmessage.Header
	question dnsmessage.Question
	name     string // of the question: lower-case, without the final dot
	edns     bool
	limit    int // bytes that the asker takes
	raw      []byte
	overTCP  bool
}

// parseQuery reads a message from a guest. ok is false if it is no query at all and deserves no answer;
// otherwise code is not RCodeSuccess if the query cannot be worked on.
func parseQuery(raw []byte, overTCP bool) (q query, code dnsmessage.RCode, ok bool) {
	var p dnsmessage.Parser
	header, err := p.Start(raw)
	if err != nil || header.Response {
		return query{}, 0, false
	}
	q = query{header: header, raw: raw, overTCP: overTCP, limit: plainUDPAnswer}
	if overTCP {
		q.limit = largestMessage
	}
	if header.OpCode != 0 {
		return q, dnsmessage.RCodeNotImplemented, true
	}
	questions, err := p.AllQuestions()
	if err != nil || len(questions) != 1 {
		return q, dnsmessage.RCodeFormatError, true
	}
	q.question = questions[0]
	q.name = canonical(questions[0].Name.String())
	if p.SkipAllAnswers() != nil || p.SkipAllAuthorities() != nil {
		return q, dnsmessage.RCodeFormatError, true
	}
	for {
		h, err := p.AdditionalHeader()
		if err == dnsmessage.ErrSectionDone {
			return q, dnsmessage.RCodeSuccess, true
		}
		if err != nil || p.SkipAdditional() != nil {
			return q, dnsmessage.RCodeFormatError, true
		}
		if h.Type == dnsmessage.TypeOPT {
			q.edns = true
			if !overTCP {
				q.limit = min(max(int(h.Class), plainUDPAnswer), largestUDPAnswer)
			}
		}
	}
}

// respond answers a query of a guest, nil for no answer.
func (s *nameServer) respond(ctx context.Context, raw []byte, overTCP bool) []byte {
	q, code, ok := parseQuery(raw, overTCP)
	if !ok {
		return nil
	}
	if code != dnsmessage.RCodeSuccess {
		return q.pack(nil, code, false)
	}
	if answers, code, local := s.local(q); local {
		return q.pack(answers, code, true)
	}
	answer, err := s.upstream.resolve(ctx, q)
	if err != nil {
		s.log.Debug("name not resolved", "name", q.name, "type", q.question.Type.String(), "error", err)
		return q.pack(nil, dnsmessage.RCodeServerFailure, false)
	}
	if len(answer) > q.limit {
		return q.truncated(answer)
	}
	return answer
}

// local answers what the network knows. A name that exists has no AAAA records, which is an empty answer:
// "no such name" would make resolvers give up on the name altogether (RFC 8020).
func (s *nameServer) local(q query) (answers []dnsmessage.ResourceBody, code dnsmessage.RCode, local bool) {
	if q.question.Class != dnsmessage.ClassINET && q.question.Class != dnsmessage.ClassANY {
		return nil, 0, false
	}
	if at, ok := reverseAddress(q.name); ok && s.subnet.Contains(at) {
		return s.localReverse(q, at)
	}
	addresses := s.names.addresses(q.name)
	if addresses == nil {
		return nil, dnsmessage.RCodeNameError, s.names.owns(q.name)
	}
	if q.wants(dnsmessage.TypeA) {
		rand.Shuffle(len(addresses), func(i, j int) { addresses[i], addresses[j] = addresses[j], addresses[i] })
		for _, a := range addresses {
			answers = append(answers, &dnsmessage.AResource{A: a.As4()})
		}
	}
	return answers, dnsmessage.RCodeSuccess, true
}

func (s *nameServer) localReverse(q query, at netip.Addr) ([]dnsmessage.ResourceBody, dnsmessage.RCode, bool) {
	name := s.names.nameOf(at)
	if name == "" {
		return nil, dnsmessage.RCodeNameError, true
	}
	target, err := dnsmessage.NewName(name + ".")
	if err != nil {
		return nil, dnsmessage.RCodeServerFailure, true
	}
	if !q.wants(dnsmessage.TypePTR) {
		return nil, dnsmessage.RCodeSuccess, true
	}
	return []dnsmessage.ResourceBody{&dnsmessage.PTRResource{PTR: target}}, dnsmessage.RCodeSuccess, true
}

func (q query) wants(t dnsmessage.Type) bool {
	return q.question.Type == t || q.question.Type == dnsmessage.TypeALL
}

// pack makes the answer to q; what does not fit is left out and marked as truncated.
func (q query) pack(answers []dnsmessage.ResourceBody, code dnsmessage.RCode, authoritative bool) []byte {
	m := dnsmessage.Message{Header: dnsmessage.Header{
		ID:                 q.header.ID,
		Response:           true,
		OpCode:             q.header.OpCode,
		Authoritative:      authoritative,
		RecursionDesired:   q.header.RecursionDesired,
		RecursionAvailable: true,
		RCode:              code,
	}}
	if q.question.Name.Length > 0 {
		m.Questions = []dnsmessage.Question{q.question}
	}
	for _, body := range answers {
		m.Answers = append(m.Answers, dnsmessage.Resource{
			Header: dnsmessage.ResourceHeader{Name: q.question.Name, Class: dnsmessage.ClassINET, TTL: localTTL},
			Body:   body,
		})
	}
	if q.edns {
		var h dnsmessage.ResourceHeader
		h.SetEDNS0(largestUDPAnswer, code, false)
		m.Additionals = []dnsmessage.Resource{{Header: h, Body: &dnsmessage.OPTResource{}}}
	}
	packed, err := m.Pack()
	if err != nil {
		return nil
	}
	if len(packed) > q.limit {
		m.Truncated, m.Answers = true, nil
		if packed, err = m.Pack(); err != nil {
			return nil
		}
	}
	return packed
}

// truncated makes "ask again over TCP" from an answer that is too long for the asker.
func (q query) truncated(answer []byte) []byte {
	var p dnsmessage.Parser
	h, err := p.Start(answer)
	if err != nil {
		return q.pack(nil, dnsmessage.RCodeServerFailure, false)
	}
	m := dnsmessage.Message{Header: h, Questions: []dnsmessage.Question{q.question}}
	m.Truncated = true
	packed, err := m.Pack()
	if err != nil {
		return nil
	}
	return packed
}

// reverseAddress reads "4.3.2.1.in-addr.arpa" as 1.2.3.4 (RFC 1035, section 3.5).
func reverseAddress(name string) (netip.Addr, bool) {
	labels, ok := strings.CutSuffix(name, reverseZone)
	parts := strings.Split(labels, ".")
	if !ok || len(parts) != 4 {
		return netip.Addr{}, false
	}
	var b [4]byte
	for i, part := range parts {
		v, err := strconv.ParseUint(part, 10, 8)
		if err != nil {
			return netip.Addr{}, false
		}
		b[3-i] = byte(v)
	}
	return netip.AddrFrom4(b), true
}
