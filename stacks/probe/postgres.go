package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"

	"github.com/jackc/pgx/v5/pgconn"
)

// askPostgres signs in and asks for something, by the simple protocol.
func askPostgres(ctx context.Context, q Question) error {
	password, err := q.secret("password_file")
	if err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(q.Addr)
	if err != nil {
		return err
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return err
	}
	// The variables and files of libpq are the person's, and meant for other servers.
	config, err := pgconn.ParseConfig("sslmode=disable passfile= servicefile=")
	if err != nil {
		return err
	}
	config.Host, config.Port, config.Fallbacks = host, uint16(number), nil
	config.User, config.Database, config.Password = q.Options["username"], q.Options["database"], password
	config.TLSConfig, config.ConnectTimeout = nil, 0
	config.RuntimeParams = map[string]string{"application_name": "prismctl dev"}
	config.ValidateConnect, config.AfterConnect = nil, nil
	conn, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return refused(err)
	}
	defer conn.Close(ctx) //nolint:errcheck // it has answered
	results, err := conn.Exec(ctx, "SELECT 1").ReadAll()
	if err != nil {
		return refused(err)
	}
	if len(results) != 1 || len(results[0].Rows) != 1 || string(results[0].Rows[0][0]) != "1" {
		return errors.New("to SELECT 1 it answers something else")
	}
	return nil
}

// refused gives the server's own words.
func refused(err error) error {
	var said *pgconn.PgError
	if errors.As(err, &said) {
		return fmt.Errorf("it answers %q (%s)", said.Message, said.Code)
	}
	return plain(err)
}
