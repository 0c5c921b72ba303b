package backup

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
)

// listFile writes what a tool said an hour before the look.
func listFile(t testing.TB, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "list")
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// judged parses what a tool said and judges it at a time.
func judged(t testing.TB, parse func() ([]set, []string, error), at time.Time) string {
	t.Helper()
	sets, _, err := parse()
	if err != nil {
		return err.Error()
	}
	return firstLine(look(t, &listing{sets: sets}, at))
}

func edited(t testing.TB, name string, pairs ...string) string {
	t.Helper()
	got := strings.NewReplacer(pairs...).Replace(recorded(t, name))
	if got == recorded(t, name) {
		t.Fatalf("nothing of %q is in %s", pairs, name)
	}
	return got
}

func walgParsed(output string) func() ([]set, []string, error) {
	return func() ([]set, []string, error) {
		one, notes, err := parseWALG([]byte(output))
		one.name = "wal-g"
		return []set{one}, notes, err
	}
}

// TestWALG judges recorded output of wal-g 3.0 (made by a run of it) and the
// shapes that other versions print.
func TestWALG(t *testing.T) {
	t.Parallel()
	ended := time.Date(2026, 11, 21, 0, 29, 39, 668682000, time.UTC)
	good := recorded(t, "walg-backup-list.json")
	element := strings.Trim(strings.TrimSpace(good), "[]")
	delta := strings.NewReplacer("base_000000010000000000000023", "base_000000010000000000000027_D_000000010000000000000023",
		"00:29:39.668682Z", "02:29:39.668682Z", "00:29:38.003429Z", "02:29:38.003429Z").Replace(element)
	text := recorded(t, "walg-backup-list.txt")
	for _, test := range []struct {
		name, output string
		at           time.Time
		want         string
	}{
		{"good", good, ended.Add(3 * hour), "BACKUP OK: wal-g: last backup 3 h ago (full, 154 MiB), 1 backup"},
		{"a copy of the bucket renews time, not finish_time", edited(t, "walg-backup-list.json", `"time":"2026-11-21T00:29:39.676635735Z"`, `"time":"2026-11-24T00:29:39Z"`), ended.Add(72 * hour),
			"BACKUP CRITICAL: wal-g: last good backup's age 3 d (above 2 d 1 h), base_000000010000000000000023 ended 2026-11-21 00:29 UTC"},
		{"modification_time", edited(t, "walg-backup-list.json", `"time":"2026-11-21T00:29:39.676635735Z"`, `"creation_time":"2026-11-24T00:29:39Z","modification_time":"2026-11-24T00:29:39Z"`), ended.Add(hour),
			"BACKUP OK: wal-g: last backup 60 min ago (full, 154 MiB), 1 backup"},
		{"without --detail", `[{"backup_name":"base_000000010000000000000023","time":"2026-11-21T00:29:39Z","wal_file_name":"000000010000000000000023","storage_name":"default"}]`, ended,
			"backup base_000000010000000000000023: it has no finish_time, and a copy renews the object's own time: list with --detail"},
		{"delta", "[" + element + "," + delta + "]", ended.Add(3 * hour), "BACKUP OK: wal-g: last backup 60 min ago (delta, 154 MiB), 2 backups"},
		{"delta, newest first", "[" + delta + "," + element + "]", ended.Add(3 * hour), "BACKUP OK: wal-g: last backup 60 min ago (delta, 154 MiB), 2 backups"},
		{"delta of which the base is gone", "[" + delta + "]", ended.Add(3 * hour),
			"BACKUP CRITICAL: wal-g: no good backup: base_000000010000000000000027_D_000000010000000000000023 ended 2026-11-21 02:29 UTC: it builds on base_000000010000000000000023, which the storage does not have: it cannot be restored"},
		{"permanent", edited(t, "walg-backup-list.json", `"is_permanent":false`, `"is_permanent":true`), ended, "BACKUP OK: wal-g: last backup 0 s ago (full permanent, 154 MiB), 1 backup"},
		{"of a former database too", "[" + element + "," + strings.NewReplacer("7710409671724037116", "18446744073709551615", "21T00:29:3", "20T00:29:3").Replace(element) + "]", ended,
			"BACKUP OK: wal-g: last backup 0 s ago (full, 154 MiB), 1 backup"},
		{"none", "[]", ended, "BACKUP CRITICAL: wal-g: no backup: wal-g lists none"},
		{"null", "null\n", ended, "BACKUP CRITICAL: wal-g: no backup: wal-g lists none"},
		{"nothing", "", ended, "BACKUP CRITICAL: wal-g: no backup: wal-g lists none"},
		{"none, by the logger", "INFO: 2020/10/12 10:05:06.000000 No backups found\n", ended, "BACKUP CRITICAL: wal-g: no backup: wal-g lists none"},
		{"logger before the JSON", "INFO: 2020/10/12 10:05:06.000000 List backups from storages: [default]\n" + good, ended, "BACKUP OK: wal-g: last backup 0 s ago (full, 154 MiB), 1 backup"},
		{"another error", "ERROR: 2020/10/12 10:05:06.000000 something\n", ended, "no JSON in it"},
		{"text with --detail", text, ended.Add(hour), "BACKUP OK: wal-g: last backup 60 min ago (full), 1 backup"},
		{"text with --detail, logger before", "INFO: 2026/11/21 10:05:06.000000 x\n" + text, ended.Add(hour), "BACKUP OK: wal-g: last backup 60 min ago (full), 1 backup"},
		{"text without --detail", "name                          modified             wal_segment_backup_start\nbase_000000010000000000000023 2026-11-21T00:29:39Z 000000010000000000000023\n", ended, "it has no finish_time"},
		{"text without --detail, other word", "name last_modified wal_segment_backup_start\nbase_000000010000000000000023 2026-11-21T00:29:39Z 000000010000000000000023\n", ended, "it has no finish_time"},
		{"text, rows on one line", strings.TrimSuffix(text, "\n") + strings.SplitN(text, "\n", 2)[1], ended, "two backups on one line"},
		{"text with a row cut off", text[:len(text)-60], ended, "columns of"},
		{"text, header alone", "name modified wal_segment_backup_start\n", ended, "BACKUP CRITICAL: wal-g: no backup: the list is empty"},
		{"wal-e", recorded(t, "wale-backup-list.txt"), ended.Add(hour), "BACKUP OK: wal-g: last backup 60 min ago (full), 2 backups"},
		{"wal-e, header alone", "name\tlast_modified\texpanded_size_bytes\twal_segment_backup_start\n", ended, "BACKUP CRITICAL: wal-g: no backup: the list is empty"},
		{"wal-e without a zone", "name\tlast_modified\texpanded_size_bytes\nbase_x\t2026-11-21T00:29:39\t\n", ended.Add(hour), "BACKUP OK: wal-g: last backup 60 min ago (full), 1 backup"},
		{"no time", edited(t, "walg-backup-list.json", `"finish_time":"2026-11-21T00:29:39.668682Z"`, `"finish_time":"0001-01-01T00:00:00Z"`), ended, "it has no finish_time"},
		{"wrong time", edited(t, "walg-backup-list.json", `"finish_time":"2026-11-21T00:29:39.668682Z"`, `"finish_time":"yesterday"`), ended, "unexpected JSON"},
		{"no name", `[{"finish_time":"2026-11-21T00:29:39Z"}]`, ended, "a backup has no name"},
		{"object", `{"error":"x"}`, ended, "unexpected JSON"},
		{"cut off", good[:200], ended, "the JSON ends early"},
	} {
		if got := judged(t, walgParsed(test.output), test.at); got != test.want && !(strings.Contains(got, test.want) && !strings.HasPrefix(got, "BACKUP")) {
			t.Errorf("%s:\n got %s\nwant %s", test.name, got, test.want)
		}
	}
}

