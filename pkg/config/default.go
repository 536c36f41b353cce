package config

import "strings"

// Text of the settings that dev up uses where the project has no prism.yaml:
// one namespace per model that there is, ready to use.
const defaultGateway = `apiVersion: prism/v1
kind: Gateway
auth: {mode: off}
backends:
  - {name: volatile, driver: memory}
  - {name: local, driver: pebble}
  - {name: series, driver: sqlite}
namespaces:
  - name: kv
    model: keyvalue
    backend: local
    description: Keys and values, kept on disk.
    access: {owners: ["user:dev"]}
  - name: queue
    model: queue
    backend: local
    description: Messages to work off, kept on disk.
    default_kind: work
  - name: cache
    model: cache
    backend: volatile
    description: Values for 15 minutes, at most 64 MiB in memory.
  - name: pubsub
    model: pubsub
    backend: local
    description: Events for whoever is subscribed; persistent ones are kept on disk.
    access: {owners: ["user:dev"]}
  - name: timeseries
    model: timeseries
    backend: series
    description: Events in time, kept on disk.
`

// DefaultName is what problems and origins call the built-in settings.
const DefaultName = "built-in"

// complete gives a file that declares neither backends nor namespaces those of
// Default: it then says only where the gateway listens, or who may call.
func (g *Gateway) complete() {
	if len(g.Backends) == 0 && len(g.Namespaces) == 0 {
		d := Default()
		g.Backends, g.Namespaces = d.Backends, d.Namespaces
	}
}

// Default is the gateway that runs where there is no file.
func Default() *Gateway {
	g, err := ParseGateway(DefaultName, []byte(defaultGateway), Load{Lookup: func(string) (string, bool) { return "", false }})
	if err != nil {
		panic("config: the built-in settings are wrong: " + strings.ReplaceAll(err.Error(), "\n", "; ")) // a bug, found by any test
	}
	return g
}
