package nats

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// options are the backend's `options:`.
type options struct {
	// Servers are addresses of one server or of the servers of one cluster,
	// such as nats://127.0.0.1:4222. Credentials never stand in them.
	Servers []string `yaml:"servers"`
	// Username is for servers with users. Its password is in PasswordFile.
	Username string `yaml:"username"`
	// PasswordFile holds the password; white space at its end does not count.
	PasswordFile string `yaml:"password_file"`
	// CredsFile holds a user's JWT and key, for servers with accounts.
	CredsFile string `yaml:"creds_file"`
	// Prefix begins all subjects and streams, so that several installations
	// can share a server. Default prism.
	Prefix string `yaml:"prefix"`
	// Timeout bounds the wait for an answer of a call without a deadline, or
	// with a later one. Default 3s.
	Timeout time.Duration `yaml:"timeout"`
	// Replicas is how many servers of a cluster keep each log. Default 1.
	Replicas int `yaml:"replicas"`
	// Events is how many persistent events are kept per namespace, and a tenth
	// more for a while. Default driver.PubSubEvents.
	Events int64 `yaml:"pubsub_events"`
	// Age is how long they are kept. Default driver.PubSubAge.
	Age time.Duration `yaml:"pubsub_age"`
	// TLS encrypts the connections.
	TLS tlsOptions `yaml:"tls"`
}

// tlsOptions: enabled alone trusts what the system trusts.
type tlsOptions struct {
	Enabled    bool   `yaml:"enabled"`
	CAFile     string `yaml:"ca_file"`     // whom to trust instead of the system's list
	CertFile   string `yaml:"cert_file"`   // who we are, for servers that ask
	KeyFile    string `yaml:"key_file"`    // and its key
	ServerName string `yaml:"server_name"` // what the server's certificate is for, if not the address
}

var validPrefix = regexp.MustCompile(`^[A-Za-z0-9_-]{1,32}$`)

func (o *options) check(backend string) error {
	var e *prism.Error
	wrong := func(field, message string) {
		if e == nil {
			e = prism.New(prism.ReasonInvalidConfig, "options of backend %q: %s %s", backend, field, message).WithBackend(backend)
		}
		e.Fields = append(e.Fields, prism.FieldError{Field: "options." + field, Message: message})
	}
	if len(o.Servers) == 0 {
		wrong("servers", "must hold an address, such as [\"nats://127.0.0.1:4222\"]")
	}
	for _, server := range o.Servers {
		if server == "" || strings.ContainsAny(server, "@, ") {
			wrong("servers", "must be addresses, each without a user or a password")
			break
		}
	}
	switch {
	case (o.Username == "") != (o.PasswordFile == ""):
		wrong("password_file", "must stand with username, or neither")
	case o.CredsFile != "" && o.Username != "":
		wrong("creds_file", "must not stand with username")
	}
	if o.Prefix != "" && !validPrefix.MatchString(o.Prefix) {
		wrong("prefix", "must be 1 to 32 letters, digits, - and _")
	}
	if o.Timeout < 0 {
		wrong("timeout", "must be positive")
	}
	if o.Replicas < 0 || o.Replicas > 5 {
		wrong("replicas", "must be 1 to 5")
	}
	if o.Events < 0 {
		wrong("pubsub_events", "must be positive")
	}
	if o.Age < 0 {
		wrong("pubsub_age", "must be positive")
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
	if o.Prefix == "" {
		o.Prefix = "prism"
	}
	if o.Timeout == 0 {
		o.Timeout = 3 * time.Second
	}
	if o.Replicas == 0 {
		o.Replicas = 1
	}
	if o.Events == 0 {
		o.Events = driver.PubSubEvents
	}
	if o.Age == 0 {
		o.Age = driver.PubSubAge
	}
}

func (o *options) password() (string, error) {
	b, err := os.ReadFile(o.PasswordFile)
	if err != nil {
		return "", err
	}
	return strings.TrimRight(string(b), " \t\r\n"), nil
}

func (o *options) tlsConfig() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: o.TLS.ServerName}
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