// TestBarman judges recorded output of Barman 3.4.
func TestBarman(t *testing.T) {
	t.Parallel()
	ended := time.Unix(1795221077, 0)
	list := recorded(t, "barman-list-backup.json")
	add := func(element string) string { return strings.Replace(list, "[{", "["+element+",{", 1) }
	for _, test := range []struct {
		name    string
		outputs []string
		wanted  []string
		at      time.Time
		want    string
	}{
		{"good", []string{list}, nil, ended.Add(3 * hour), "BACKUP OK: flectra: last backup 3 h ago (base, 82.3 MiB), 1 backup"},
		{"and its checks", []string{list, recorded(t, "barman-check.json")}, []string{"flectra"}, ended, "BACKUP OK: flectra: last backup 0 s ago (base, 82.3 MiB), 1 backup"},
		{"checks failed", []string{recorded(t, "barman-check-failed.json"), list}, []string{"all"}, ended,
			"BACKUP CRITICAL: flectra: barman check says: FAILED: failed_backups (there are 1 failed backups), receive_wal_running (See the Barman log file for more details)"},
		{"checks alone", []string{recorded(t, "barman-check.json")}, nil, ended, "BACKUP UNKNOWN: flectra: list the backups of flectra: its checks are there and its list of backups is not: add the output of 'barman -f json list-backup'"},
		{"old", []string{list}, nil, ended.Add(26 * hour), "BACKUP WARNING: flectra: last good backup's age 26 h (above 25 h), 20261121T003115 ended 2026-11-21 00:31 UTC"},
		{"newest failed", []string{add(`{"backup_id":"20261121T013115","status":"FAILED","end_time_timestamp":null,"size_bytes":null}`)}, nil, ended.Add(2 * hour),
			"BACKUP CRITICAL: flectra: 20261121T013115 ended 2026-11-21 01:31 UTC: it failed (see Barman's log); the last good one is 20261121T003115 ended 2026-11-21 00:31 UTC"},
		{"failed before", []string{add(`{"backup_id":"20261121T002448","status":"FAILED"}`)}, nil, ended, "BACKUP OK: flectra: last backup 0 s ago (base, 82.3 MiB), 1 backup"},
		{"running", []string{add(`{"backup_id":"20261121T013115","status":"STARTED"}`)}, nil, ended.Add(2 * hour), "BACKUP OK: flectra: last backup 2 h ago (base, 82.3 MiB), 1 backup, another is being made"},
		{"just begun", []string{add(`{"backup_id":"20261121T013115","status":"EMPTY"}`)}, nil, ended.Add(2 * hour), "BACKUP OK: flectra: last backup 2 h ago (base, 82.3 MiB), 1 backup, another is being made"},
		{"runs for more than a day", []string{strings.ReplaceAll(add(`{"backup_id":"20261121T013115","status":"STARTED"}`), "1795221077", "1795280000")}, nil, time.Unix(1795280000, 0).Add(9 * hour),
			"BACKUP WARNING: flectra: running 24 h 22 min (above 24 h), 20261121T003115 ended 2026-11-21 16:53 UTC"},
		{"killed before, nobody tidied up", []string{add(`{"backup_id":"20261121T002448","status":"STARTED"}`)}, nil, ended, "BACKUP OK: flectra: last backup 0 s ago (base, 82.3 MiB), 1 backup"},
		{"waits for WAL", []string{strings.Replace(list, "DONE", "WAITING_FOR_WALS", 1)}, nil, ended.Add(time.Minute), "BACKUP CRITICAL: flectra: no backup: Barman lists none, one is being made"},
		{"waits for WAL for long", []string{strings.Replace(list, "DONE", "WAITING_FOR_WALS", 1)}, nil, ended.Add(2 * hour),
			"BACKUP CRITICAL: flectra: no good backup: 20261121T003115 ended 2026-11-21 00:31 UTC: it waits for WAL that was not archived: it cannot be restored"},
		{"incremental", []string{strings.Replace(list, `"backup_id"`, `"backup_type":"incremental","backup_id"`, 1)}, nil, ended, "BACKUP OK: flectra: last backup 0 s ago (incremental, 82.3 MiB), 1 backup"},
		{"empty", []string{`{"main": []}`}, nil, ended, "BACKUP CRITICAL: main: no backup: Barman lists none"},
		{"no server", []string{`{}`}, nil, ended, "BACKUP CRITICAL: barman: no backup: Barman knows no server"},
		{"not the server", []string{list}, []string{"zulip"}, ended, "BACKUP CRITICAL: zulip: Barman knows no such server"},
		{"twice", []string{list, list}, nil, ended, "the backups of server flectra stand there twice"},
		{"status that nobody knows", []string{strings.Replace(list, "DONE", "FINE", 1)}, nil, ended, `has the status "FINE"`},
		{"no end", []string{strings.Replace(list, `"1795221077"`, "null", 1)}, nil, ended, "its end null is no time"},
		{"a number", []string{strings.Replace(list, `"1795221077"`, "1795221077", 1)}, nil, ended, "BACKUP OK: flectra: last backup 0 s ago (base, 82.3 MiB), 1 backup"},
		{"null", []string{`{"main": null}`}, nil, ended, "neither a list of backups nor one of checks"},
		{"array", []string{`[]`}, nil, ended, "unexpected JSON"},
	} {
		got := judged(t, func() ([]set, []string, error) {
			var all []barmanServer
			for _, output := range test.outputs {
				servers, _, err := parseBarman([]byte(output), time.UTC, test.at)
				if err != nil {
					return nil, nil, err
				}
				all = append(all, servers...)
			}
			sets, err := barmanSets(all, test.wanted)
			return sets, nil, err
		}, test.at)
		if got != test.want && !(strings.Contains(got, test.want) && !strings.HasPrefix(got, "BACKUP")) {
			t.Errorf("%s:\n got %s\nwant %s", test.name, got, test.want)
		}
	}
}

