package procs

import (
	"os"
	"strings"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	const tail = " 1 1 0 -1 4194304 100 0 0 0 0 0 0 0 20 0 1 0 214953 3133440 413 18446744073709551615 0 0"
	tests := []struct {
		name, text string
		want       stat
		wantErr    bool
	}{
		{name: "plain", text: "24751 (cat) R 24745" + tail, want: stat{state: 'R', parent: 24745, started: 2149530 * time.Millisecond}},
		{name: "command with blank and parentheses", text: "7 (a) b) (c) S 3" + tail, want: stat{state: 'S', parent: 3, started: 2149530 * time.Millisecond}},
		{name: "command with a line end", text: "7 (odoo: W\n) R 9 9) Z 3" + tail, want: stat{state: 'Z', parent: 3, started: 2149530 * time.Millisecond}},
		{name: "forked only", text: "7 (x) S 3 1 1 0 -1 4194368" + strings.TrimPrefix(tail, " 1 1 0 -1 4194304"),
			want: stat{state: 'S', parent: 3, forkedOnly: true, started: 2149530 * time.Millisecond}},
		{name: "empty", wantErr: true},
		{name: "no command", text: "7 cat R 1", wantErr: true},
		{name: "cut off", text: "24751 (cat) R 24745 1 1 0 -1", wantErr: true},
		{name: "start time beyond all time", text: "7 (x) S 3" + strings.Replace(tail, "214953", "18446744073709551615", 1), wantErr: true},
		{name: "parent no number", text: "7 (x) S x" + tail, wantErr: true},
	}
	for _, tt := range tests {
		got, err := parseStat([]byte(tt.text))
		if got != tt.want || (err != nil) != tt.wantErr {
			t.Errorf("%s: parseStat(%q) = %+v, %v; want %+v, error %t", tt.name, tt.text, got, err, tt.want, tt.wantErr)
		}
	}
}

func TestParseStatus(t *testing.T) {
	tests := []struct {
		name, text string
		want       status
		wantErr    bool
	}{
		{name: "worker", text: "Name:\tpython3\nState:\tS (sleeping)\nUid:\t0\t1001\t0\t0\nVmRSS:\t   99000 kB\nVmSwap:\t      12 kB\n",
			want: status{state: 'S', uid: 1001, memory: true, rss: 99000 << 10, swap: 12 << 10}},
		{name: "zombie", text: "Name:\tpython3\nState:\tZ (zombie)\nUid:\t33\t33\t33\t33\n", want: status{state: 'Z', uid: 33}},
		{name: "no state", text: "Uid:\t0\t0\t0\t0\n", wantErr: true},
		{name: "no user", text: "State:\tS (sleeping)\n", wantErr: true},
		{name: "one user", text: "State:\tS\nUid:\t0\n", wantErr: true},
		{name: "unit missing", text: "State:\tS\nUid:\t0\t0\nVmRSS:\t12\n", wantErr: true},
		{name: "too large", text: "State:\tS\nUid:\t0\t0\nVmRSS:\t18446744073709551615 kB\n", wantErr: true},
		{name: "empty", wantErr: true},
	}
	for _, tt := range tests {
		got, err := parseStatus([]byte(tt.text))
		if got != tt.want || (err != nil) != tt.wantErr {
			t.Errorf("%s: parseStatus(%q) = %+v, %v; want %+v, error %t", tt.name, tt.text, got, err, tt.want, tt.wantErr)
		}
	}
}

func TestParseMemory(t *testing.T) {
	tests := []struct {
		text    string
		want    Memory
		wantErr bool
	}{
		{text: "MemTotal:  4000 kB\nMemFree: 1 kB\nMemAvailable: 3000 kB\nSwapTotal: 20 kB\nSwapFree: 10 kB\n",
			want: Memory{Total: 4000 << 10, Available: 3000 << 10, SwapTotal: 20 << 10, SwapFree: 10 << 10}},
		{text: "MemTotal:  4000 kB\n", want: Memory{Total: 4000 << 10}},
		{text: "MemTotal:  0 kB\n", wantErr: true},
		{text: "MemTotal:  x kB\n", wantErr: true},
		{text: "MemTotal:  4000 kB\nSwapFree: -1 kB\n", wantErr: true},
		{wantErr: true},
	}
	for _, tt := range tests {
		got, err := parseMemory([]byte(tt.text))
		if got != tt.want || (err != nil) != tt.wantErr {
			t.Errorf("parseMemory(%q) = %+v, %v; want %+v, error %t", tt.text, got, err, tt.want, tt.wantErr)
		}
	}
}

func TestParseOOMKills(t *testing.T) {
	tests := []struct {
		text    string
		want    uint64
		known   bool
		wantErr bool
	}{
		{text: "pgfault 1\noom_kill 7\nnuma_hit 3\n", want: 7, known: true},
		{text: "oom_kill 0", known: true},
		{text: "pgfault 1\n"},
		{text: "oom_kill x\n", known: true, wantErr: true},
		{text: "oom_kill -1\n", known: true, wantErr: true},
		{text: " \n", wantErr: true},
	}
	for _, tt := range tests {
		got, known, err := parseOOMKills([]byte(tt.text))
		if got != tt.want || known != tt.known || (err != nil) != tt.wantErr {
			t.Errorf("parseOOMKills(%q) = %d, %t, %v; want %d, %t, error %t", tt.text, got, known, err, tt.want, tt.known, tt.wantErr)
		}
	}
}

