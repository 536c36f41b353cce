package nats

import (
	"cmp"
	"regexp"
	"strings"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
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
	TLS driver.TLSOptions `yaml:"tls"`
}

var validPrefix = regexp.MustCompile(`^[A-Za-z0-9_-]{1,32}$`)

func (o *options) check(backend string) error {
	wrong := driver.OptionErrors{Backend: backend}
	if len(o.Servers) == 0 {
		wrong.Wrong("servers", "must hold an address, such as [\"nats://127.0.0.1:4222\"]")
	}
	for _, server := range o.Servers {
		if server == "" || strings.ContainsAny(server, "@, ") {
			wrong.Wrong("servers", "must be addresses, each without a user or a password")
			break
		}
	}
	switch {
	case (o.Username == "") != (o.PasswordFile == ""):
		wrong.Wrong("password_file", "must stand with username, or neither")
	case o.CredsFile != "" && o.Username != "":
		wrong.Wrong("creds_file", "must not stand with username")
	}
	if o.Prefix != "" && !validPrefix.MatchString(o.Prefix) {
		wrong.Wrong("prefix", "must be 1 to 32 letters, digits, - and _")
	}
	wrong.Duration("timeout", o.Timeout)
	if o.Replicas < 0 || o.Replicas > 5 {
		wrong.Wrong("replicas", "must be 1 to 5")
	}
	wrong.Count("pubsub_events", o.Events)
	wrong.Duration("pubsub_age", o.Age)
	o.TLS.Check(&wrong)
	return wrong.Err()
}

func (o *options) fill() {
	o.Prefix = cmp.Or(o.Prefix, "prism")
	o.Timeout = cmp.Or(o.Timeout, 3*time.Second)
	o.Replicas = cmp.Or(o.Replicas, 1)
	o.Events = cmp.Or(o.Events, driver.PubSubEvents)
	o.Age = cmp.Or(o.Age, driver.PubSubAge)
}