// TestRestic judges recorded output of restic 0.14 and the fields that 0.17
// adds.
func TestRestic(t *testing.T) {
	t.Parallel()
	began := time.Date(2026, 11, 21, 0, 30, 30, 0, time.UTC)
	list := recorded(t, "restic-snapshots.json")
	for _, test := range []struct {
		name, output, by string
		at               time.Time
		want             string
	}{
		{"two paths", list, defaultGroupBy, began.Add(3 * hour), "BACKUP OK: 2 sets of backups, oldest vm:/srv/backup/mon16_1.zip: last backup 2 h 59 min ago (snapshot), 1 backup"},
		{"by host", list, "host", began.Add(3*hour + time.Second), "BACKUP OK: vm: last backup 3 h ago (snapshot), 2 backups"},
		{"by tags", list, "tags", began.Add(3*hour + time.Second), "BACKUP OK: 2 sets of backups, oldest daily,odoo: last backup 3 h ago (snapshot), 1 backup"},
		{"a fresh one does not hide a stale one", edited(t, "restic-snapshots.json", "21T00:30:30.878349884Z", "24T00:30:30.878349884Z"), defaultGroupBy, began.Add(72 * hour),
			"BACKUP CRITICAL: vm:/srv/backup/mon16_1.zip: last good backup's age 2 d 23 h (above 2 d 1 h), 3b707c00 ended 2026-11-21 00:30 UTC"},
		{"since 0.17", edited(t, "restic-snapshots.json", `"tags":["odoo"],`, `"summary":{"backup_start":"2026-11-21T00:30:30.878349884Z","backup_end":"2026-11-21T01:30:30.878349884Z","total_bytes_processed":69048540,"data_added":1},`), defaultGroupBy, began.Add(3 * hour),
			"BACKUP OK: 2 sets of backups, oldest vm:/srv/backup/mon16_1.zip: last backup 2 h 59 min ago (snapshot), 1 backup"},
		{"in groups", `[{"group_key":{"hostname":"vm","paths":["/x"],"tags":null},"snapshots":` + list + `}]`, "host", began.Add(3*hour + time.Second), "BACKUP OK: vm: last backup 3 h ago (snapshot), 2 backups"},
		{"no time", edited(t, "restic-snapshots.json", `"time"`, `"date"`), defaultGroupBy, began, "has no id or no time"},
		{"wrong time", edited(t, "restic-snapshots.json", `"2026-11-21T00:30:30.235498144Z"`, `1795221077`), defaultGroupBy, began, "unexpected JSON"},
		{"null in it", `[null]`, defaultGroupBy, began, "has no id or no time"},
		{"text", `Fatal: unable to open config file`, defaultGroupBy, began, "no JSON in it"},
		{"cut off", list[:100], defaultGroupBy, began, "the JSON ends early"},
	} {
		got := judged(t, func() ([]set, []string, error) {
			snapshots, _, err := parseRestic([]byte(test.output))
			if err != nil {
				return nil, nil, err
			}
			sets, err := resticSets(snapshots, strings.Split(test.by, ","))
			return sets, nil, err
		}, test.at)
		if got != test.want && !(strings.Contains(got, test.want) && !strings.HasPrefix(got, "BACKUP")) {
			t.Errorf("%s:\n got %s\nwant %s", test.name, got, test.want)
		}
	}
}

