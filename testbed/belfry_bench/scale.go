package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/belfry-monitoring/belfry/testbed"
)

const (
	goalScrape = 1.3 // of the exporter to a bare registry with as many series
	goalDelay  = 1.0 // seconds after its moment at which a look begins at the latest
	goalFlat   = 1.1 // the mean of the last third to that of the first

	lookInterval   = time.Minute
	scrapeInterval = 15 * time.Second
	sampleInterval = 5 * time.Second
	oneInHangs     = 5
	scrapePairs    = 25
)

// scale measures the exporter with a thousand and ten thousand checks.
func (b *bench) scale() error {
	tables := &scaleTables{
		scrape: b.table.section("Exporter: a scrape against a bare registry", fmt.Sprintf("`/metrics` while the looks go on, against a program that holds a client_golang registry with the same series and nothing else; in turn, %d times each. Goal: at most %g times.\n\n"+
			"| checks | series | answer | exporter | bare registry | ratio | within | CPU of a scrape, exporter | bare |\n|---|---|---|---|---|---|---|---|---|", scrapePairs, goalScrape)),
		delay: b.table.section("Exporter: punctuality", fmt.Sprintf("One look a minute at each of so many TCP targets, a fifth of which accept and never answer; %s after a warm-up of a minute and a half. How long after their moment (the slot of a check, its jitter) looks began. Goal: at most %g s.\n\n"+
			"| checks | looks | half within | 99 %% within | all within | kept | wrong verdicts |\n|---|---|---|---|---|---|---|", b.scaleTime, goalDelay)),
		flat: b.table.section("Exporter: what it holds over time", fmt.Sprintf("The mean of the first and of the last third of the %s. Goal: at most %g times. The room for the history of a check (60 looks, 4 KiB) is taken at its first look; the words of its last 20 looks fill it.\n\n"+
			"| checks | of what | first third | last third | ratio | within |\n|---|---|---|---|---|---|", b.scaleTime, goalFlat)),
		cost: b.table.section("Exporter: cost of a check, beside the TCP probes of blackbox_exporter", "Both look at the same kind of targets in the same minutes and read the greeting; blackbox_exporter answers one `/probe` for each look, which Prometheus would ask for. "+
			"The exporter's CPU is that of the looks, their verdicts and series, and of writing memories to `--state-dir`; scrapes (one every 15 s) are left out and stand above. Resident memory: the median; per check, what is beyond a process with two checks.\n\n"+
			"| checks | program | CPU of a look | ratio | resident | per check | goroutines, most | descriptors, most |\n|---|---|---|---|---|---|---|---|"),
	}
	blackbox, err := b.buildBlackbox()
	if err != nil {
		return err
	}
	for _, n := range []int{1000, 10000} {
		if err := b.scaleOf(n, blackbox, tables); err != nil {
			return fmt.Errorf("%d checks: %w", n, err)
		}
	}
	return nil
}

type scaleTables struct{ scrape, delay, flat, cost *section }

// exporterOf starts the exporter with n checks.
func (b *bench) exporterOf(n int, t *targets, name string) *testbed.Exporter {
	var config strings.Builder
	fmt.Fprintf(&config, "defaults: {interval: %s}\nspread: %s\nchecks:\n", lookInterval, lookInterval)
	for i := range n {
		address, _ := t.address(i)
		fmt.Fprintf(&config, "- {check: bench_tcp, target: target-%05d, options: {address: %q}}\n", i, address)
	}
	return b.bed.Exporter(testbed.ExporterOptions{
		Name: name, Binary: b.bed.Build("./testbed/belfry_bench/scaled"), Config: config.String(),
		Args: []string{"--log.level=error", "--state-dir=" + b.bed.MkdirFor("nobody", name+"-state", 0o700)},
	})
}

