package driver

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// OptionErrors gathers what is wrong with the options of a backend, so that
// one answer names all of it: INVALID_CONFIG, a field each.
type OptionErrors struct {
	Backend string
	err     *prism.Error
}

// Wrong says of a field what it must be.
func (o *OptionErrors) Wrong(field, must string) {
	if o.err == nil {
		o.err = prism.New(prism.ReasonInvalidConfig, "options of backend %q: %s %s", o.Backend, field, must).WithBackend(o.Backend)
	}
	o.err.Fields = append(o.err.Fields, prism.FieldError{Field: "options." + field, Message: must})
}

// Count refuses a number below 0; 0 stands for the default.
func (o *OptionErrors) Count(field string, n int64) {
	if n < 0 {
		o.Wrong(field, "must be positive")
	}
}

// Duration refuses one below 0; 0 stands for the default.
func (o *OptionErrors) Duration(field string, d time.Duration) { o.Count(field, int64(d)) }

// Err is nil if nothing was wrong.
func (o *OptionErrors) Err() error {
	if o.err == nil {
		return nil
	}
	return o.err
}

// UnusableOption is the error of one that reads well and cannot be used.
func UnusableOption(backend, field string, cause error) error {
	return prism.New(prism.ReasonInvalidConfig, "options of backend %q: %s cannot be used", backend, field).
		WithBackend(backend).WithField("options."+field, "cannot be used").WithCause(cause)
}

// TLSOptions encrypt the connections to a server. Enabled alone trusts what
// the system trusts.
type TLSOptions struct {
	Enabled    bool   `yaml:"enabled"`
	CAFile     string `yaml:"ca_file"`     // whom to trust instead of the system's list
	CertFile   string `yaml:"cert_file"`   // who we are, for servers that ask
	KeyFile    string `yaml:"key_file"`    // and its key
	ServerName string `yaml:"server_name"` // what the server's certificate is for, if not the address
}

// Check tells wrong what cannot stand together.
func (t TLSOptions) Check(wrong *OptionErrors) {
	switch {
	case !t.Enabled && t != (TLSOptions{}):
		wrong.Wrong("tls", "must be enabled for its other settings to mean anything")
	case (t.CertFile == "") != (t.KeyFile == ""):
		wrong.Wrong("tls", "must have both cert_file and key_file, or neither")
	}
}

// Config reads the files; nil if not enabled.
func (t TLSOptions) Config() (*tls.Config, error) {
	if !t.Enabled {
		return nil, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, err
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate", t.CAFile)
		}
	}
	if t.CertFile != "" {
		cert, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, err
		}
		c.Certificates = []tls.Certificate{cert}
	}
	return c, nil
}

// ReadPassword reads a file that holds one; white space at its end does not
// count. Without a file there is none. Drivers read it for each connection, so
// that a changed password needs no restart.
func ReadPassword(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	return strings.TrimRight(string(b), " \t\r\n"), nil
}
