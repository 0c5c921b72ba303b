package discover

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/procs"
	"github.com/belfry-monitoring/belfry/common/safefile"
)

// Machine is what this machine shows to the user who looks.
type Machine struct {
	User      Account // who looks
	Processes []Process
	Hidden    bool // other users' processes are not shown (hidepid)
	Listeners []Listener
	Sockets   []Socket
	Accounts  map[int]string // names of the users of processes
	Files     Files
	Problems  []string // why something may not be seen
}

// Account is a user of the system.
type Account struct {
	UID        int
	Name, Home string // empty where not known
}

// Process is one that a product has asked for.
type Process struct {
	PID, UID int
	Args     []string
	// Inodes of its sockets; nil where this user may not see them.
	Inodes map[uint64]bool
}

// Files reads the machine's files. Paths are those of the machine, without
// the root that they may be found below.
type Files interface {
	Read(path string) ([]byte, error)
	Glob(pattern string) []string
	// Path is where this process finds the path.
	Path(path string) string
	// Socket is Path for a socket, whose name the kernel keeps as the server
	// gave it: as it stands where there is none below the root.
	Socket(path string) string
}

// Bounds of what is read.
const (
	maxFile    = 256 << 10 // bytes of a configuration file
	maxNet     = 32 << 20  // bytes of a table of sockets: 200,000 of them
	maxSockets = 8192      // open files of a process
)

// look reads what the machine shows.
func (f *Finder) look(ctx context.Context, all []product) (*Machine, error) {
	m := &Machine{Accounts: make(map[int]string), Files: disk{f.root()}}
	m.User = self()
	proc := m.Files.Path("/proc")
	listing, err := procs.New(proc).List(ctx, procs.Query{Match: func(c procs.CommandLine) bool {
		args := c.Args()
		for _, p := range all {
			if len(args) > 0 && p.wants(args) {
				return true
			}
		}
		return false
	}})
	if err != nil {
		return nil, err
	}
	m.Hidden = listing.Invisible || listing.Unreadable > 0
	if m.Hidden {
		m.problem("/proc does not show all processes to user %s (hidepid): what others run may not be found; put %[1]s into the group of its mount option gid", m.User.Name)
	}
	for _, p := range listing.Processes {
		m.Processes = append(m.Processes, Process{PID: p.PID, UID: p.UID, Args: p.Command.Args(), Inodes: inodes(filepath.Join(proc, strconv.Itoa(p.PID), "fd"))})
		if _, known := m.Accounts[p.UID]; !known {
			m.Accounts[p.UID] = accountName(p.UID)
		}
	}
	for _, name := range []string{"tcp", "tcp6"} {
		list, err := table(proc, name, parseTCP)
		m.Listeners = append(m.Listeners, list...)
		if err != nil && !(name == "tcp6" && errors.Is(err, fs.ErrNotExist)) { // a machine without IPv6
			m.problem("not all ports can be seen: %v", err)
		}
	}
	if m.Sockets, err = table(proc, "unix", parseUnix); err != nil {
		m.problem("not all sockets can be seen: %v", err)
	}
	return m, nil
}

func (m *Machine) problem(format string, args ...any) {
	m.Problems = append(m.Problems, check.CleanMax(fmt.Sprintf(format, args...), maxLine))
}

func (f *Finder) root() string {
	if f.Root == "/" {
		return ""
	}
	return strings.TrimRight(f.Root, "/")
}

// table reads and parses one of /proc/net.
func table[T any](proc, name string, parse func([]byte) ([]T, error)) ([]T, error) {
	path := filepath.Join(proc, "net", name)
	data, err := safefile.Read(path, maxNet)
	if err != nil {
		return nil, err
	}
	list, err := parse(data)
	if err != nil {
		return list, check.Faultf(check.Data, "read", path, "%w", err)
	}
	return list, nil
}

// inodes lists the sockets that a process has open.
func inodes(dir string) map[uint64]bool {
	d, err := os.Open(dir)
	if err != nil {
		return nil
	}
	defer d.Close()
	names, err := d.Readdirnames(maxSockets)
	if err != nil && len(names) == 0 {
		return nil
	}
	found := make(map[uint64]bool)
	for _, name := range names {
		link, err := os.Readlink(filepath.Join(dir, name))
		if err != nil {
			continue
		}
		if number, ok := strings.CutPrefix(link, "socket:["); ok {
			if inode, err := strconv.ParseUint(strings.TrimSuffix(number, "]"), 10, 64); err == nil {
				found[inode] = true
			}
		}
	}
	return found
}

// self is the user that this process runs as.
func self() Account {
	a := Account{UID: os.Geteuid()}
	if u, err := user.LookupId(strconv.Itoa(a.UID)); err == nil {
		a.Name, a.Home = u.Username, u.HomeDir
	}
	if home := os.Getenv("HOME"); home != "" {
		a.Home = home
	}
	if a.Name == "" {
		a.Name = strconv.Itoa(a.UID)
	}
	return a
}

func accountName(uid int) string {
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		return u.Username
	}
	return strconv.Itoa(uid)
}

// disk is the machine's files below a root.
type disk struct{ root string }

func (d disk) Path(path string) string { return d.root + path }

func (d disk) Socket(path string) string {
	if _, err := os.Lstat(d.Path(path)); err != nil {
		return path
	}
	return d.Path(path)
}

func (d disk) Read(path string) ([]byte, error) { return safefile.Read(d.Path(path), maxFile) }

func (d disk) Glob(pattern string) []string {
	found, err := filepath.Glob(d.Path(pattern)) // the patterns are constant and right
	if err != nil {
		return nil
	}
	for i := range found {
		found[i] = strings.TrimPrefix(found[i], d.root)
	}
	return found
}

// of returns the processes that the test picks.
func (m *Machine) of(wanted func(args []string) bool) []Process {
	var list []Process
	for _, p := range m.Processes {
		if wanted(p.Args) {
			list = append(list, p)
		}
	}
	return list
}

// owns reports whether a process has the listener open. Where that may not be
// seen, the listener is taken for one of its user's where sameUser says so.
func (p *Process) owns(l Listener, sameUser bool) bool {
	if p.Inodes != nil {
		return p.Inodes[l.Inode]
	}
	return sameUser && p.UID == l.UID
}

// at returns the listener of a port that this machine can reach, one of the
// loopback interface rather than another.
func (m *Machine) at(port uint16) (Listener, bool) {
	best, ok := Listener{}, false
	for _, l := range m.Listeners {
		if l.Port == port && (!ok || rank(l) < rank(best)) {
			best, ok = l, true
		}
	}
	return best, ok
}

func rank(l Listener) int {
	switch {
	case l.Addr.IsLoopback() && l.Addr.Is4():
		return 0
	case l.Addr.IsUnspecified():
		return 1
	case l.Addr.IsLoopback():
		return 2
	}
	return 3
}

// firstUser is the number of the first user who is a person (login.defs(5),
// UID_MIN).
const firstUser = 1000

// trusts reports whether a password may be sent to what a user of that number
// listens with: to root's, the system's services and our own. Anybody can
// listen at the port of a server that does not run, or name a program like it.
func (m *Machine) trusts(uid int) bool {
	return uid >= 0 && uid < firstUser || uid == m.User.UID
}

// host is the address at which this machine reaches its own listener: never
// one of another machine.
func (l Listener) host() string {
	if l.Addr.IsUnspecified() || !l.Addr.IsValid() {
		// One of all addresses of IPv6 takes those of IPv4, too, or there is
		// another listener for them. ::1 is missing where disable_ipv6 is set.
		return "127.0.0.1"
	}
	return l.Addr.String()
}