// TestBorg judges recorded output of Borg 1.2.
func TestBorg(t *testing.T) {
	t.Parallel()
	ended := time.Date(2026, 11, 21, 0, 30, 37, 0, time.UTC)
	list, info := recorded(t, "borg-list.json"), recorded(t, "borg-info-last.json")
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	one := func(fields string) string {
		return `{"archives":[{` + fields + `}],"repository":{"location":"/srv/borg"}}`
	}
	for _, test := range []struct {
		name, output string
		zone         *time.Location
		at           time.Time
		want         string
	}{
		{"list", list, time.UTC, ended.Add(3 * hour), "BACKUP OK: odoo: last backup 3 h ago (archive), 2 backups"},
		{"info", info, time.UTC, ended.Add(3 * hour), "BACKUP OK: vm:odoo: last backup 3 h ago (archive, 1.25 MiB), 1 backup"},
		{"local time", list, berlin, ended.Add(3 * hour), "BACKUP OK: odoo: last backup 4 h ago (archive), 2 backups"},
		{"with a zone", strings.ReplaceAll(list, "37.000000", "37.000000+00:00"), berlin, ended.Add(3 * hour), "BACKUP OK: odoo: last backup 3 h ago (archive), 2 backups"},
		{"wrong zone", list, time.FixedZone("", -5*3600), ended.Add(3 * hour), "BACKUP UNKNOWN: odoo: last good backup's age: 2026-11-21T05:30:37Z lies 2 h in the future"},
		{"hosts with numbers", strings.NewReplacer("odoo-2026-11-21T00:30:36", "db1-2026-11-18T00:30:36", `"start": "2026-11-21T00:30:36`, `"start": "2026-11-18T00:30:36`, "odoo-", "db2-").Replace(list), time.UTC, ended,
			"BACKUP CRITICAL: db1: last good backup's age 3 d (above 2 d 1 h), db1-2026-11-18T00:30:36 ended 2026-11-18 00:30 UTC"},
		{"being made", one(`"name":"zulip-2026-11-21.checkpoint","start":"2026-11-20T22:30:37","end":"2026-11-21T00:30:37","hostname":"vm"`), time.UTC, ended.Add(10 * time.Minute),
			"BACKUP CRITICAL: vm:zulip: no backup: the repository has no finished archive of it, one is being made"},
		{"interrupted", one(`"name":"zulip-2026-11-21.checkpoint.1","start":"2026-11-20T22:30:37","end":"2026-11-21T00:30:37","hostname":"vm"`), time.UTC, ended.Add(2 * hour),
			"BACKUP CRITICAL: vm:zulip: no good backup: zulip-2026-11-21.checkpoint.1 ended 2026-11-21 00:30 UTC: it was interrupted: a checkpoint is all there is of it"},
		{"without archives", recorded(t, "borg-info.json"), time.UTC, ended, "no archives in it: 'borg info' of a repository needs --last or --glob-archives"},
		{"no name", one(`"start":"2026-11-20T22:30:37"`), time.UTC, ended, "has no name or no time"},
		{"no time", one(`"name":"x"`), time.UTC, ended, "has no name or no time"},
		{"wrong time", one(`"name":"x","start":"Sat, 2026-11-21"`), time.UTC, ended, `"Sat, 2026-11-21" is no time`},
		{"cut off", list[:300], time.UTC, ended, "the JSON ends early"},
	} {
		got := judged(t, func() ([]set, []string, error) {
			sets, _, err := parseBorg([]byte(test.output), test.zone, test.at)
			return sets, nil, err
		}, test.at)
		if got != test.want && !(strings.Contains(got, test.want) && !strings.HasPrefix(got, "BACKUP")) {
			t.Errorf("%s:\n got %s\nwant %s", test.name, got, test.want)
		}
	}
}

