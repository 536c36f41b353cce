package config

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// Gateway is prismd's file.
type Gateway struct {
	Where
	APIVersion string         `yaml:"apiVersion" check:"required,example=prism/v1" doc:"The version of the file's form: prism/v1."`
	Kind       string         `yaml:"kind" default:"Gateway" doc:"Gateway. It may be left out."`
	Listen     Listen         `yaml:"listen" doc:"Where the gateway listens."`
	DataDir    string         `yaml:"data_dir" default:"./data" check:"inside" doc:"The folder of the embedded stores and the control store. A relative path starts at the folder of the file and stays in it."`
	Auth       Auth           `yaml:"auth" doc:"Who may call."`
	Backends   []Backend      `yaml:"backends" doc:"The stores that hold data, each with a name."`
	Namespaces []Namespace    `yaml:"namespaces" doc:"The datasets. A namespace that is not declared here can be made with prismctl."`
	Configs    []ClientConfig `yaml:"configs" doc:"Client configurations, which a session binds by name and version."`
	Limits     Limits         `yaml:"limits" doc:"What the server as a whole takes."`
	Sessions   Sessions       `yaml:"sessions" doc:"How long sessions live."`
	Drain      Drain          `yaml:"drain" doc:"How the gateway stops."`
	Log        Log            `yaml:"log" doc:"What the gateway writes to its standard error."`
	Faults     bool           `yaml:"faults" default:"false" doc:"Whether operators may do harm to backends for a while, with prismctl fault: never in production."`
	Telemetry  Telemetry      `yaml:"telemetry" doc:"Which traces are kept, and where traces, metrics and logs are sent."`
}

// Listen is where the gateway listens. All three are on loopback unless told
// otherwise.
type Listen struct {
	Where
	Data    Address `yaml:"data" default:"127.0.0.1:8980" doc:"The data API."`
	Admin   Address `yaml:"admin" default:"127.0.0.1:8981" doc:"The admin API."`
	Metrics Address `yaml:"metrics" default:"127.0.0.1:9090" doc:"Metrics, health and profiles, over HTTP."`
}

// The modes of Auth.
const (
	AuthOff      = "off"
	AuthRequired = "required"
)

// Off is the mode of what can be turned off.
const Off = "off"

// Auth says who may call.
type Auth struct {
	Where
	Mode string `yaml:"mode" enum:"off|required" default:"off" doc:"With off, everyone who can connect is the principal dev: then all addresses must be on loopback. With required, each call needs a credential."`
}

// A Backend is a running store with a name.
type Backend struct {
	Where
	Name    string  `yaml:"name" check:"required,name,example=local" doc:"The name that namespaces use."`
	Driver  string  `yaml:"driver" check:"required,example=pebble" doc:"The code that talks to this kind of store."`
	Options Options `yaml:"options" doc:"The driver's own settings; see the page of the driver."`
	Guard   Guard   `yaml:"guard" doc:"What stands around the store."`
}

// A Guard bounds the calls on a backend.
type Guard struct {
	Where
	Mode        string        `yaml:"mode" enum:"on|off" default:"on" doc:"With off, calls are only counted."`
	CallTimeout time.Duration `yaml:"call_timeout" default:"30s" check:"min=10ms,max=1h" doc:"The end of a call that has none of its own, or a later one."`
	MaxInFlight int64         `yaml:"max_in_flight" default:"4096" check:"min=1,max=1000000" doc:"Calls under way at once; one more is refused (OVERLOADED)."`
	Failures    int64         `yaml:"failures" default:"5" check:"min=1,max=1000" doc:"Calls in a row without an answer that open the breaker."`
}

