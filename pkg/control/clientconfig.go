package control

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// A ClientConfig is what an application asks of the gateway, by name and
// version.
type ClientConfig struct {
	Name      string `json:"name"`
	Version   string `json:"version,omitempty"`
	Pattern   string `json:"pattern,omitempty"` // one of the Pattern constants
	Namespace string `json:"namespace,omitempty"`

	Backend     string            `json:"backend,omitempty"`
	Options     map[string]string `json:"options,omitempty"`
	Consistency Consistency       `json:"consistency,omitzero"`
	Cache       Cache             `json:"cache,omitzero"`
	RateLimit   RateLimit         `json:"rate_limit,omitzero"`

	RegisteredAt time.Time `json:"registered_at"`
	Actor        string    `json:"actor,omitempty"`
}

// Consistency is how fresh a read must be, and how long it may take.
type Consistency struct {
	Level   string        `json:"level,omitempty"` // one of the Level constants
	Timeout time.Duration `json:"timeout,omitempty"`
}

// Cache is whether the client keeps what it reads.
type Cache struct {
	Enabled   bool          `json:"enabled,omitempty"`
	TTL       time.Duration `json:"ttl,omitempty"`
	MaxSizeMB int32         `json:"max_size_mb,omitempty"`
}

// RateLimit is the client's own bound.
type RateLimit struct {
	RequestsPerSecond int32 `json:"requests_per_second,omitempty"`
	Burst             int32 `json:"burst,omitempty"`
}

// The access patterns of a configuration.
const (
	PatternKeyValue      = "key_value"
	PatternQueue         = "queue"
	PatternPubSub        = "pubsub"
	PatternPagedReader   = "paged_reader"
	PatternTransactWrite = "transact_write"
)

// The levels of consistency.
const (
	LevelEventual         = "eventual"
	LevelStrong           = "strong"
	LevelBoundedStaleness = "bounded_staleness"
)

// patternModel is the model that a pattern works on.
func patternModel(pattern string) (model string, ok bool) {
	switch pattern {
	case PatternKeyValue:
		return "keyvalue", true
	case PatternQueue:
		return "queue", true
	case PatternPubSub:
		return "pubsub", true
	case PatternPagedReader:
		return "reader", true
	case PatternTransactWrite:
		return "transact", true
	}
	return "", false
}

// A Verdict is what is wrong and what is doubtful in a configuration, all at
// once.
type Verdict struct {
	Errors   []prism.FieldError
	Warnings []string
}

// Err is INVALID_CONFIG with every wrong field, or nil.
func (v Verdict) Err() error {
	if len(v.Errors) == 0 {
		return nil
	}
	e := prism.New(prism.ReasonInvalidConfig, "config: %s %s", v.Errors[0].Field, v.Errors[0].Message)
	e.Fields = v.Errors
	return e
}

// maxOptions bounds the options of a configuration.
const maxOptions = 64

// Check judges c. model finds the model of a namespace that the caller may know
// of; with nil the namespace is not looked up. Whether a namespace exists is
// told to nobody who may not know it: say no for those too.
func (c ClientConfig) Check(model func(namespace string) (string, bool)) Verdict {
	var v Verdict
	wrong := func(bad bool, field, message string) {
		if bad {
			v.Errors = append(v.Errors, prism.FieldError{Field: "config." + field, Message: message})
		}
	}
	doubt := func(doubtful bool, text string) {
		if doubtful {
			v.Warnings = append(v.Warnings, text)
		}
	}
	const nameRule = "must match [a-z][a-z0-9-]{0,62}"
	wrong(c.Name != "" && !prism.ValidName(c.Name), "name", nameRule)
	wrong(len(c.Version) > prism.MaxNameBytes || !printable(c.Version), "version", "must be at most 63 printable characters without @ and spaces")
	want, known := patternModel(c.Pattern)
	wrong(!known, "pattern", "must be one of key_value, queue, pubsub, paged_reader, transact_write")
	wrong(c.Namespace != "" && !prism.ValidName(c.Namespace), "namespace", nameRule)
	wrong(c.Backend != "" && !prism.ValidName(c.Backend), "backend.name", nameRule)
	wrong(len(c.Options) > maxOptions, "backend.options", "must have at most 64 entries")
	switch c.Consistency.Level {
	case "", LevelEventual, LevelStrong, LevelBoundedStaleness:
	default:
		wrong(true, "consistency.level", "must be one of eventual, strong, bounded_staleness")
	}
	wrong(c.Consistency.Timeout < 0, "consistency.timeout_ms", "must not be negative")
	wrong(c.Cache.TTL < 0, "cache.ttl_seconds", "must not be negative")
	wrong(c.Cache.MaxSizeMB < 0, "cache.max_size_mb", "must not be negative")
	wrong(c.RateLimit.RequestsPerSecond < 0, "rate_limit.requests_per_second", "must not be negative")
	wrong(c.RateLimit.Burst < 0, "rate_limit.burst", "must not be negative")

	doubt(c.Cache.Enabled && c.Cache.TTL == 0, "config.cache.ttl_seconds is 0: what is cached never grows old")
	doubt(c.Cache.Enabled && c.Consistency.Level == LevelStrong, "config.cache: a cached read is not a strong one")
	doubt(c.RateLimit.Burst > 0 && c.RateLimit.RequestsPerSecond == 0, "config.rate_limit.burst has no effect without requests_per_second")
	doubt(c.RateLimit.Burst > 0 && c.RateLimit.Burst < c.RateLimit.RequestsPerSecond, "config.rate_limit.burst is below requests_per_second: the rate is not reached")
	doubt(c.Consistency.Level == LevelBoundedStaleness && c.Consistency.Timeout == 0, "config.consistency.timeout_ms is 0: the bound of staleness is the backend's")
	if model != nil && c.Namespace != "" && prism.ValidName(c.Namespace) {
		has, ok := model(c.Namespace)
		wrong(!ok, "namespace", "must be a namespace that you may use")
		wrong(ok && known && has != want, "pattern", fmt.Sprintf("must fit the namespace, whose model is %s", has))
	}
	return v
}

