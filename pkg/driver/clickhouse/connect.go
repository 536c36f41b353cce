package clickhouse

import (
	"bytes"
	"context"
	"errors"
	"net"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2"
	chdriver "github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/prism-data-layer/prism/pkg/driver"
)

// connect makes the pool for statements and queries, on either protocol. It
// dials nothing yet.
func (s *store) connect() error {
	if _, err := driver.ReadPassword(s.options.PasswordFile); err != nil {
		return driver.UnusableOption(s.name, "password_file", err)
	}
	secure, err := s.options.TLS.Config()
	if err != nil {
		return driver.UnusableOption(s.name, "tls", err)
	}
	o := &clickhouse.Options{
		Protocol: clickhouse.Native, Addr: s.options.Addrs, TLS: secure,
		// The database is named in each statement, so that one that is not there
		// is told apart from a server that is not.
		Auth:        clickhouse.Auth{Username: s.options.Username},
		DialTimeout: s.options.DialTimeout, ReadTimeout: s.options.Timeout,
		MaxOpenConns: s.options.PoolSize, MaxIdleConns: s.options.PoolSize,
		DialStrategy: s.dialFirst,
		Compression:  &clickhouse.Compression{Method: clickhouse.CompressionNone},
	}
	if s.options.Protocol == protocolHTTP {
		o.Protocol = clickhouse.HTTP
	}
	if s.conn, err = clickhouse.Open(o); err != nil {
		return driver.UnusableOption(s.name, "addrs", err)
	}
	if s.options.Protocol == protocolHTTP {
		s.inserts = httpInserts{s}
	} else {
		s.inserts = &nativeInserts{s: s, tls: secure, idle: make(chan *nativeConn, s.options.InsertConnections)}
	}
	return nil
}

// dialFirst connects to the first server that answers. The password is read again,
// so that a changed one needs no restart.
func (s *store) dialFirst(ctx context.Context, _ int, o *clickhouse.Options, dial clickhouse.Dial) (r clickhouse.DialResult, err error) {
	own := *o
	if own.Auth.Password, err = driver.ReadPassword(s.options.PasswordFile); err != nil {
		return r, driver.UnusableOption(s.name, "password_file", err)
	}
	for _, addr := range own.Addr {
		if r, err = dial(ctx, addr, &own); err == nil || exceptionCode(err) != 0 {
			return r, err
		}
	}
	return r, unreached(err)
}

// inserts sends blocks.
type inserts interface {
	// insert returns when the server has acked the block or refused it. An
	// error that is errLost leaves open whether it is stored.
	insert(ctx context.Context, statement string, b *block) error
	close()
}

// errLost says that a block was sent, or part of it, and not answered.
var errLost = errors.New("the connection was lost before the server answered; whether the events are stored is not known")

// errUnreached says that no connection was made, so that nothing was sent.
var errUnreached = errors.New("no server was reached")

// unreached marks the error of a dial that no server has answered. One that
// hangs ends by a deadline of ours, which is not the caller's, and as if the pool
// had no connection left, which it has.
func unreached(err error) error {
	if err == nil || exceptionCode(err) != 0 {
		return err
	}
	return errors.Join(errUnreached, err)
}

// httpInserts sends a block as the body of a request.
type httpInserts struct{ s *store }

func (i httpInserts) insert(ctx context.Context, statement string, b *block) error {
	var body proto.Buffer
	columns := b.columns()
	if err := (proto.Block{Columns: len(columns), Rows: b.rows()}).EncodeRawBlock(&body, 0, columns); err != nil {
		return err
	}
	settings := clickhouse.Settings{}
	for _, setting := range i.s.insertSettings(b) {
		settings[setting.name] = setting.value
	}
	err := i.s.conn.InsertFormat(clickhouse.Context(ctx, clickhouse.WithSettings(settings)), "Native", statement, bytes.NewReader(body.Buf))
	return lostUnlessRefused(err)
}

func (i httpInserts) close() {}

// lostUnlessRefused marks what may have reached the server and was not answered.
func lostUnlessRefused(err error) error {
	var dial *net.OpError
	if err == nil || exceptionCode(err) != 0 || errors.Is(err, errUnreached) || errors.As(err, &dial) && dial.Op == "dial" {
		return err
	}
	return errors.Join(errLost, err)
}

// A setting of a statement.
type setting struct{ name, value string }

// insertSettings are what a block's statement needs.
func (s *store) insertSettings(b *block) []setting {
	var settings []setting
	if s.options.Cluster != "" {
		// Acked means that the shards have it.
		settings = append(settings, setting{"insert_distributed_sync", "1"})
	}
	if !s.layout.modern {
		return settings
	}
	return append(settings,
		setting{"max_partitions_per_insert_block", "0"}, // a block may hold events of many days
		setting{"async_insert", "0"},
		setting{"insert_deduplication_token", b.token},
		setting{"deduplicate_blocks_in_dependent_materialized_views", "1"},
	)
}

// exec runs a statement without an answer.
func (s *store) exec(ctx context.Context, statement string) error {
	return s.classify(ctx, s.conn.Exec(ctx, statement))
}

// rows runs a query and hands each row to scan.
func (s *store) rows(ctx context.Context, query string, scan func(chdriver.Rows) error) error {
	rows, err := s.conn.Query(ctx, query)
	if err != nil {
		return s.classify(ctx, err)
	}
	for rows.Next() {
		if err := scan(rows); err != nil {
			_ = rows.Close()
			return s.classify(ctx, err)
		}
	}
	_ = rows.Close()
	return s.classify(ctx, rows.Err())
}
