// Package postgres opens one connection to a PostgreSQL server for one look:
// dialled afresh, each stage with a deadline of its own, read-only, with
// statement and lock timeouts, and under an application_name that says who
// looks. What goes wrong is a [check.Fault] that names stage and server. It
// holds no verdicts.
//
// Nothing of the process's environment or home reaches a connection unless it
// came by the options: neither PG* variables nor ~/.pgpass, because one
// process may look at many servers.
package postgres
