package redis

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
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
	TLS tlsOptions `yaml:"tls"`
	// History is how many changes a watch can go back, per namespace. Redis
	// cuts it by the piece, so some hundred more may be there.
	// Default driver.HistoryChanges; older than driver.HistoryAge go too.
	History int64 `yaml:"history"`
	// Receipts is how many are kept per namespace. Default driver.MaxReceipts.
	Receipts int64 `yaml:"receipts"`
}

// tlsOptions: enabled alone trusts what the system trusts.
type tlsOptions struct {
	Enabled    bool   `yaml:"enabled"`
	CAFile     string `yaml:"ca_file"`     // whom to trust instead of the system's list
	CertFile   string `yaml:"cert_file"`   // who we are, for servers that ask
	KeyFile    string `yaml:"key_file"`    // and its key
	ServerName string `yaml:"server_name"` // what the server's certificate is for, if not the address
}

func (o *options) check(backend string) error {
	var e *prism.Error
	wrong := func(field, message string) {
		if e == nil {
			e = prism.New(prism.ReasonInvalidConfig, "options of backend %q: %s %s", backend, field, message).WithBackend(backend)
		}
		e.Fields = append(e.Fields, prism.FieldError{Field: "options." + field, Message: message})
	}
	switch {
	case len(o.Addrs) != 1:
		wrong("addrs", "must hold the address of one server, such as [\"127.0.0.1:6379\"]")
	case !strings.HasPrefix(o.Addrs[0], "/") && !strings.Contains(o.Addrs[0], ":"):
		wrong("addrs", "must be host:port, or the path of a Unix socket")
	}
	if o.DB < 0 {
		wrong("db", "must not be negative")
	}
	if o.PoolSize < 0 {
		wrong("pool_size", "must be positive")
	}
	if o.DialTimeout < 0 {
		wrong("dial_timeout", "must be positive")
	}
	if o.Timeout < 0 {
		wrong("timeout", "must be positive")
	}
	if o.History < 0 {
		wrong("history", "must be positive")
	}
	if o.Receipts < 0 {
		wrong("receipts", "must be positive")
	}
	switch t := o.TLS; {
	case !t.Enabled && t != (tlsOptions{}):
		wrong("tls", "must be enabled for its other settings to mean anything")
	case (t.CertFile == "") != (t.KeyFile == ""):
		wrong("tls", "must have both cert_file and key_file, or neither")
	}
	if e != nil {
		return e
	}
	return nil
}

func (o *options) fill() {
	if o.PoolSize == 0 {
		o.PoolSize = 50
	}
	if o.DialTimeout == 0 {
		o.DialTimeout = 2 * time.Second
	}
	if o.Timeout == 0 {
		o.Timeout = 3 * time.Second
	}
	if o.History == 0 {
		o.History = driver.HistoryChanges
	}
	if o.Receipts == 0 {
		o.Receipts = driver.MaxReceipts
	}
}

// password reads the file anew for each connection, so that a changed password
// needs no restart.
func (o *options) password() (string, error) {
	if o.PasswordFile == "" {
		return "", nil
	}
	b, err := os.ReadFile(o.PasswordFile)
	if err != nil {
		return "", err
	}
	return strings.TrimRight(string(b), " \t\r\n"), nil
}

func (o *options) tlsConfig() (*tls.Config, error) {
	if !o.TLS.Enabled {
		return nil, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: o.TLS.ServerName}
	if c.ServerName == "" {
		c.ServerName, _, _ = strings.Cut(o.Addrs[0], ":")
	}
	if o.TLS.CAFile != "" {
		pem, err := os.ReadFile(o.TLS.CAFile)
		if err != nil {
			return nil, err
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate", o.TLS.CAFile)
		}
	}
	if o.TLS.CertFile != "" {
		cert, err := tls.LoadX509KeyPair(o.TLS.CertFile, o.TLS.KeyFile)
		if err != nil {
			return nil, err
		}
		c.Certificates = []tls.Certificate{cert}
	}
	return c, nil
}