// judgedSafely judges whatever a parser made of an input: no defect, and
// nothing is OK without a good backup.
func judgedSafely(t *testing.T, input string, sets []set, at time.Time) {
	t.Helper()
	r := look(t, &listing{sets: sets}, at)
	for _, row := range r.Rows {
		if row.Reason == check.Internal {
			t.Errorf("%q is judged with a defect: %s", input, row.Text)
		}
	}
	good := 0
	for _, s := range sets {
		for _, b := range s.backups {
			if b.problem == "" {
				good++
			}
			if b.ended.IsZero() {
				t.Errorf("%q has a backup %q without an end", input, b.name)
			}
		}
	}
	if r.State == check.OK && good == 0 {
		t.Errorf("%q is OK without a good backup: %s", input, lines(r))
	}
}

func FuzzWALG(f *testing.F) {
	for _, name := range []string{"walg-backup-list.json", "walg-backup-list.txt", "wale-backup-list.txt"} {
		f.Add(recorded(f, name))
	}
	f.Add("INFO: No backups found")
	f.Fuzz(func(t *testing.T, input string) {
		if one, _, err := parseWALG([]byte(input)); err == nil {
			one.name = "wal-g"
			judgedSafely(t, input, []set{one}, now())
		}
	})
}

func FuzzBarman(f *testing.F) {
	for _, name := range []string{"barman-list-backup.json", "barman-check.json", "barman-check-failed.json"} {
		f.Add(recorded(f, name))
	}
	f.Fuzz(func(t *testing.T, input string) {
		servers, _, err := parseBarman([]byte(input), time.UTC, now())
		if err != nil {
			return
		}
		if sets, err := barmanSets(servers, nil); err == nil {
			judgedSafely(t, input, sets, now())
		}
	})
}