// A Namespace is a declared dataset.
type Namespace struct {
	Where
	Name        string          `yaml:"name" check:"required,name,example=orders" doc:"The name that requests use."`
	Model       string          `yaml:"model" check:"required" enum:"keyvalue|cache|queue|pubsub|reader|transact|timeseries|vector|object|collections|registry" doc:"The kind of data API."`
	Backend     string          `yaml:"backend" doc:"The backend to create it on: a wish for creation. Data does not move when this changes."`
	Description string          `yaml:"description" doc:"A sentence for people."`
	Needs       Needs           `yaml:"needs" doc:"What the application asks for."`
	Limits      NamespaceLimits `yaml:"limits" doc:"What the namespace takes."`
	DefaultTTL  time.Duration   `yaml:"default_ttl" check:"min=1ms,max=3650d" doc:"The expiry of what is written without one. None if absent (a cache: 15m)."`
	MaxTTL      time.Duration   `yaml:"max_ttl" check:"min=1ms,max=3650d" doc:"The longest expiry that a request may ask for."`
	AutoCreate  bool            `yaml:"auto_create" default:"true" doc:"Of a queue namespace: whether publishing makes a topic or a queue that is not there."`
	DefaultKind string          `yaml:"default_kind" enum:"log|work" doc:"Of a queue namespace: the only kind that publishing makes. The kind that is published to if absent."`
	Retention   time.Duration   `yaml:"retention" check:"min=1ms,max=36500d" doc:"Of a namespace of time series: how long events are kept after their time. For ever if absent."`
	Access      Access          `yaml:"access" doc:"Who may use it; nobody else may."`
}

// Needs is what an application asks of a namespace.
type Needs struct {
	Where
	Durability string        `yaml:"durability" enum:"strong|relaxed" default:"strong" doc:"With strong, what is acknowledged survives a power cut. With relaxed, about the last second may be lost in one."`
	TTL        time.Duration `yaml:"ttl" check:"min=1ms,max=3650d" doc:"How long data is of use."`
	ReadRPS    int64         `yaml:"read_rps" check:"min=0" doc:"Reads per second at the peak."`
	WriteRPS   int64         `yaml:"write_rps" check:"min=0" doc:"Writes per second at the peak."`
	Size       Size          `yaml:"size" doc:"How much data there will be."`
}

// NamespaceLimits bound one namespace; zero means the server's own limit.
type NamespaceLimits struct {
	Where
	RequestRPS int64 `yaml:"request_rps" check:"min=1" doc:"Requests per second of all callers together. No limit if absent."`
	Burst      int64 `yaml:"burst" check:"min=1" doc:"Requests that may come at once. As request_rps if absent."`
	Receipts   int64 `yaml:"receipts" check:"min=1,max=100000000" default:"1000000" doc:"How many answers to idempotent calls are kept."`

	Queues       int64 `yaml:"queues" check:"min=1,max=1000000" doc:"Of a queue namespace: topics and work queues together. 10000 if absent."`
	Partitions   int64 `yaml:"partitions" check:"min=1,max=1000000" doc:"Of a queue namespace: partitions of all topics together. 100000 if absent."`
	Groups       int64 `yaml:"groups" check:"min=1,max=100000" doc:"Of a queue namespace: consumer groups of a topic. 1000 if absent."`
	MessageBytes Size  `yaml:"message_bytes" check:"min=1B,max=1MiB" doc:"Of a queue namespace: the largest payload. 1MiB if absent."`
	BufferBytes  Size  `yaml:"buffer_bytes" check:"min=64KiB,max=4GiB" doc:"Of a namespace of time series: the bytes of events that may wait for the store. 64MiB if absent."`
}

// Access says who may use a namespace.
type Access struct {
	Where
	Owners    []string   `yaml:"owners" check:"subject" doc:"Who may do everything: team:NAME, user:NAME, group:NAME or service:NAME."`
	Consumers []Consumer `yaml:"consumers" doc:"Who may do what."`
}

// A Consumer may do some things: one of service, user, team and group is given.
type Consumer struct {
	Where
	Service     string   `yaml:"service" check:"glob" doc:"The name of a service, or a pattern such as checkout.*."`
	User        string   `yaml:"user" check:"glob" doc:"The name of a person, or a pattern."`
	Team        string   `yaml:"team" check:"glob" doc:"The name of a team, or a pattern."`
	Group       string   `yaml:"group" check:"glob" doc:"The name of a group, or a pattern."`
	Permissions []string `yaml:"permissions" check:"required,example=[read]" enum:"read|write|admin" doc:"What they may do."`
}

// Subject is whom a consumer names, as kind and pattern.
func (c Consumer) Subject() (kind, pattern string) {
	switch {
	case c.Service != "":
		return "service", c.Service
	case c.User != "":
		return "user", c.User
	case c.Group != "":
		return "group", c.Group
	}
	return "team", c.Team
}

