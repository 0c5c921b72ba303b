package postgres

import (
	"bytes"
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// query asks by the simple query protocol: one round trip, text values. It
// reads the messages itself, because the driver's own reader shows a broken
// connection as "conn closed" and forgets why it broke.
func (c *Conn) query(ctx context.Context, sql string) (rows [][][]byte, err error) {
	stop := context.AfterFunc(ctx, func() { _ = c.raw.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	defer func() {
		if err != nil && ctx.Err() != nil {
			err = ctx.Err() // rather than that the connection was interrupted
		}
	}()
	frontend := c.pg.Frontend()
	frontend.SendQuery(&pgproto3.Query{String: sql})
	if err := frontend.Flush(); err != nil {
		return nil, err
	}
	var failed error
	for {
		message, err := frontend.Receive()
		if err != nil {
			if failed != nil {
				err = failed // a fatal error ends the connection, too
			}
			return nil, err
		}
		switch m := message.(type) {
		case *pgproto3.DataRow:
			row := make([][]byte, len(m.Values))
			for i, v := range m.Values {
				row[i] = bytes.Clone(v)
			}
			rows = append(rows, row)
		case *pgproto3.ErrorResponse:
			failed = pgconn.ErrorResponseToPgError(m)
		case *pgproto3.ReadyForQuery:
			return rows, failed
		}
	}
}