func (b *bench) scaleOf(n int, blackbox string, tables *scaleTables) error {
	own, err := newTargets(oneInHangs)
	if err != nil {
		return err
	}
	defer own.close()
	others, err := newTargets(oneInHangs)
	if err != nil {
		return err
	}
	defer others.close()

	few := b.exporterOf(2, own, fmt.Sprintf("exporter-idle-%d", n)) // the first target hangs, the second greets
	exporter := b.exporterOf(n, own, fmt.Sprintf("exporter-%d", n))
	defer exporter.Stop()
	probes := b.blackbox(blackbox, fmt.Sprintf("blackbox-%d", n))
	defer probes.server.Stop()

	ctx, cancel := context.WithCancel(context.Background())
	probing := make(chan struct{})
	go func() {
		defer close(probing)
		paced(ctx, n, lookInterval, func(i int) { probes.probe(others.address(i)) })
	}()
	defer func() { cancel(); <-probing }()

	fmt.Fprintf(os.Stderr, "belfry_bench: %d checks, %s\n", n, b.scaleTime+lookInterval*3/2)
	time.Sleep(lookInterval * 3 / 2)
	alone, err := usageOf(few.PID())
	if err != nil {
		return err
	}
	few.Stop()
	w, err := b.watch(exporter, probes, n)
	if err != nil {
		return err
	}
	if err := b.scrapes(n, exporter, w, tables.scrape); err != nil {
		return err
	}
	w.report(n, alone, tables)
	return nil
}

// window is what was seen of both programs from the end of the warm-up on.
type window struct {
	exporter, blackbox []usage // at each sample
	first, last        scraped
	scrapes            int
	wrong              int
	probes, mistaken   int64
	perScrape          time.Duration // CPU
}

// watch samples both programs while the looks go on.
func (b *bench) watch(exporter *testbed.Exporter, probes *blackbox, n int) (*window, error) {
	w := &window{}
	var err error
	if w.first, err = scrapeOf(exporter.URL() + "/metrics"); err != nil {
		return nil, err
	}
	asked, mistaken := probes.asked.Load(), probes.mistaken.Load()
	goroutines, theirs := w.first.goroutines(), 0
	end, nextScrape := time.Now().Add(b.scaleTime), time.Now()
	for {
		u, err := usageOf(exporter.PID())
		if err != nil {
			return nil, err
		}
		v, err := usageOf(probes.server.PID())
		if err != nil {
			return nil, err
		}
		u.goroutines, v.goroutines = goroutines, theirs
		w.exporter, w.blackbox = append(w.exporter, u), append(w.blackbox, v)
		if time.Now().After(end) {
			break
		}
		if time.Now().After(nextScrape) {
			nextScrape = nextScrape.Add(scrapeInterval)
			s, err := scrapeOf(exporter.URL() + "/metrics")
			if err != nil {
				return nil, err
			}
			w.scrapes++
			w.last = s
			goroutines = s.goroutines()
			w.wrong = max(w.wrong, s.wrong(n))
			other, err := scrapeOf(probes.url + "/metrics")
			if err != nil {
				return nil, err
			}
			theirs = other.goroutines()
		}
		time.Sleep(sampleInterval)
	}
	if w.last, err = scrapeOf(exporter.URL() + "/metrics"); err != nil {
		return nil, err
	}
	w.probes, w.mistaken = probes.asked.Load()-asked, probes.mistaken.Load()-mistaken
	return w, nil
}

// scrapes compares a scrape with one of a bare registry.
func (b *bench) scrapes(n int, exporter *testbed.Exporter, w *window, s *section) error {
	port := b.bed.Port()
	address := "127.0.0.1:" + strconv.Itoa(port)
	text := b.bed.WriteFileFor("nobody", fmt.Sprintf("series-%d", n), string(w.last.text), 0o644)
	bare := b.bed.Program("nobody", fmt.Sprintf("registry-%d", n), []string{b.bed.Build("./testbed/belfry_bench/baseline/registry"), text, address}, func() error {
		_, err := scrapeOf("http://" + address + "/metrics")
		return err
	})
	defer bare.Stop()
	for _, encoding := range []string{"gzip", "identity"} {
		urls := []string{exporter.URL() + "/metrics", "http://" + address + "/metrics"}
		pids := []int{exporter.PID(), bare.PID()}
		var wall, cpu [2][]time.Duration
		size := 0
		for range scrapePairs {
			for i := range urls {
				before, err := usageOf(pids[i])
				if err != nil {
					return err
				}
				started := time.Now()
				if size, err = read(urls[i], encoding); err != nil {
					return err
				}
				wall[i] = append(wall[i], time.Since(started))
				after, err := usageOf(pids[i])
				if err != nil {
					return err
				}
				cpu[i] = append(cpu[i], after.cpu-before.cpu)
			}
		}
		r := ratio(wall[0], wall[1])
		s.row("| %d | %d | %s, %.1f MB | %s | %s | %.2f | %s | %s | %s |", n, w.last.series, encoding, float64(size)/1e6,
			ms(median(wall[0])), ms(median(wall[1])), r, within(r, goalScrape), ms(mean(cpu[0])), ms(mean(cpu[1])))
		if encoding == "gzip" {
			w.perScrape = mean(cpu[0])
		}
	}
	return nil
}