func FuzzRestic(f *testing.F) {
	f.Add(recorded(f, "restic-snapshots.json"))
	f.Fuzz(func(t *testing.T, input string) {
		snapshots, _, err := parseRestic([]byte(input))
		if err != nil {
			return
		}
		if sets, err := resticSets(snapshots, []string{"host", "paths"}); err == nil {
			judgedSafely(t, input, sets, now())
		}
	})
}

func FuzzBorg(f *testing.F) {
	for _, name := range []string{"borg-list.json", "borg-info.json", "borg-info-last.json"} {
		f.Add(recorded(f, name))
	}
	f.Fuzz(func(t *testing.T, input string) {
		if sets, _, err := parseBorg([]byte(input), time.UTC, now()); err == nil {
			judgedSafely(t, input, sets, now())
		}
	})
}

func FuzzEnvironment(f *testing.F) {
	f.Add("export AWS_X='a b'\n# x\nRESTIC_PASSWORD=x\n")
	f.Fuzz(func(t *testing.T, input string) {
		vars, err := parseEnvironment(input, []string{"AWS_", "RESTIC_"})
		for _, v := range vars {
			if err == nil && !strings.HasPrefix(v, "AWS_") && !strings.HasPrefix(v, "RESTIC_") {
				t.Errorf("parseEnvironment(%q) lets %q through", input, v)
			}
		}
	})
}

