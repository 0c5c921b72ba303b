// Package check is the contract of Belfry: what a check is, what it may report
// and how a report becomes a verdict.
//
// A [Definition] says a check's name, options, metrics and findings once.
// Every face — the plugin binary, the exporter, the generated Nagios commands,
// rules and pages — is made from it. A [Look] runs a check once and returns a
// [Result]; it is the only place in which a value meets a limit, so that
// Nagios and Prometheus cannot disagree.
//
// The package needs the standard library and pflag only, and is the one
// public API of the module.
package check
