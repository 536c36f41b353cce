package redis

import (
	"cmp"
	"strings"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
)

// options are the backend's `options:`.
type options struct {
	// Addrs is where the server listens, host:port or a path beginning with /
	// for a Unix socket. Exactly one: this driver speaks to a single server.
	Addrs []string `yaml:"addrs"`
	// Username is for servers with access lists. Default: the server's default user.
	Username string `yaml:"username"`
	// PasswordFile holds the password; white space at its end does not count. A
	// password itself never stands in a configuration.
	PasswordFile string `yaml:"password_file"`
	// DB is the number of the database. Default 0.
	DB int `yaml:"db"`
	// PoolSize is how many connections calls may take. Default 50.
	PoolSize int `yaml:"pool_size"`
	// DialTimeout bounds the making of a connection. Default 2s.
	DialTimeout time.Duration `yaml:"dial_timeout"`
	// Timeout bounds the wait for an answer of a call without a deadline, or
	// with a later one. Default 3s.
	Timeout time.Duration `yaml:"timeout"`
	// TLS encrypts the connections.
	TLS driver.TLSOptions `yaml:"tls"`
	// History is how many changes a watch can go back, per namespace. Redis
	// cuts it by the piece, so some hundred more may be there.
	// Default driver.HistoryChanges; older than driver.HistoryAge go too.
	History int64 `yaml:"history"`
	// Receipts is how many are kept per namespace. Default driver.MaxReceipts.
	Receipts int64 `yaml:"receipts"`
}

func (o *options) check(backend string) error {
	wrong := driver.OptionErrors{Backend: backend}
	switch {
	case len(o.Addrs) != 1:
		wrong.Wrong("addrs", "must hold the address of one server, such as [\"127.0.0.1:6379\"]")
	case !strings.HasPrefix(o.Addrs[0], "/") && !strings.Contains(o.Addrs[0], ":"):
		wrong.Wrong("addrs", "must be host:port, or the path of a Unix socket")
	}
	if o.DB < 0 {
		wrong.Wrong("db", "must not be negative")
	}
	wrong.Count("pool_size", int64(o.PoolSize))
	wrong.Duration("dial_timeout", o.DialTimeout)
	wrong.Duration("timeout", o.Timeout)
	wrong.Count("history", o.History)
	wrong.Count("receipts", o.Receipts)
	o.TLS.Check(&wrong)
	return wrong.Err()
}

func (o *options) fill() {
	o.PoolSize = cmp.Or(o.PoolSize, 50)
	o.DialTimeout = cmp.Or(o.DialTimeout, 2*time.Second)
	o.Timeout = cmp.Or(o.Timeout, 3*time.Second)
	o.History = cmp.Or(o.History, driver.HistoryChanges)
	o.Receipts = cmp.Or(o.Receipts, driver.MaxReceipts)
}