// A ClientConfig is a named and versioned configuration of clients.
type ClientConfig struct {
	Where
	Name        string      `yaml:"name" check:"required,name,example=user-profiles" doc:"The name that sessions bind."`
	Version     string      `yaml:"version" check:"version" default:"1" doc:"The version; put it in quotes. Several versions of one name may stand side by side."`
	Pattern     string      `yaml:"pattern" check:"required" enum:"keyvalue|cache|queue|pubsub|reader|transact|timeseries|vector|object|collections|registry" doc:"The model that clients use."`
	Namespace   string      `yaml:"namespace" check:"name" doc:"The namespace that clients use."`
	Backend     string      `yaml:"backend" doc:"The backend that clients expect."`
	Consistency Consistency `yaml:"consistency" doc:"How fresh a read must be."`
	Cache       ClientCache `yaml:"cache" doc:"What clients may keep."`
	RateLimit   RateLimit   `yaml:"rate_limit" doc:"How fast a client may call."`
}

// Consistency says how fresh a read must be.
type Consistency struct {
	Where
	Level   string        `yaml:"level" enum:"strong|eventual|bounded-staleness" default:"strong" doc:"The level."`
	Timeout time.Duration `yaml:"timeout" check:"max=1h" doc:"How long to wait for it."`
}

// ClientCache says what clients may keep.
type ClientCache struct {
	Where
	Enabled bool          `yaml:"enabled" doc:"Whether clients may keep anything."`
	TTL     time.Duration `yaml:"ttl" default:"5m" check:"min=1ms,max=3650d" doc:"For how long."`
	MaxSize Size          `yaml:"max_size" doc:"How much."`
}

// RateLimit bounds calls; zero means no limit.
type RateLimit struct {
	Where
	RequestRPS int64 `yaml:"request_rps" check:"min=1" doc:"Requests per second."`
	Burst      int64 `yaml:"burst" check:"min=1" doc:"Requests that may come at once."`
}

// Limits bound the server as a whole.
type Limits struct {
	Where
	MaxConcurrentStreams int64         `yaml:"max_concurrent_streams" default:"100" check:"min=1,max=100000" doc:"Open calls on one connection; more wait."`
	MaxMessageBytes      Size          `yaml:"max_message_bytes" default:"4MiB" check:"min=64KiB,max=64MiB" doc:"The largest request and the largest reply."`
	MaxHeaderBytes       Size          `yaml:"max_header_bytes" default:"16KiB" check:"min=4KiB,max=64KiB" doc:"The largest metadata of a call."`
	MaxConnections       int64         `yaml:"max_connections" default:"10000" check:"min=1,max=1000000" doc:"Open connections."`
	MaxSessions          int64         `yaml:"max_sessions" default:"100000" check:"min=1,max=10000000" doc:"Open sessions."`
	DefaultDeadline      time.Duration `yaml:"default_deadline" default:"30s" check:"min=10ms,max=1h" doc:"The deadline of a unary call that comes without one."`
	ConnectionTimeout    time.Duration `yaml:"connection_timeout" default:"10s" check:"min=100ms,max=2m" doc:"How long a connection may take to open."`
	KeepaliveTime        time.Duration `yaml:"keepalive_time" default:"30s" check:"min=1s,max=2h" doc:"How long a connection may be silent before it is asked."`
	KeepaliveTimeout     time.Duration `yaml:"keepalive_timeout" default:"10s" check:"min=100ms,max=1h" doc:"How long it may take to answer."`
}

// Sessions say how long sessions live.
type Sessions struct {
	Where
	Idle      time.Duration `yaml:"idle" default:"5m" check:"min=1s,max=24h" doc:"A session ends when it was not used for so long."`
	Max       time.Duration `yaml:"max" default:"24h" check:"min=1s,max=30d" doc:"A session ends at this age, used or not."`
	Grace     time.Duration `yaml:"grace" default:"30s" check:"max=1h" doc:"For so long after its end a session can be resumed."`
	Heartbeat time.Duration `yaml:"heartbeat" default:"30s" check:"min=100ms,max=1h" doc:"How often clients say that they are there."`
}

