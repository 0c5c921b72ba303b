package faultproxy

import (
	"context"
	"encoding/hex"
	"errors"
	"net"
	"slices"
	"testing"
	"time"
)

func TestDNS(t *testing.T) {
	d := StartDNS(t, DNSNXDomain)
	for _, test := range []struct {
		answer            DNSAnswer
		notFound, timeout bool
		addrs             []string
	}{
		{answer: DNSNXDomain, notFound: true},
		{answer: DNSLoopback, addrs: []string{"127.0.0.1"}},
		{answer: DNSServFail},
		{answer: DNSSilent, timeout: true},
	} {
		d.Set(test.answer)
		before := d.Queries()
		ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
		addrs, err := d.Resolver().LookupHost(ctx, "zulip.example.")
		cancel()
		if !slices.Equal(addrs, test.addrs) {
			t.Errorf("LookupHost() with answer %d = %v; want %v", test.answer, addrs, test.addrs)
		}
		var dns *net.DNSError
		if got, want := errors.As(err, &dns), test.addrs == nil; got != want {
			t.Fatalf("LookupHost() with answer %d = %v; want an error: %v", test.answer, err, want)
		}
		if dns != nil && (dns.IsNotFound != test.notFound || dns.IsTimeout != test.timeout) {
			t.Errorf("LookupHost() with answer %d = %v (not found %v, timeout %v); want not found %v, timeout %v",
				test.answer, err, dns.IsNotFound, dns.IsTimeout, test.notFound, test.timeout)
		}
		if d.Queries() == before {
			t.Errorf("Queries() with answer %d = %d; want more than before", test.answer, before)
		}
	}
}

// A query of Go's resolver for zulip.example, type A, with its EDNS record.
const recordedQuery = "1f3b01000001000000000001057a756c6970076578616d706c6500000100010000290" + "4d0000000000000"

func TestReply(t *testing.T) {
	query, err := hex.DecodeString(recordedQuery)
	if err != nil {
		t.Fatal(err)
	}
	question := "057a756c6970076578616d706c650000010001"
	for _, test := range []struct {
		answer DNSAnswer
		want   string
	}{
		{DNSSilent, ""},
		{DNSNXDomain, "1f3b81830001000000000000" + question},
		{DNSServFail, "1f3b81820001000000000000" + question},
		{DNSLoopback, "1f3b81800001000100000000" + question + "c00c000100010000003c00047f000001"},
	} {
		if got := hex.EncodeToString(reply(query, test.answer)); got != test.want {
			t.Errorf("reply(%d) = %s; want %s", test.answer, got, test.want)
		}
	}
	for _, bad := range []string{"", "00", recordedQuery[:40], "1f3b81800001000000000000" + question, "1f3b01000002000000000000" + question,
		"1f3b01000001000000000000c00c00010001"} {
		query, _ := hex.DecodeString(bad)
		if got := reply(query, DNSNXDomain); got != nil {
			t.Errorf("reply(%s) = %x; want none", bad, got)
		}
	}
}

func FuzzReply(f *testing.F) {
	query, err := hex.DecodeString(recordedQuery)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(query, 1)
	f.Fuzz(func(t *testing.T, query []byte, answer int) {
		before := slices.Clone(query)
		out := reply(query, DNSAnswer(answer))
		if !slices.Equal(query, before) {
			t.Errorf("reply(%x) changed its argument", before)
		}
		if out != nil && (len(out) < dnsHeader || out[0] != query[0] || out[1] != query[1] || out[2]&0x80 == 0) {
			t.Errorf("reply(%x, %d) = %x; want an answer to the same question", query, answer, out)
		}
	})
}
