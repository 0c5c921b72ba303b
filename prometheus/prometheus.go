// Package prometheus makes what Prometheus and Alertmanager need of the
// catalog: alert rules by verdict, recording rules and an alert for how much
// of what users are promised is used up, and the promtool tests of both.
//
// The verdict is the check's own, so that Prometheus and Nagios cannot differ:
// a rule compares belfry_check_state with ==, and no rule applies a limit. What
// has nothing to do with a single check (the exporter is gone, results are
// frozen) stands in rules/belfry_exporter.yml, which is written by hand.
package prometheus

import (
	"github.com/belfry-monitoring/belfry/common/check"
)

// Files returns the generated files by their path below the module's root.
func Files(catalog []*check.Definition) map[string][]byte {
	return map[string][]byte{
		"prometheus/rules/belfry_checks.yml":          CheckRules(catalog),
		"prometheus/rules/belfry_burn_rate.yml":       BurnRateRules(catalog),
		"prometheus/rules/tests/belfry_checks.yml":    CheckTests(catalog),
		"prometheus/rules/tests/belfry_burn_rate.yml": BurnRateTests(catalog),
	}
}

const header = "# Generated from the definitions of the checks by \"make generate\"; do not edit.\n"

// The severities of alerts, the values of their label.
const (
	severityCritical = "critical" // somebody is woken
	severityUnknown  = "unknown"  // nobody sees whether it is fine: look into it in the morning, before the warnings
	severityWarning  = "warning"  // can wait for the morning
	severityNone     = "none"     // goes to nobody: only silences others
)

// pages is where the pages of the checks are read.
const pages = "https://github.com/belfry-monitoring/belfry/blob/main/docs/checks/"