// printable keeps "name@version" readable and free of control characters.
func printable(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if r <= ' ' || r == '@' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return false
		}
	}
	return true
}

// RegisterConfig stores c under its name and version. ALREADY_EXISTS if there
// is one, unless overwrite is set: then it is corrected in its place and does
// not become the latest. replaced: there was one.
func (s *Store) RegisterConfig(ctx context.Context, c ClientConfig, overwrite bool, actor string) (_ ClientConfig, replaced bool, _ error) {
	if c.Name == "" {
		return c, false, prism.InvalidField("config.name", "must not be empty")
	}
	if err := c.Check(nil).Err(); err != nil {
		return c, false, err
	}
	c.RegisteredAt, c.Actor = s.now(), actor
	body, err := seal(c)
	if err != nil {
		return c, false, prism.Internal(err)
	}
	var before int64
	err = s.writer.write(ctx, "register a configuration", func(t *tx) error {
		if err := t.row("SELECT count(*) FROM configs WHERE name = ? AND version = ?", []any{c.Name, c.Version}, &before); err != nil {
			return err
		}
		if before > 0 && !overwrite {
			return prism.New(prism.ReasonAlreadyExists, "config %q version %q already exists", c.Name, c.Version)
		}
		return t.exec(`INSERT INTO configs (name, version, pattern, namespace, body) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (name, version) DO UPDATE SET pattern = excluded.pattern, namespace = excluded.namespace, body = excluded.body`,
			c.Name, c.Version, c.Pattern, c.Namespace, body)
	}, nil)
	if err != nil {
		return ClientConfig{}, false, err
	}
	return c, before > 0, nil
}

// Config answers a configuration; an empty version asks for the one that was
// registered last. NOT_FOUND if there is none.
func (s *Store) Config(ctx context.Context, name, version string) (c ClientConfig, err error) {
	var body string
	if version == "" {
		err = s.row(ctx, "read a configuration", "SELECT body FROM configs WHERE name = ? ORDER BY id DESC LIMIT 1", []any{name}, &body)
	} else {
		err = s.row(ctx, "read a configuration", "SELECT body FROM configs WHERE name = ? AND version = ?", []any{name, version}, &body)
	}
	switch {
	case errors.Is(err, sql.ErrNoRows) && version != "":
		return c, prism.NotFound("config", name+"@"+version)
	case errors.Is(err, sql.ErrNoRows):
		return c, prism.NotFound("config", name)
	case err != nil:
		return c, err
	}
	return c, unseal("a configuration", body, &c)
}

// Configs lists every version of every configuration, by name and then in the
// order of registration; empty arguments choose all.
func (s *Store) Configs(ctx context.Context, pattern, namespace string) ([]ClientConfig, error) {
	var list []ClientConfig
	err := s.query(ctx, "list the configurations",
		`SELECT body FROM configs WHERE (?1 = '' OR pattern = ?1) AND (?2 = '' OR namespace = ?2) ORDER BY name, id`,
		[]any{pattern, namespace}, func(rows *sql.Rows) error {
			var body string
			if err := rows.Scan(&body); err != nil {
				return err
			}
			var c ClientConfig
			if err := unseal("a configuration", body, &c); err != nil {
				return err
			}
			list = append(list, c)
			return nil
		})
	return list, err
}
