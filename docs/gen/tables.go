package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/config"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// capabilities opens every driver and writes what its Set has. What was seen to
// work is in the matrix.
func capabilities(drivers driver.Registry) (string, error) {
	var b strings.Builder
	b.WriteString("# Capabilities\n\nWhat each driver declares. What the conformance suite saw is in [matrix.md](matrix.md).\n\n")
	sets := make([]driver.Set, len(drivers))
	for i, spec := range drivers {
		set, err := open(spec)
		if err != nil {
			return "", fmt.Errorf("open %s: %w", spec.Name, err)
		}
		sets[i] = set
	}
	b.WriteString("| capability | meaning |")
	for _, spec := range drivers {
		fmt.Fprintf(&b, " %s |", spec.Name)
	}
	b.WriteString("\n|---|---|" + strings.Repeat("---|", len(drivers)) + "\n")
	for _, c := range driver.Capabilities() {
		fmt.Fprintf(&b, "| `%s` | %s |", c.Name, c.Doc)
		for i := range sets {
			has := "–"
			if c.Has(&sets[i]) {
				has = "yes"
			}
			fmt.Fprintf(&b, " %s |", has)
		}
		b.WriteByte('\n')
	}
	b.WriteString("\n| driver | what it is | outlives the process |\n|---|---|---|\n")
	for _, spec := range drivers {
		lives := "yes"
		if spec.Volatile {
			lives = "no"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", spec.Name, spec.Doc, lives)
	}
	return b.String(), nil
}

// elsewhere are the settings of drivers whose store is a server. Nobody listens
// there: what a driver declares does not depend on it.
const elsewhere = `apiVersion: prism/v1
backends:
  - {name: clickhouse, driver: clickhouse, options: {addrs: ["127.0.0.1:1"]}}
  - {name: redis, driver: redis, options: {addrs: [/nowhere/redis]}}
  - {name: nats, driver: nats, options: {servers: ["nats://127.0.0.1:1"], timeout: 1ms}}
`

// open gives the Set of a store that is closed and gone again.
func open(spec driver.Spec) (driver.Set, error) {
	file, err := config.ParseGateway("elsewhere", []byte(elsewhere), config.Load{})
	if err != nil {
		return driver.Set{}, err
	}
	there, _ := file.Backend(spec.Name)
	dir, err := os.MkdirTemp("", "prism-docs-")
	if err != nil {
		return driver.Set{}, err
	}
	defer os.RemoveAll(dir)
	set, err := spec.Open(context.Background(), driver.Config{Name: spec.Name, Dir: dir, Clock: clock.Real(), Log: slog.New(slog.DiscardHandler), Options: there.Options.Decode})
	if err != nil {
		return set, err
	}
	return set, set.Store.Close()
}

// errorPage is the catalogue of errors.
func errorPage() string {
	var b strings.Builder
	b.WriteString("# Errors\n\nThe reason is the identity of an error: it and its code never change. `prismctl errors lookup CODE` prints one row.\n")
	b.WriteString("On the wire: the gRPC status, `google.rpc.ErrorInfo` with the reason in domain `prism`, and `prism.common.v1.Error`.\n\n")
	b.WriteString("| code | reason | gRPC status | try again | meaning | what to do |\n|---|---|---|---|---|---|\n")
	for _, i := range prism.Infos() {
		again := "no"
		if i.Retryable {
			again = "yes"
			if i.RetryAfter > 0 {
				again += ", after " + i.RetryAfter.String()
			}
		}
		fmt.Fprintf(&b, "| %s | `%s` | %s | %s | %s | %s |\n", i.Code(), string(i.Reason), i.Status, again, i.Summary, i.Fix)
	}
	return b.String()
}