func TestParseUptime(t *testing.T) {
	tests := []struct {
		text    string
		want    time.Duration
		wantErr bool
	}{
		{text: "2715.37 4437.97\n", want: 2715370 * time.Millisecond},
		{text: "", wantErr: true}, {text: "x", wantErr: true}, {text: "NaN 1", wantErr: true}, {text: "1e300", wantErr: true}, {text: "-1 1", wantErr: true},
	}
	for _, tt := range tests {
		got, err := parseUptime([]byte(tt.text))
		if got != tt.want || (err != nil) != tt.wantErr {
			t.Errorf("parseUptime(%q) = %s, %v; want %s, error %t", tt.text, got, err, tt.want, tt.wantErr)
		}
	}
}

func TestParseHidepid(t *testing.T) {
	const plain = "45 43 0:21 / /proc rw,relatime - proc proc rw\n"
	tests := []struct{ name, text, at, hidepid, gid string }{
		{name: "off", text: plain, at: "/proc"},
		{name: "covered by a later mount", at: "/proc", hidepid: "invisible", gid: "33",
			text: plain + "63 45 0:39 / /proc rw,nosuid shared:5 master:1 - proc proc rw,gid=33,hidepid=invisible\n"},
		{name: "before Linux 5.8", text: "45 43 0:21 / /proc rw - proc proc rw,gid=33,hidepid=2\n", at: "/proc", hidepid: "2", gid: "33"},
		{name: "said to be off", text: "45 43 0:21 / /proc rw - proc proc rw,hidepid=off\n", at: "/proc"},
		{name: "elsewhere", text: "45 43 0:21 / /host/proc rw - proc proc rw,hidepid=2\n", at: "/proc"},
		{name: "path with a blank", text: `45 43 0:21 / /a\040b rw - proc proc rw,hidepid=2` + "\n", at: "/a b", hidepid: "2"},
		{name: "no proc", text: "45 43 0:21 / /proc rw - tmpfs tmpfs rw,gid=5\n", at: "/proc"},
		{name: "garbage", text: "- - -\n\x00\n1 2 3 - proc\n", at: "/proc"},
	}
	for _, tt := range tests {
		hidepid, gid := parseHidepid([]byte(tt.text), tt.at)
		if hidepid != tt.hidepid || gid != tt.gid {
			t.Errorf("%s: parseHidepid(%q, %q) = %q, %q; want %q, %q", tt.name, tt.text, tt.at, hidepid, gid, tt.hidepid, tt.gid)
		}
	}
}

func TestCommandLine(t *testing.T) {
	tests := []struct {
		command CommandLine
		args    []string
		text    string
	}{
		{"python3\x00manage.py\x00process_queue\x00", []string{"python3", "manage.py", "process_queue"}, "python3 manage.py process_queue"},
		{"flectra: WorkerHTTP 20 \x00\x00\x00\x00", []string{"flectra: WorkerHTTP 20 "}, "flectra: WorkerHTTP 20"},
		{"a\x00\x00b\x00", []string{"a", "", "b"}, "a  b"},
		{"\x00\x00", nil, ""},
		{"", nil, ""},
	}
	for _, tt := range tests {
		if got := tt.command.Args(); strings.Join(got, "|") != strings.Join(tt.args, "|") || len(got) != len(tt.args) {
			t.Errorf("CommandLine(%q).Args() = %q; want %q", tt.command, got, tt.args)
		}
		if got := tt.command.String(); got != tt.text {
			t.Errorf("CommandLine(%q).String() = %q; want %q", tt.command, got, tt.text)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{"self/stat", "self/status", "self/smaps_rollup", "meminfo", "uptime", "vmstat", "self/mountinfo", "self/cmdline"} {
		data, err := os.ReadFile("/proc/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte("7 (x) S 3 1 1 0 -1 4194368 ) ("))
	f.Fuzz(func(t *testing.T, data []byte) {
		if s, err := parseStat(data); err == nil && (s.parent < 0 || s.started < 0 || s.state == 0) {
			t.Errorf("parseStat(%q) = %+v; want nothing below zero", data, s)
		}
		if s, err := parseStatus(data); err == nil && (s.uid < 0 || s.state == 0 || !s.memory && s.rss > 0) {
			t.Errorf("parseStatus(%q) = %+v; want a user and a state", data, s)
		}
		if m, err := parseMemory(data); err == nil && m.Total == 0 {
			t.Errorf("parseMemory(%q) = %+v; want a total", data, m)
		}
		if up, err := parseUptime(data); err == nil && up < 0 {
			t.Errorf("parseUptime(%q) = %s; want no time below zero", data, up)
		}
		if count, known, _ := parseOOMKills(data); count > 0 && !known {
			t.Errorf("parseOOMKills(%q) = %d, false; want a count only where it is known", data, count)
		}
		parsePSS(data) //nolint:errcheck // must not panic
		parseHidepid(data, "/proc")
		for _, a := range CommandLine(data).Args() {
			if strings.Contains(a, "\x00") {
				t.Errorf("CommandLine(%q).Args() holds a zero byte in %q", data, a)
			}
		}
	})
}