func FuzzLocation(f *testing.F) {
	f.Add("rest:https://u:secret@host:8000/x", "4 3 0:4 / /x\\040y rw - nfs a:/b ro\n", "/x y/z")
	f.Fuzz(func(t *testing.T, given, table, path string) {
		l := parseLocation(given)
		if l.path == "" && l.host == "" && given != "" {
			t.Errorf("parseLocation(%q) = %+v; want a path or a host", given, l)
		}
		mountOf(table, path)
	})
}

func TestArchiveStem(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, want string
		checkpoint bool
	}{
		{"zulip-2026-11-21T00:30:36", "zulip", false},
		{"zulip-2026-11-21T00:30:36.123456", "zulip", false},
		{"db1-20261121T020003", "db1", false},
		{"db1.example.org-2026-11-21", "db1.example.org", false},
		{"etc-1795221077", "etc", false},
		{"etc-17", "etc", false},
		{"etc-monday", "etc", false},
		{"etc_2026-11-21_full", "etc", false},
		{"postgres15-2026.11.21", "postgres15", false},
		{"before-upgrade", "before-upgrade", false},
		{"2026-11-21T00:30:36", "archives", false},
		{"zulip-2026-11-21.checkpoint", "zulip", true},
		{"zulip-2026-11-21.checkpoint.2", "zulip", true},
	} {
		if got, checkpoint := archiveStem(test.name); got != test.want || checkpoint != test.checkpoint {
			t.Errorf("archiveStem(%q) = %q, %t; want %q, %t", test.name, got, checkpoint, test.want, test.checkpoint)
		}
	}
}

func TestLocation(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ given, text, path, host string }{
		{"/srv/restic", "/srv/restic", "/srv/restic", ""},
		{"local:/srv/restic", "local:/srv/restic", "/srv/restic", ""},
		{"file:///srv/borg", "file:///srv/borg", "/srv/borg", ""},
		{"sftp:backup@host.example:/srv/restic", "sftp:backup@host.example:/srv/restic", "", "host.example"},
		{"sftp://backup@host.example:2222//srv/restic", "sftp://backup@host.example:2222//srv/restic", "", "host.example"},
		{"ssh://u@host.example:22/./x", "ssh://u@host.example:22/./x", "", "host.example"},
		{"u@host.example:borg", "u@host.example:borg", "", "host.example"},
		{"s3:s3.amazonaws.com/bucket/x", "s3:s3.amazonaws.com/bucket/x", "", "s3:s3.amazonaws.com/bucket/x"},
		{"s3:https://s3.example/bucket/x", "s3:https://s3.example/bucket/x", "", "s3.example/bucket"},
		{"rest:https://u:secret@host.example:8000/x", "rest:https://u:***@host.example:8000/x", "", "host.example"},
		{"b2:bucket:x", "b2:bucket:x", "", "b2:bucket:x"},
		{"ssh://u:secret%zz@host/x", "ssh://u:***@host/x", "", "ssh://u:***@host/x"},
	} {
		if got := parseLocation(test.given); got != (location{test.text, test.path, test.host}) {
			t.Errorf("parseLocation(%q) = %+v; want %+v", test.given, got, location{test.text, test.path, test.host})
		}
	}
}

