package discover

import (
	"context"
	_ "embed"
	"encoding/json"
	"sort"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/options"
	"github.com/belfry-monitoring/belfry/common/postgres"
)

//go:embed postgresqlfacts.sql
var pgQuery string

// pgFacts is what a server says of itself and of us.
type pgFacts struct {
	Version  string `json:"version"` // server_version
	Recovery bool   `json:"recovery"`
	Granted  bool   `json:"granted"`  // pg_read_all_stats
	Archive  string `json:"archive"`  // archive_mode
	Listable bool   `json:"listable"` // pg_ls_archive_statusdir()
}

// archives tells whether the server is one that is to archive its log: a
// standby does so only with archive_mode always.
func (f pgFacts) archives() bool { return f.Archive == "always" || f.Archive == "on" && !f.Recovery }

// postgres logs in and asks.
func (a *asker) postgres(ctx context.Context, given map[string]any) (pgFacts, error) {
	fs := pflag.NewFlagSet("discover", pflag.ContinueOnError)
	o := postgres.Flags(fs)
	if err := options.FromValues(fs, values(given)); err != nil {
		return pgFacts{}, &check.Fault{Reason: check.Config, Err: err}
	}
	servers, err := o.Servers()
	if err != nil {
		return pgFacts{}, check.PrepareFault(err)
	}
	if len(servers) != 1 {
		return pgFacts{}, check.Faultf(check.Config, "", "", "the name of the socket reads as %d servers", len(servers))
	}
	conn, err := servers[0].Connect(ctx, "belfry_exporter --discover")
	if err != nil {
		return pgFacts{}, err
	}
	defer conn.Close()
	const stage = "ask what it is of"
	answer, err := conn.QueryValue(ctx, stage, pgQuery)
	if err != nil {
		return pgFacts{}, err
	}
	return parsePgFacts(servers[0].String(), stage, answer)
}

func parsePgFacts(server, stage string, answer []byte) (pgFacts, error) {
	var f pgFacts
	if err := json.Unmarshal(answer, &f); err != nil {
		return pgFacts{}, check.Faultf(check.Data, stage, server, "not the JSON that was asked for: %w", err)
	}
	return f, nil
}

// values turns options of a configuration into those of flags.
func values(given map[string]any) []options.Value {
	var list []options.Value
	for name, value := range given {
		switch v := value.(type) {
		case string:
			list = append(list, options.Value{Name: name, Items: []string{v}})
		case []string:
			list = append(list, options.Value{Name: name, Items: v})
		}
	}
	sort.Slice(list, func(a, b int) bool { return list[a].Name < list[b].Name })
	return list
}
