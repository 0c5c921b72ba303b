// Postgres is the least program that does what check_postgres_replication_lag
// asks of a server: one connection, the session's settings, the same query.
// Arguments: a connection URL and a file with the query.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	query, err := os.ReadFile(os.Args[2])
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, os.Args[1])
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	var answer string
	if err := conn.QueryRow(ctx, string(query), pgx.QueryExecModeSimpleProtocol).Scan(&answer); err != nil {
		return err
	}
	fmt.Println("OK", len(answer))
	return nil
}
