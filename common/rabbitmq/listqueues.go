package rabbitmq

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/dial"
	"github.com/belfry-monitoring/belfry/common/safefile"
)

// ListQueuesCommand is the command whose output ParseListQueues reads. The
// column type tells streams apart, the column consumers who works.
const ListQueuesCommand = "rabbitmqctl list_queues --formatter json name type state messages messages_ready messages_unacknowledged consumers"

// ParseListQueues reads the output of ListQueuesCommand, with the banner lines
// that some versions put before it. What is no such list is an error.
func ParseListQueues(data []byte) ([]Queue, error) {
	list, err := skipBanner(data)
	if err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(list))
	var raw []json.RawMessage
	if err := decoder.Decode(&raw); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
			return nil, errors.New("the JSON ends early")
		}
		return nil, jsonError(err)
	}
	if rest := bytes.TrimSpace(list[decoder.InputOffset():]); len(rest) > 0 {
		return nil, fmt.Errorf("more than the list: %s", check.CleanMax(string(rest), 80))
	}
	queues := make([]Queue, 0, len(raw))
	for i, item := range raw {
		var columns struct {
			Messages *json.RawMessage `json:"messages"`
		}
		q, err := parseQueue(item)
		if err == nil {
			err = json.Unmarshal(item, &columns)
		}
		switch {
		case err != nil:
			return nil, fmt.Errorf("queue %d of the list: %w", i+1, err)
		case columns.Messages == nil:
			return nil, errors.New("no column messages: write it with " + ListQueuesCommand)
		}
		// rabbitmqctl asks the queues themselves and knows no statistics.
		q.Left, q.Redelivered, q.Live = Number{}, Number{}, q.Messages.Known
		queues = append(queues, q)
	}
	return Merge(queues, nil), nil
}

// skipBanner drops the lines before the list: "Timeout: 60.0 seconds ...",
// "Listing queues for vhost / ...". Anything else is no list.
func skipBanner(data []byte) ([]byte, error) {
	for {
		data = bytes.TrimLeft(data, " \t\r\n")
		switch {
		case len(data) == 0:
			return nil, errors.New("nothing printed where a list of queues is due")
		case data[0] == '[':
			return data, nil
		}
		line, rest, _ := bytes.Cut(data, []byte("\n"))
		if !bytes.HasPrefix(line, []byte("Timeout: ")) && !bytes.HasPrefix(line, []byte("Listing queues")) {
			return nil, fmt.Errorf("not a list of queues in JSON but %q: write it with %s", check.CleanMax(string(line), 80), ListQueuesCommand)
		}
		data = rest
	}
}

// ReadListQueues reads a list from a file, or from standard input where the
// path is "-". It says when the file was written; what comes in by a pipe is
// of now, the zero time.
func ReadListQueues(ctx context.Context, path string) (queues []Queue, written time.Time, err error) {
	const stage = "read the list of queues from"
	peer, data := path, []byte(nil)
	if path == "-" {
		peer = "standard input"
		data, err = readInput(ctx, stage, peer)
	} else {
		data, written, err = readFile(path)
	}
	if err != nil {
		return nil, time.Time{}, err
	}
	if queues, err = ParseListQueues(data); err != nil {
		return nil, written, check.Faultf(check.Data, stage, peer, "%w", err)
	}
	if len(queues) > MaxQueues {
		return nil, written, check.Faultf(check.Data, stage, peer, "there are %d, more than the %d that can be looked at", len(queues), MaxQueues)
	}
	return queues, written, nil
}

func readFile(path string) ([]byte, time.Time, error) {
	f, info, err := safefile.Open(path)
	if err != nil {
		return nil, time.Time{}, err
	}
	defer f.Close()
	data, err := limited(f, "read", path)
	return data, info.ModTime(), err
}

func limited(r io.Reader, stage, peer string) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxBody+1))
	if err == nil && len(data) > maxBody {
		err = check.Faultf(check.Data, stage, peer, "more than %s", check.FormatBytes(maxBody))
	}
	return data, err
}

// readInput reads standard input until it ends or the step does: what writes
// into the pipe may hang.
func readInput(ctx context.Context, stage, peer string) ([]byte, error) {
	step, cancel := check.Step(ctx, time.Hour)
	defer cancel()
	started := time.Now()
	fd, err := syscall.Dup(syscall.Stdin)
	if err != nil {
		return nil, check.Faultf(check.Config, stage, peer, "it is closed")
	}
	syscall.CloseOnExec(fd)
	_ = syscall.SetNonblock(fd, isPipe()) // only then can a read be given up
	f := os.NewFile(uintptr(fd), peer)
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.Mode()&fs.ModeCharDevice != 0 || info.IsDir() {
		return nil, check.Faultf(check.Config, stage, peer, "it is no pipe and no file: pipe the output of rabbitmqctl into it")
	}
	if end, ok := step.Deadline(); ok {
		_ = f.SetReadDeadline(end) // a file has none and needs none
	}
	data, err := limited(f, stage, peer)
	if err != nil {
		return nil, dial.Fault(stage, peer, started, err)
	}
	return data, nil
}

func isPipe() bool {
	info, err := os.Stdin.Stat()
	return err == nil && info.Mode()&(fs.ModeNamedPipe|fs.ModeSocket) != 0
}
