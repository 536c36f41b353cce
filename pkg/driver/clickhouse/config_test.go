package clickhouse_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/prism-data-layer/prism/pkg/config"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/clickhouse"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// openFile opens the backend that a gateway's file declares.
func openFile(t *testing.T, options string) error {
	t.Helper()
	g, err := config.ParseGateway("prism.yaml", []byte("apiVersion: prism/v1\nbackends:\n  - name: c\n    driver: clickhouse\n    options:\n"+options), config.Load{})
	if err != nil {
		return err
	}
	set, err := clickhouse.Spec().Open(context.Background(), driver.Config{Name: "c", Options: g.Backends[0].Options.Decode})
	if err == nil {
		err = set.Store.Close()
	}
	return err
}

func TestAFileDeclaresABackend(t *testing.T) {
	t.Parallel()
	err := openFile(t, `      addrs: ["127.0.0.1:1", "127.0.0.1:2"]
      protocol: native
      database: series
      username: prism
      tls: {enabled: true, server_name: clickhouse.example}
      cluster: main
      sharding: source
      layout: map
      dimensions: [host, http.method]
      metrics: [value]
      rollups: [1m, 1h]
      codec: lz4
      storage_policy: tiers
      tiers: [{after: 168h, volume: warm}, {after: 720h, volume: cold}]
      batch: {rows: 50000, bytes: 1000000, age: 100ms}
      insert_connections: 4
      pool_size: 8
      dedupe_ids: 1000
      receipts: 1000
      sweep: 1m
      dial_timeout: 100ms
      timeout: 1s
`)
	if err != nil {
		t.Errorf("open: %v", err)
	}
}

func TestAFileIsToldWhereItIsWrong(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ options, want string }{
		{"      hosts: [a]\n", `prism.yaml:6:7: unknown key "hosts" in backends[0].options`},
		{"      addrs: [\"a:1\"]\n      password: hush\n", `prism.yaml:7:7:`},
		{"      addrs: [\"a:1\"]\n      batch: {age: 5}\n", `prism.yaml:7:20:`},
	} {
		if err := openFile(t, c.options); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v\nwant %s", c.options, err, c.want)
		}
	}
}

func TestOptionsThatCannotBeUsedAreAllNamed(t *testing.T) {
	t.Parallel()
	for want, more := range map[string]string{
		"addrs":              "addrs: [localhost]",
		"protocol":           "protocol: tcp",
		"database":           "database: \"a`b\"",
		"cluster":            "cluster: \"a'b\"",
		"storage_policy":     "storage_policy: \"a') --\"",
		"sharding":           "sharding: rand()\ncluster: c",
		"sharding alone":     "sharding: source",
		"layout":             "layout: rows",
		"codec":              "codec: \"LZ4) --\"",
		"dimensions":         "dimensions: [\"a`b\"]",
		"dimensions twice":   "dimensions: [a.b, a-b]",
		"metrics":            "metrics: [\"\"]",
		"rollups":            "rollups: [1ms]",
		"rollups twice":      "rollups: [1m, 60s]",
		"tiers":              "tiers: [{after: 1h, volume: \"a'b\"}]\nstorage_policy: p",
		"tiers alone":        "tiers: [{after: 1h, volume: a}]",
		"batch.rows":         "batch: {rows: -1}",
		"timeout":            "timeout: -1s",
		"password_file":      "password_file: /nowhere/password",
		"tls":                "tls: {server_name: x}",
		"batch.age sweep":    "batch: {age: -1s}\nsweep: -1s",
		"insert_connections": "insert_connections: -1",
	} {
		text := "addrs: [\"127.0.0.1:1\"]\n" + more
		if strings.HasPrefix(more, "addrs") {
			text = more
		}
		err := openFile(t, "      "+strings.ReplaceAll(text, "\n", "\n      ")+"\n")
		if !errors.Is(err, prism.ReasonInvalidConfig) {
			t.Errorf("%s: got %v, want INVALID_CONFIG", more, err)
			continue
		}
		for _, f := range prism.From(err).Fields {
			if _, field, _ := strings.Cut(f.Field, "options."); !slices.Contains(strings.Fields(want), field) {
				t.Errorf("%s: field %s, want %s", more, f.Field, want)
			}
		}
	}
}
