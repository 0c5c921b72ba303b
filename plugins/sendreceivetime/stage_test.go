package sendreceivetime

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/plugin"
	"github.com/belfry-monitoring/belfry/testbed/zulipserver"
)

// stage is a server with the two bots and their zuliprc files.
type stage struct {
	*zulipserver.Server
	sender, receiver     zulipserver.User
	senderRC, receiverRC string
}

func newStage(t testing.TB, options zulipserver.Options) *stage {
	t.Helper()
	s := &stage{Server: zulipserver.StartTest(t, options)}
	s.sender = s.AddUser(zulipserver.User{Email: "send-bot@chat.example.org", Bot: true})
	s.receiver = s.AddUser(zulipserver.User{Email: "receive-bot@chat.example.org", Bot: true})
	s.senderRC = writeRC(t, "sender.zuliprc", s.Zuliprc(s.sender))
	s.receiverRC = writeRC(t, "receiver.zuliprc", s.Zuliprc(s.receiver))
	return s
}

func writeRC(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func (s *stage) args(more ...string) []string {
	return append([]string{"--sender-zuliprc", s.senderRC, "--receiver-zuliprc", s.receiverRC}, more...)
}

// look runs the plugin in this process.
func look(t testing.TB, ctx context.Context, args ...string) plugin.Document {
	t.Helper()
	var out bytes.Buffer
	p := &plugin.Plugin{Definition: Definition, Name: Definition.Plugin(), Args: append(args, "--output", "json"), Stdout: &out}
	p.Run(ctx)
	var d plugin.Document
	if err := json.Unmarshal(out.Bytes(), &d); err != nil {
		t.Fatalf("%v in output %q", err, out.String())
	}
	return d
}

// leftOver says what a look left on the server: messages of the sender and
// queues of the receiver.
func (s *stage) leftOver() (messages, queues int) {
	for _, m := range s.Messages() {
		if m.Sender == s.sender.Email {
			messages++
		}
	}
	return messages, len(s.Queues())
}

func hasNote(d plugin.Document, part string) bool {
	for _, n := range d.Notes {
		if strings.Contains(n, part) {
			return true
		}
	}
	return false
}

func value(d plugin.Document, key string, label string) (float64, bool) {
	for _, v := range d.Values {
		if v.Key == key && v.Labels["bot"] == label && v.Value != nil {
			return *v.Value, true
		}
	}
	return 0, false
}

func newFlagSet() *pflag.FlagSet { return pflag.NewFlagSet("test", pflag.ContinueOnError) }

// text runs the plugin in this process and returns its text output.
func text(t testing.TB, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	p := &plugin.Plugin{Definition: Definition, Name: Definition.Plugin(), Args: args, Stdout: &out}
	p.Run(context.Background())
	return out.String()
}
