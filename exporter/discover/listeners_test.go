package discover

import (
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const tcpHeading = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"

func TestParseTCP(t *testing.T) {
	for _, tt := range []struct{ name, text, want, err string }{
		{"recorded", tcpHeading +
			"   0: 0100007F:8769 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 3606187 2 00000000b7435863 100 0 0 10 0\n" +
			"   1: 00000000:1538 00000000:0000 0A 00000000:00000000 00:00000000 00000000   115        0 3606207 2 000000005094505d 100 0 0 10 0\n" +
			"   2: 0100007F:85B7 0100007F:8769 01 00000000:00000000 00:00000000 00000000     0        0 3606208 2 000000005094505d 100 0 0 10 0\n",
			"127.0.0.1:34665 of 0 [3606187], 0.0.0.0:5432 of 115 [3606207]", ""},
		{"IPv6", tcpHeading +
			"   0: 00000000000000000000000001000000:1F90 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000   106        0 17 1 0 100 0 0 10 0\n" +
			"   1: 00000000000000000000000000000000:3D38 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000   106        0 18 1 0 100 0 0 10 0\n" +
			"   2: 0000000000000000FFFF00000100007F:3D39 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000   106        0 19 1 0 100 0 0 10 0\n",
			"::1:8080 of 106 [17], :::15672 of 106 [18], 127.0.0.1:15673 of 106 [19]", ""},
		{"empty", "", "", ""},
		{"heading alone", tcpHeading, "", ""},
		{"cut", tcpHeading + "   0: 0100007F:8769 00000000:0000 0A", "", "line 2 has 4 columns"},
		{"no address", tcpHeading + "   0: 0100007F8769 00000000:0000 0A 0:0 0:0 0 0 0 1 1", "", "line 2: not an address"},
		{"no inode", tcpHeading + "   0: 0100007F:8769 00000000:0000 0A 0:0 0:0 0 0 0 x 1", "", "line 2: strconv"},
	} {
		list, err := parseTCPOf(binary.LittleEndian, []byte(tt.text)) // as it was recorded
		var got []string
		for _, l := range list {
			got = append(got, fmt.Sprintf("%s:%d of %d [%d]", l.Addr, l.Port, l.UID, l.Inode))
		}
		if strings.Join(got, ", ") != tt.want || (err != nil) != (tt.err != "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s: parseTCPOf = %q, %v; want %q, %q", tt.name, strings.Join(got, ", "), err, tt.want, tt.err)
		}
	}
	big := tcpHeading + "   0: 7F000001:8769 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 2 0 100 0 0 10 0\n"
	if list, err := parseTCPOf(binary.BigEndian, []byte(big)); err != nil || len(list) != 1 || list[0].Addr.String() != "127.0.0.1" {
		t.Errorf("parseTCPOf(big-endian) = %+v, %v; want 127.0.0.1", list, err)
	}
}

func TestParseUnix(t *testing.T) {
	const heading = "Num       RefCount Protocol Flags    Type St Inode Path\n"
	for _, tt := range []struct{ name, text, want string }{
		{"recorded", heading +
			"0000000062ec875e: 00000003 00000000 00000000 0001 03  1119\n" +
			"00000000c2e2f639: 00000002 00000000 00010000 0001 01 3606251 @belfry-testbed-port-22426\n" +
			"00000000185c39b0: 00000002 00000000 00010000 0001 01 3607348 /var/run/postgresql/.s.PGSQL.5432\n" +
			"00000000185c39b1: 00000003 00000000 00000000 0001 03 3607349 /var/run/postgresql/.s.PGSQL.5432\n",
			"/var/run/postgresql/.s.PGSQL.5432"},
		{"blanks in a name", heading + "0: 00000002 00000000 00010000 0001 01 7 /srv/my data/.s.PGSQL.5432\n", "/srv/my data/.s.PGSQL.5432"},
		{"the inode's digits in a name", heading + "0: 00000002 00000000 00010000 0001 01 7 /7 7/x\n", "/7 7/x"},
		{"a line end in a name", heading + "0: 00000002 00000000 00010000 0001 01 7 /a\nb/.s.PGSQL.5432\n", "/a"},
		{"garbage", "x\ny z\n\x00\n", ""},
	} {
		list, err := parseUnix([]byte(tt.text))
		var got []string
		for _, s := range list {
			got = append(got, s.Path)
		}
		if strings.Join(got, ", ") != tt.want || err != nil {
			t.Errorf("%s: parseUnix = %q, %v; want %q", tt.name, strings.Join(got, ", "), err, tt.want)
		}
	}
}

// The kernel's own tables show what we listen on.
func TestTablesOfTheKernel(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	path := filepath.Join(t.TempDir(), "a socket")
	u, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	tcp, err := table("/proc", "tcp", parseTCP)
	if err != nil {
		t.Fatal(err)
	}
	own := inodes("/proc/self/fd")
	found := false
	for _, one := range tcp {
		if int(one.Port) == l.Addr().(*net.TCPAddr).Port && one.Addr.IsLoopback() && one.UID == os.Geteuid() && own[one.Inode] {
			found = true
		}
	}
	if !found {
		t.Errorf("/proc/net/tcp as read has no %v of this process", l.Addr())
	}
	sockets, err := table("/proc", "unix", parseUnix)
	if err != nil {
		t.Fatal(err)
	}
	found = false
	for _, s := range sockets {
		found = found || s.Path == path && own[s.Inode]
	}
	if !found {
		t.Errorf("/proc/net/unix as read has no %s of this process", path)
	}
}

func FuzzParseTCP(f *testing.F) {
	f.Add([]byte(tcpHeading + "   0: 0100007F:8769 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 3606187 2\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, _ := parseTCP(data)
		for _, l := range list {
			if !l.Addr.IsValid() || l.host() == "" {
				t.Errorf("parseTCP(%q) = %+v; want an address", data, l)
			}
		}
	})
}

func FuzzParseUnix(f *testing.F) {
	f.Add([]byte("h\n0: 00000002 00000000 00010000 0001 01 7 /a b\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, _ := parseUnix(data)
		for _, s := range list {
			if !strings.HasPrefix(s.Path, "/") || strings.Contains(s.Path, "\n") {
				t.Errorf("parseUnix(%q) = %q; want paths", data, s.Path)
			}
		}
	})
}
