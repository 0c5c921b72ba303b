package faultproxy

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// DNSAnswer is what the name server says to every question.
type DNSAnswer int

const (
	DNSSilent   DNSAnswer = iota // nothing
	DNSNXDomain                  // the name does not exist
	DNSServFail                  // the server cannot tell
	DNSLoopback                  // every name is 127.0.0.1 and has no other address
)

// DNS is a name server on a UDP port of 127.0.0.1.
type DNS struct {
	conn    *net.UDPConn
	answer  atomic.Int32
	queries atomic.Int64
	wg      sync.WaitGroup
}

// NewDNS starts a name server.
func NewDNS(answer DNSAnswer) (*DNS, error) {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, fmt.Errorf("start name server: %w", err)
	}
	d := &DNS{conn: conn}
	d.Set(answer)
	d.wg.Add(1)
	go d.serve()
	return d, nil
}

// StartDNS starts a name server that ends with the test.
func StartDNS(t testing.TB, answer DNSAnswer) *DNS {
	t.Helper()
	d, err := NewDNS(answer)
	if err != nil {
		t.Fatalf("faultproxy.NewDNS(%d) = %v; want a server", answer, err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("close name server: %v", err)
		}
	})
	return d
}

// Set changes the answer.
func (d *DNS) Set(answer DNSAnswer) { d.answer.Store(int32(answer)) }

// Addr is host:port.
func (d *DNS) Addr() string { return d.conn.LocalAddr().String() }

// Queries counts the questions that arrived, repeated ones included.
func (d *DNS) Queries() int { return int(d.queries.Load()) }

// Resolver asks this server only; names of the hosts file, like localhost, are
// still found there. A final dot keeps the search list away from a name.
func (d *DNS) Resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var dialer net.Dialer
		return dialer.DialContext(ctx, "udp4", d.Addr())
	}}
}

// Close stops the server.
func (d *DNS) Close() error {
	err := d.conn.Close()
	d.wg.Wait()
	return err
}

func (d *DNS) serve() {
	defer d.wg.Done()
	buf := make([]byte, 1500)
	for {
		n, from, err := d.conn.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // an ICMP error of an earlier answer
		}
		d.queries.Add(1)
		if answer := reply(buf[:n], DNSAnswer(d.answer.Load())); answer != nil {
			d.conn.WriteToUDPAddrPort(answer, from)
		}
	}
}

const (
	dnsHeader   = 12
	dnsTypeA    = 1
	rcodeFail   = 2
	rcodeNoName = 3
)

// reply answers a message of one question (RFC 1035 section 4.1); nil for none.
func reply(query []byte, answer DNSAnswer) []byte {
	end, ok := questionEnd(query)
	if !ok || answer == DNSSilent {
		return nil
	}
	out := make([]byte, end, end+16)
	copy(out, query[:end])
	out[2] = 0x80 | query[2]&0x79 // an answer; opcode and "recursion desired" of the question
	out[3] = 0x80                 // recursion available
	clear(out[6:dnsHeader])       // no records yet; the question's own extra record is dropped
	switch answer {
	case DNSNXDomain:
		out[3] |= rcodeNoName
	case DNSServFail:
		out[3] |= rcodeFail
	case DNSLoopback:
		if binary.BigEndian.Uint16(query[end-4:]) == dnsTypeA {
			out[7] = 1
			// Name: the question's; type A, class IN, 60 s, four bytes.
			out = append(out, 0xc0, dnsHeader, 0, dnsTypeA, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1)
		}
	}
	return out
}

// questionEnd is where the only question of a query ends.
func questionEnd(query []byte) (int, bool) {
	if len(query) < dnsHeader || query[2]&0x80 != 0 || binary.BigEndian.Uint16(query[4:]) != 1 {
		return 0, false
	}
	at := dnsHeader
	for at < len(query) && query[at] != 0 {
		if query[at] > 63 { // a pointer has no place in a question
			return 0, false
		}
		at += 1 + int(query[at])
	}
	at += 1 + 4 // the root label, type, class
	return at, at <= len(query)
}
