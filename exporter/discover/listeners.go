package discover

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
)

// Listener is a TCP socket that waits for connections.
type Listener struct {
	Addr  netip.Addr
	Port  uint16
	UID   int // of the user who opened it
	Inode uint64
}

// Socket is a Unix socket in the file system that waits for connections.
type Socket struct {
	Path  string
	Inode uint64
}

// listening is the state TCP_LISTEN (include/net/tcp_states.h).
const listening = "0A"

// parseTCP reads this machine's /proc/net/tcp or tcp6.
func parseTCP(data []byte) ([]Listener, error) { return parseTCPOf(binary.NativeEndian, data) }

// parseTCPOf reads /proc/net/tcp or tcp6 (proc(5)) of a machine of that byte
// order: the sockets that listen.
func parseTCPOf(order binary.ByteOrder, data []byte) ([]Listener, error) {
	var list []Listener
	for i, line := range bytes.Split(data, []byte("\n")) {
		fields := bytes.Fields(line)
		if i == 0 || len(fields) == 0 {
			continue // the heading
		}
		if len(fields) < 10 {
			return list, fmt.Errorf("line %d has %d columns", i+1, len(fields))
		}
		if string(fields[3]) != listening {
			continue
		}
		addr, port, err := parseEndpoint(order, string(fields[1]))
		uid, err1 := strconv.Atoi(string(fields[7]))
		inode, err2 := strconv.ParseUint(string(fields[9]), 10, 64)
		if err = errors.Join(err, err1, err2); err != nil {
			return list, fmt.Errorf("line %d: %w", i+1, err)
		}
		list = append(list, Listener{addr, port, uid, inode})
	}
	return list, nil
}

var errEndpoint = errors.New("not an address and a port in hexadecimal")

// parseEndpoint reads 0100007F:1538: words of 32 bits in the machine's byte
// order, and the port.
func parseEndpoint(order binary.ByteOrder, text string) (netip.Addr, uint16, error) {
	words, port, ok := bytes.Cut([]byte(text), []byte(":"))
	raw := make([]byte, len(words)/2)
	if _, err := hex.Decode(raw, words); !ok || err != nil || len(raw) != 4 && len(raw) != 16 {
		return netip.Addr{}, 0, errEndpoint
	}
	for i := 0; i < len(raw); i += 4 {
		order.PutUint32(raw[i:], binary.BigEndian.Uint32(raw[i:]))
	}
	number, err := strconv.ParseUint(string(port), 16, 16)
	if err != nil {
		return netip.Addr{}, 0, errEndpoint
	}
	addr, _ := netip.AddrFromSlice(raw)
	return addr.Unmap(), uint16(number), nil
}

// acceptsConnections is the flag __SO_ACCEPTCON of a socket
// (include/uapi/linux/net.h).
const acceptsConnections = 1 << 16

// parseUnix reads /proc/net/unix: the sockets that listen and have a name in
// the file system, which may hold blanks.
func parseUnix(data []byte) ([]Socket, error) {
	var list []Socket
	seen := make(map[string]bool)
	for i, line := range bytes.Split(data, []byte("\n")) {
		if i == 0 || len(line) == 0 {
			continue
		}
		fields := bytes.Fields(line)
		if len(fields) < 7 {
			continue // the rest of a name that holds a line end
		}
		flags, err := strconv.ParseUint(string(fields[3]), 16, 32)
		if err != nil {
			continue
		}
		if len(fields) < 8 || flags&acceptsConnections == 0 || fields[7][0] != '/' {
			continue
		}
		inode, err := strconv.ParseUint(string(fields[6]), 10, 64)
		if err != nil {
			return list, fmt.Errorf("line %d: the inode is no number", i+1)
		}
		path := string(line[bytes.Index(line, append([]byte(" "), fields[7]...))+1:])
		if !seen[path] {
			seen[path] = true
			list = append(list, Socket{path, inode})
		}
	}
	return list, nil
}
