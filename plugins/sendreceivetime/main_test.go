package sendreceivetime

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/belfry-monitoring/belfry/common/plugin"
	"github.com/belfry-monitoring/belfry/testbed/zulipserver"
)

// standIn is the name under which the test binary is a Zulip server of its
// own process, which can be frozen.
const standIn = "zulip-stand-in"

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		Definition.Plugin(): func() { plugin.Main(Definition) },
		standIn:             serve,
	})
}

const (
	sendBot, sendKey       = "send-bot@chat.example.org", "abcdefghijklmnopqrstuvwxyz012345"
	receiveBot, receiveKey = "receive-bot@chat.example.org", "543210zyxwvutsrqponmlkjihgfedcba"
)

func addBots(s *zulipserver.Server) {
	s.AddUser(zulipserver.User{Email: sendBot, APIKey: sendKey, Bot: true})
	s.AddUser(zulipserver.User{Email: receiveBot, APIKey: receiveKey, Bot: true})
}

// serve prints its address and serves until its input ends.
func serve() {
	s := zulipserver.New(zulipserver.Options{})
	addBots(s)
	if err := s.Start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(s.URL())
	io.Copy(io.Discard, os.Stdin) //nolint:errcheck // any end will do
}

// process is a stand-in in a process of its own.
type process struct {
	t   *testing.T
	cmd *exec.Cmd
	url string
}

func startProcess(t *testing.T) *process {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, cmd: &exec.Cmd{Path: exe, Args: []string{standIn}, Stderr: os.Stderr}}
	in, err := p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.thaw()
		in.Close()
		p.cmd.Wait() //nolint:errcheck // its state does not matter any more
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("start %s: %v", standIn, err)
	}
	p.url = strings.TrimSpace(line)
	return p
}

func (p *process) signal(s syscall.Signal) {
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Errorf("signal %s: %v", standIn, err)
	}
}

func (p *process) freeze() { p.signal(syscall.SIGSTOP) }
func (p *process) thaw()   { p.signal(syscall.SIGCONT) }
