package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/belfry-monitoring/belfry/testbed"
	"github.com/belfry-monitoring/belfry/testbed/browser"
	"github.com/belfry-monitoring/belfry/testbed/scene"
)

// pictureHead lets the exporter look often, so that the pictures have a past.
const pictureHead = "defaults:\n  interval: 3s\n  timeout: 3s\nspread: 2s\n"

// What is waited for before the scene is broken, and after it: looks.
const (
	calm   = 30
	broken = 12
)

// pictureSettings are the checks of the demonstration, one of them with a
// password that is not right, and limits that the scene comes near to.
func (s *stage) pictureSettings() []scene.Setting {
	settings := s.settings(exporterAccount)
	for i := range settings {
		if settings[i].Target == "pgbackrest" {
			settings[i].Interval, settings[i].Timeout = 10*time.Second, 9*time.Second // the tool takes its time
		}
	}
	at := slices.IndexFunc(settings, func(c scene.Setting) bool { return c.Check == "rabbitmq_consumers" })
	refused := settings[at]
	refused.Target, refused.Options = "consumers-of-mail", cloned(refused.Options)
	refused.Options["password-file"] = []string{s.files[exporterAccount]["postgres"]}
	return append(settings, refused)
}

func cloned(options map[string][]string) map[string][]string {
	copied := make(map[string][]string, len(options))
	for name, values := range options {
		copied[name] = slices.Clone(values)
	}
	return copied
}

// photograph sets up the scene, lets it run, breaks some of it and takes the
// pictures of the documentation.
func photograph(ctx context.Context, bin, dir, into string) error {
	say := func(format string, args ...any) { fmt.Printf(format+"\n", args...) }
	var verdict error
	err := testbed.Run(dir, os.Stderr, func(bed *testbed.Bed) {
		s := newStage(bed, bin, say)
		for _, act := range []func() error{s.databases, s.backups, s.queues, s.workers, s.chat, s.binaries, s.secrets} {
			if verdict = cmp.Or(ctx.Err(), act()); verdict != nil {
				return
			}
		}
		s.exporter = bed.Exporter(testbed.ExporterOptions{
			Config: scene.Config(pictureHead, s.pictureSettings()), Account: exporterAccount, Binary: filepath.Join(s.plugins, "belfry_exporter"),
		})
		say("the exporter at %s looks at a scene that is well", s.exporter.URL())
		if verdict = s.awaitLooks(ctx, calm); verdict != nil {
			return
		}
		say("the standby freezes, a dump is late, a queue gets more than its consumer takes")
		s.standby.Freeze()
		old := time.Now().Add(-30 * time.Hour)
		if verdict = os.Chtimes(filepath.Join(s.dumps, "zulip.dump"), old, old); verdict != nil {
			return
		}
		s.broker.Publish(s.work[1], 3000, time.Now())
		if verdict = s.awaitLooks(ctx, calm+broken); verdict == nil {
			verdict = s.takePictures(bed, into)
		}
	})
	return errors.Join(err, verdict)
}

// awaitLooks keeps the scene busy until each check has looked n times, those
// that look seldom left out.
func (s *stage) awaitLooks(ctx context.Context, n int) error {
	for end := time.Now().Add(10 * time.Minute); time.Now().Before(end); pause(ctx, time.Second) {
		if ctx.Err() != nil {
			return errInterrupted
		}
		s.traffic()
		if err := s.job(); err != nil {
			return err
		}
		text, err := s.exporter.Get("/api/v1/checks")
		if err != nil {
			return err
		}
		var list struct {
			Checks []struct {
				Interval float64        `json:"interval_seconds"`
				Runs     map[string]int `json:"runs"`
			}
		}
		if err := json.Unmarshal([]byte(text), &list); err != nil {
			return err
		}
		done := true
		for _, c := range list.Checks {
			looks := 0
			for _, k := range c.Runs {
				looks += k
			}
			done = done && (looks >= n || c.Interval > 5)
		}
		if done {
			return nil
		}
	}
	return fmt.Errorf("not every check has looked %d times within 10 min", n)
}

// takePictures writes the pictures that the documentation shows.
func (s *stage) takePictures(bed *testbed.Bed, into string) error {
	if err := os.MkdirAll(into, 0o755); err != nil {
		return err
	}
	b := browser.Start(bed.TB())
	const check = "check/postgres_replication_lag/replication"
	for _, shot := range []struct {
		name, path string
		screen     browser.Screen
		whole      bool
	}{
		{"status-page", "", browser.Screen{Width: 1180, Height: 760}, false},
		{"status-page-check", check, browser.Screen{Width: 1180, Height: 960}, false},
		{"status-page-phone", "", browser.Screen{Width: 360, Height: 760, Scale: 2}, false},
		{"status-page-phone-dark", check, browser.Screen{Width: 360, Height: 760, Scale: 2, Dark: true}, false},
	} {
		p := b.Page(shot.screen)
		p.Open(s.exporter.URL() + "/" + shot.path)
		if troubles := p.Troubles(); len(troubles) > 0 {
			return fmt.Errorf("the page complains: %s", strings.Join(troubles, "; "))
		}
		data, err := small(p.Picture(shot.whole))
		if err == nil {
			err = os.WriteFile(filepath.Join(into, shot.name+".png"), data, 0o644)
		}
		if err != nil {
			return err
		}
		s.say("%s: %d kB", shot.name, len(data)/1000)
	}
	return nil
}

// small packs a picture as tightly as PNG can.
func small(data []byte) ([]byte, error) {
	picture, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	if err := encoder.Encode(&out, picture); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