// Drain says how the gateway stops.
type Drain struct {
	Where
	Timeout time.Duration `yaml:"timeout" default:"10s" check:"min=0s,max=10m" doc:"How long calls in flight may take to finish; then they are cut."`
}

// Log says what the gateway writes.
type Log struct {
	Where
	Level  string `yaml:"level" enum:"debug|info|warn|error" default:"info" doc:"The least that is written."`
	Format string `yaml:"format" enum:"json|text" default:"json" doc:"The form of a line."`
}

// Telemetry says what the gateway tells of itself beside its log and its
// metrics.
type Telemetry struct {
	Where
	Traces Traces `yaml:"traces" doc:"Which calls are kept as traces."`
	OTLP   OTLP   `yaml:"otlp" doc:"Where traces, metrics and logs are sent."`
}

// Traces says which calls are kept. Those that fail always are, and those that
// their caller records.
type Traces struct {
	Where
	Mode   string        `yaml:"mode" enum:"on|off" default:"on" doc:"With off, no call is kept."`
	Slow   time.Duration `yaml:"slow" default:"250ms" check:"min=1ms,max=1h" doc:"A call that takes longer is kept."`
	Sample float64       `yaml:"sample" default:"0.01" doc:"The share of all other calls that is kept, from 0 to 1, by trace id."`
}

func (t *Traces) check(c *checks) {
	if t.Sample < 0 || t.Sample > 1 {
		c.problem(t.Where, "sample", fault{message: "must be from 0 to 1", hint: "write 0.01 for one call in a hundred"})
	}
}

// OTLP says where an OpenTelemetry collector listens.
type OTLP struct {
	Where
	Mode     string `yaml:"mode" enum:"on|off" default:"on" doc:"With off, nothing is sent."`
	Endpoint string `yaml:"endpoint" check:"collector" doc:"The collector: http://HOST:PORT, https://HOST:PORT or HOST:PORT; OTLP over gRPC. OTEL_EXPORTER_OTLP_ENDPOINT if absent; without either nothing is sent."`
}

// Drivers lists the drivers of this build, for the suggestion and so that
// prismctl, which cannot link them, judges a file as prismd does.
func Drivers() []string { return []string{"clickhouse", "memory", "nats", "pebble", "redis", "sqlite"} }

// AddedBackend judges a backend that stands in no file, with the values of its
// options as they would be written in one. Variables are not looked at: they are
// the gateway's, and whoever adds a backend is not.
func AddedBackend(name, driver string, options map[string]string, drivers []string) (Backend, error) {
	text := fmt.Sprintf("apiVersion: %s\nbackends:\n  - name: %s\n    driver: %s\n    options:\n", APIVersion, name, driver)
	for _, key := range sortedKeys(options) {
		if !optionKey.MatchString(key) || strings.ContainsAny(options[key], "\r\n") {
			return Backend{}, prism.InvalidField("options", "must be NAME=VALUE, on one line each")
		}
		text += "      " + key + ": " + options[key] + "\n"
	}
	if len(options) == 0 {
		text = strings.TrimSuffix(text, "    options:\n")
	}
	g, err := ParseGateway("options", []byte(text), Load{Drivers: drivers, Lookup: func(string) (string, bool) { return "", false }})
	if err != nil {
		return Backend{}, err
	}
	return g.Backends[0], nil
}

var optionKey = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)

// Backend finds a backend by name.
func (g *Gateway) Backend(name string) (Backend, bool) {
	for _, b := range g.Backends {
		if b.Name == name {
			return b, true
		}
	}
	return Backend{}, false
}

// Namespace finds a namespace by name.
func (g *Gateway) Namespace(name string) (Namespace, bool) {
	for _, n := range g.Namespaces {
		if n.Name == name {
			return n, true
		}
	}
	return Namespace{}, false
}

func (g *Gateway) check(c *checks) {
	g.checkListen(c)
	g.checkDataDir(c)
	backends := map[string]Pos{}
	for _, b := range g.Backends {
		unique(c, b.Where, "name", b.Name, "backend", backends)
		b.checkDriver(c)
	}
	namespaces := map[string]Pos{}
	for _, n := range g.Namespaces {
		unique(c, n.Where, "name", n.Name, "namespace", namespaces)
		refers(c, n.Where, "backend", n.Backend, backends)
		n.checkModel(c)
	}
	g.checkConfigs(c, backends, namespaces)
}