func mean(all []time.Duration) time.Duration {
	var sum time.Duration
	for _, d := range all {
		sum += d
	}
	return sum / time.Duration(max(len(all), 1))
}

func (w *window) report(n int, alone usage, t *scaleTables) {
	half, most, all, looks := w.last.delay(w.first)
	t.delay.row("| %d | %.0f | %s | %s | %s | %s | %d |", n, looks, seconds(half), seconds(most), seconds(all), within(all, goalDelay), w.wrong)
	for _, what := range []struct {
		name string
		of   func(usage) float64
		unit string
	}{
		{"goroutines", func(u usage) float64 { return float64(u.goroutines) }, "%.0f"},
		{"descriptors", func(u usage) float64 { return float64(u.descriptors) }, "%.0f"},
		{"resident memory", func(u usage) float64 { return float64(u.resident) / (1 << 20) }, "%.1f MiB"},
	} {
		third := len(w.exporter) / 3
		first, last := average(w.exporter[:third], what.of), average(w.exporter[len(w.exporter)-third:], what.of)
		t.flat.row("| %d | %s | "+what.unit+" | "+what.unit+" | %.2f | %s |", n, what.name, first, last, last/first, within(last/first, goalFlat))
	}
	begin, end := w.exporter[0], w.exporter[len(w.exporter)-1]
	ours := (end.cpu - begin.cpu - time.Duration(w.scrapes)*w.perScrape).Seconds() / looks
	resident := median(mapped(w.exporter, func(u usage) int64 { return u.resident }))
	t.cost.row("| %d | belfry_exporter | %.0f µs | 1.00 | %.1f MiB | %.1f KiB | %.0f | %.0f |", n, ours*1e6, float64(resident)/(1<<20), float64(resident-alone.resident)/1024/float64(n),
		maximum(w.exporter, func(u usage) float64 { return float64(u.goroutines) }), maximum(w.exporter, func(u usage) float64 { return float64(u.descriptors) }))
	begin, end = w.blackbox[0], w.blackbox[len(w.blackbox)-1]
	theirs := (end.cpu - begin.cpu).Seconds() / float64(w.probes)
	t.cost.row("| %d | blackbox_exporter, %d probes, %d mistaken | %.0f µs | %.2f | %.1f MiB | | %.0f | %.0f |", n, w.probes, w.mistaken, theirs*1e6, theirs/ours,
		float64(median(mapped(w.blackbox, func(u usage) int64 { return u.resident })))/(1<<20),
		maximum(w.blackbox, func(u usage) float64 { return float64(u.goroutines) }), maximum(w.blackbox, func(u usage) float64 { return float64(u.descriptors) }))
}

func seconds(s float64) string {
	if math.IsInf(s, 1) {
		return "more than a minute"
	}
	return strconv.FormatFloat(s, 'g', -1, 64) + " s"
}

func mapped[A, B any](all []A, f func(A) B) []B {
	out := make([]B, len(all))
	for i, a := range all {
		out[i] = f(a)
	}
	return out
}

func maximum(all []usage, f func(usage) float64) float64 { return slices.Max(mapped(all, f)) }

func average(all []usage, f func(usage) float64) float64 {
	sum := 0.0
	for _, u := range all {
		sum += f(u)
	}
	return sum / float64(len(all))
}