func TestMountOf(t *testing.T) {
	t.Parallel()
	const table = `22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
40 22 0:40 / /mnt/nas rw,relatime shared:2 - nfs4 nas:/export/backup rw,vers=4.2
41 22 0:41 / /mnt/my\040nas ro,relatime - cifs //nas/x rw
42 22 8:2 / /mnt/nas2 rw - ext4 /dev/sdb1 rw
43 42 0:43 / /mnt/nas2 rw - fuse.sshfs u@host:/x rw
garbage
`
	for _, test := range []struct {
		path string
		want mount
		far  bool
	}{
		{"/srv/x", mount{"/", "ext4", "/dev/sda1", false}, false},
		{"/mnt/nas", mount{"/mnt/nas", "nfs4", "nas:/export/backup", false}, true},
		{"/mnt/nas/a/b", mount{"/mnt/nas", "nfs4", "nas:/export/backup", false}, true},
		{"/mnt/my nas/a", mount{"/mnt/my nas", "cifs", "//nas/x", true}, true},
		{"/mnt/nas2/a", mount{"/mnt/nas2", "fuse.sshfs", "u@host:/x", false}, true},
		{"/mnt/nas3", mount{"/", "ext4", "/dev/sda1", false}, false},
	} {
		if got, ok := mountOf(table, test.path); !ok || got != test.want || got.remote() != test.far {
			t.Errorf("mountOf(%q) = %+v, %t, remote %t; want %+v, remote %t", test.path, got, ok, got.remote(), test.want, test.far)
		}
	}
	if got, ok := mountOf("", "/x"); ok {
		t.Errorf("mountOf of nothing = %+v; want none", got)
	}
}

func TestParseEnvironment(t *testing.T) {
	t.Parallel()
	got, err := parseEnvironment("# comment\nexport AWS_SECRET_ACCESS_KEY='a b'\nRESTIC_PASSWORD_FILE=/x\nLD_PRELOAD=/evil.so\nPATH=/x\n\nAWS_X=\"q=1\"\n", []string{"AWS_", "RESTIC_"})
	want := []string{"AWS_SECRET_ACCESS_KEY=a b", "RESTIC_PASSWORD_FILE=/x", "AWS_X=q=1"}
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("parseEnvironment() = %q, %v; want %q", got, err, want)
	}
	for _, text := range []string{"secret words", "=x", "A B=c"} {
		if _, err := parseEnvironment(text, nil); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("parseEnvironment(%q) = %v; want an error that does not repeat it", text, err)
		}
	}
}

// TestListFiles reads the files of all tools in one look.
func TestListFiles(t *testing.T) {
	t.Parallel()
	args := []string{
		"--json-file", listFile(t, recorded(t, "pgbackrest-info.json")),
		"--wal-g-list-file", listFile(t, recorded(t, "walg-backup-list.json")),
		"--barman-json-file", listFile(t, recorded(t, "barman-list-backup.json")),
		"--restic-json-file", listFile(t, recorded(t, "restic-snapshots.json")),
		"--borg-json-file", listFile(t, recorded(t, "borg-list.json")), "--borg-timezone", "UTC",
	}
	for i, arg := range args {
		if strings.HasPrefix(arg, "/") {
			if err := os.Chtimes(args[i], time.Time{}, now().Add(-hour)); err != nil {
				t.Fatal(err)
			}
		}
	}
	r := lookAt(t, nil, append(args, "--content", "uploads=vm:*filestore", "--min-places=1")...)
	got := lines(r)
	want := []string{"barman flectra: last good backup's age", "wal-g: last", "vm:/var/lib/odoo/filestore: last", "odoo: last", "flectra: last", "age of the list of backups 60 min", "uploads: places with a recent backup 1"}
	if r.State != check.OK || !containsAll(got, want) {
		t.Errorf("all tools: %s\n%swant OK with %q", r.State, got, want)
	}
	r = lookAt(t, nil, append(args, "--ignore", "*")...)
	if r.State != check.Unknown || !strings.Contains(lines(r), "--ignore leaves none of 6") {
		t.Errorf("with all ignored: %s, %swant UNKNOWN", r.State, lines(r))
	}
	r = lookAt(t, nil, append(args, "--expect-offsite", "odoo", "--expect-offsite", "nope")...)
	if !containsAll(lines(r), []string{"[UNKNOWN] odoo: it cannot be seen whether this machine can write or delete it", "no set matches \"nope\"; there are flectra"}) {
		t.Errorf("offsite of a file: %s", lines(r))
	}
}