// checkDriver knows the drivers where the caller does.
func (b *Backend) checkDriver(c *checks) {
	if b.Driver != "" && !slices.Contains(c.opts.Drivers, b.Driver) && c.opts.Drivers != nil {
		c.problem(b.Where, "driver", fault{
			message:    fmt.Sprintf("unknown driver %q", b.Driver),
			suggestion: Nearest(b.Driver, c.opts.Drivers), hint: "this program has: " + strings.Join(c.opts.Drivers, ", "),
		})
	}
}

// checkModel reports what only a namespace of another model can have.
func (n *Namespace) checkModel(c *checks) {
	of := func(model string, w Where, set bool, key string) {
		if set && n.Model != model && n.Model != "" && w.Declared(key) {
			c.problem(w, key, fault{message: fmt.Sprintf("%s is for namespaces of model %s, and this is of model %s", key, model, n.Model), hint: "take it out"})
		}
	}
	of("queue", n.Where, !n.AutoCreate, "auto_create")
	of("queue", n.Where, n.DefaultKind != "", "default_kind")
	of("timeseries", n.Where, n.Retention != 0, "retention")
	l := n.Limits
	of("queue", l.Where, l.Queues != 0, "queues")
	of("queue", l.Where, l.Partitions != 0, "partitions")
	of("queue", l.Where, l.Groups != 0, "groups")
	of("queue", l.Where, l.MessageBytes != 0, "message_bytes")
	of("timeseries", l.Where, l.BufferBytes != 0, "buffer_bytes")
}

func (g *Gateway) checkConfigs(c *checks, backends, namespaces map[string]Pos) {
	configs := map[string]Pos{}
	for _, cc := range g.Configs {
		if cc.Name != "" {
			unique(c, cc.Where, "name", cc.Name+" "+cc.Version, "configuration", configs)
		}
		refers(c, cc.Where, "backend", cc.Backend, backends)
		if n, ok := g.Namespace(cc.Namespace); ok && n.Model != cc.Pattern && cc.Pattern != "" && n.Model != "" {
			c.problem(cc.Where, "pattern", fault{
				message:    fmt.Sprintf("the namespace %q is of model %s, not %s", n.Name, n.Model, cc.Pattern),
				suggestion: n.Model,
			})
		} else if near := Nearest(cc.Namespace, sortedKeys(namespaces)); !ok && near != "" {
			c.missing(cc.Where, "namespace", fault{message: fmt.Sprintf("unknown namespace %q", cc.Namespace), suggestion: near})
		}
	}
}

func (g *Gateway) checkListen(c *checks) {
	l := g.Listen
	at := []struct {
		field string
		addr  Address
	}{{"data", l.Data}, {"admin", l.Admin}, {"metrics", l.Metrics}}
	for i, a := range at {
		for _, b := range at[:i] {
			if a.addr != "" && a.addr.clashes(b.addr) {
				c.problem(l.Where, a.field, fault{message: fmt.Sprintf("the address %s is taken twice: by %s and %s", a.addr, b.field, a.field), hint: "give each its own port", doc: "addresses"})
				break
			}
		}
		if g.Auth.Mode == AuthOff && a.addr != "" && !a.addr.Loopback() {
			_, port, _ := splitAddress(a.addr.String())
			c.problem(l.Where, a.field, fault{
				message:    fmt.Sprintf("authentication is off, so %s must be on loopback, and %s is not", a.field, a.addr),
				suggestion: "127.0.0.1:" + port, hint: "or set auth.mode to required", doc: "auth",
			})
		}
	}
}

func (g *Gateway) checkDataDir(c *checks) {
	if c.opts.Dir == "" || checkInside(g.DataDir) != nil {
		return
	}
	if _, err := g.ResolveDataDir(c.opts.Dir); err != nil {
		c.problem(g.Where, "data_dir", fault{message: err.Error(), hint: "name a folder of the gateway's own", doc: "paths"})
	}
}

// ResolveDataDir gives the absolute data folder; a relative one starts at base
// and may not leave it, not through a symbolic link either. The folder need not
// be there yet.
func (g *Gateway) ResolveDataDir(base string) (string, error) {
	return resolveInside(base, g.DataDir)
}

// resolveInside joins base and path, and follows what is on the disk.
func resolveInside(base, path string) (string, error) {
	base, err := filepath.Abs(base)
	if err != nil {
		return "", err
	}
	full := path
	if !filepath.IsAbs(path) {
		if !filepath.IsLocal(path) {
			return "", fmt.Errorf("the path %q leads out of the folder of the file", path)
		}
		full = filepath.Join(base, path)
		if base, err = filepath.EvalSymlinks(base); err != nil {
			return "", fmt.Errorf("the folder of %q cannot be read", path)
		}
		if real := realPrefix(full); real != base && !strings.HasPrefix(real, base+string(filepath.Separator)) {
			return "", fmt.Errorf("the path %q leads out of the folder of the file through a symbolic link", path)
		}
	}
	if info, err := os.Stat(full); err == nil && !info.IsDir() {
		return "", fmt.Errorf("the path %q is not a folder", path)
	}
	return full, nil
}

// realPrefix resolves the links of the longest part of a path that exists. A
// link that points nowhere counts by where it points.
func realPrefix(path string) string {
	for range 40 { // as many links as Linux follows
		real, err := filepath.EvalSymlinks(path)
		if err == nil {
			return real
		}
		if target, err := os.Readlink(path); err == nil {
			if !filepath.IsAbs(target) {
				target = filepath.Join(filepath.Dir(path), target)
			}
			path = target
			continue
		}
		parent := filepath.Dir(path)
		if parent == path {
			return path
		}
		return filepath.Join(realPrefix(parent), filepath.Base(path))
	}
	return string(filepath.Separator) // a loop of links is inside nothing
}

func (n *Namespace) check(c *checks) {
	if n.MaxTTL > 0 && n.DefaultTTL > n.MaxTTL {
		c.problem(n.Where, "default_ttl", fault{message: fmt.Sprintf("default_ttl %s is longer than max_ttl %s", FormatDuration(n.DefaultTTL), FormatDuration(n.MaxTTL)), suggestion: FormatDuration(n.MaxTTL)})
	}
}

func (n *Consumer) check(c *checks) {
	given := 0
	for _, s := range []string{n.Service, n.User, n.Team, n.Group} {
		if s != "" {
			given++
		}
	}
	if given != 1 {
		f := fault{message: fmt.Sprintf("%s names %s, and must name one", n.path, plural(given, "subject")), hint: "write one of service, user, team and group", doc: "access"}
		if given == 0 {
			c.missing(n.Where, "", f)
			return
		}
		c.problem(n.Where, "", f)
	}
}

func (s *Sessions) check(c *checks) {
	if s.Idle > s.Max {
		c.problem(s.Where, "idle", fault{message: fmt.Sprintf("idle %s is longer than max %s", FormatDuration(s.Idle), FormatDuration(s.Max)), suggestion: FormatDuration(s.Max)})
	}
	if s.Heartbeat >= s.Idle && s.Idle > 0 {
		c.problem(s.Where, "heartbeat", fault{message: fmt.Sprintf("heartbeat %s is not shorter than idle %s: sessions would end between two beats", FormatDuration(s.Heartbeat), FormatDuration(s.Idle)), suggestion: FormatDuration(s.Idle / 2)})
	}
}

// unique reports a second use of a name.
func unique(c *checks, w Where, field, name, noun string, seen map[string]Pos) {
	if name == "" {
		return
	}
	if first, twice := seen[name]; twice {
		c.problem(w, field, fault{message: fmt.Sprintf("two %ss are called %q", noun, name), hint: fmt.Sprintf("the first is on line %d: rename one", first.Line)})
		return
	}
	seen[name] = w.At(field)
}

// refers reports a name that nothing has.
func refers(c *checks, w Where, field, name string, known map[string]Pos) {
	if _, ok := known[name]; ok || name == "" {
		return
	}
	f := fault{message: fmt.Sprintf("unknown %s %q", field, name), suggestion: Nearest(name, sortedKeys(known)), hint: "declare it first"}
	if len(known) > 0 {
		f.hint = "declared are: " + strings.Join(sortedKeys(known), ", ")
	}
	c.missing(w, field, f)
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
