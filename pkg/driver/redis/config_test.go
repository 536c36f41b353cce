package redis_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prism-data-layer/prism/pkg/config"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/redis"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// openFile opens the backend that a gateway's file declares.
func openFile(t *testing.T, options string) (driver.Set, error) {
	t.Helper()
	g, err := config.ParseGateway("prism.yaml", []byte("apiVersion: prism/v1\nbackends:\n  - name: r\n    driver: redis\n    options:\n"+options), config.Load{})
	if err != nil {
		return driver.Set{}, err
	}
	set, err := redis.Spec().Open(context.Background(), driver.Config{
		Name: "r", Log: slog.New(slog.DiscardHandler), Options: g.Backends[0].Options.Decode,
	})
	if err == nil {
		t.Cleanup(func() { _ = set.Store.Close() })
	}
	return set, err
}

func TestAFileDeclaresABackend(t *testing.T) {
	t.Parallel()
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("open sesame\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := openFile(t, `      addrs: [/nowhere/redis]
      username: prism
      password_file: `+password+`
      db: 3
      pool_size: 7
      dial_timeout: 1s
      timeout: 250ms
      tls: {enabled: true, server_name: redis.example}
      history: 1000
      receipts: 1000
`)
	if err != nil {
		t.Errorf("open: %v", err)
	}
}

func TestAFileIsToldWhereItIsWrong(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ options, want string }{
		{"      address: [a]\n", `prism.yaml:6:7: unknown key "address" in backends[0].options`},
		{"      addrs: [a:1]\n      pool_size: many\n", `prism.yaml:7:18:`},
		{"      addrs: [a:1]\n      dial_timeout: 5\n", `prism.yaml:7:21:`},
		{"      addrs: [a:1]\n      password: hush\n", `prism.yaml:7:7:`},
	} {
		if _, err := openFile(t, c.options); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v\nwant %s", c.options, err, c.want)
		}
	}
}

func TestOptionsThatCannotBeUsedAreAllNamed(t *testing.T) {
	t.Parallel()
	for fields, options := range map[string]string{
		"options.addrs":                     "      db: 1\n",
		"options.addrs one":                 "      {addrs: [\"a:1\", \"b:1\"], mode: standalone}\n",
		"options.addrs path":                "      {addrs: [/a, \"b:1\"]}\n",
		"options.mode":                      "      {addrs: [\"a:1\"], mode: ring}\n",
		"options.placement":                 "      {addrs: [\"a:1\"], placement: here}\n",
		"options.db cluster":                "      {addrs: [\"a:1\"], mode: cluster, db: 1}\n",
		"options.sentinel.master":           "      {addrs: [\"a:1\"], mode: sentinel}\n",
		"options.sentinel.password_file":    "      {addrs: [\"a:1\"], sentinel: {master: m, password_file: /nowhere}}\n",
		"options.sentinel without a master": "      {addrs: [\"a:1\"], sentinel: {username: u}}\n",
		"options.sentinel of a cluster":     "      {addrs: [\"a:1\"], mode: cluster, sentinel: {master: m}}\n",
		"options.addrs port":                "      addrs: [localhost]\n",
		"options.db options.pool_size options.history options.receipts": "      {addrs: [\"a:1\"], db: -1, pool_size: -1, history: -1, receipts: -1}\n",
		"options.password_file": "      {addrs: [\"a:1\"], password_file: /nowhere/password}\n",
		"options.tls off":       "      {addrs: [\"a:1\"], tls: {server_name: x}}\n",
		"options.tls ca":        "      {addrs: [\"a:1\"], tls: {enabled: true, ca_file: /nowhere/ca}}\n",
		"options.tls key":       "      {addrs: [\"a:1\"], tls: {enabled: true, cert_file: /nowhere/cert}}\n",
		"options.tls pair":      "      {addrs: [\"a:1\"], tls: {enabled: true, cert_file: /nowhere/cert, key_file: /nowhere/key}}\n",
	} {
		_, err := openFile(t, options)
		if !errors.Is(err, prism.ReasonInvalidConfig) {
			t.Errorf("%s: got %v, want INVALID_CONFIG", options, err)
			continue
		}
		var got []string
		for _, f := range prism.From(err).Fields {
			got = append(got, f.Field)
		}
		if g := strings.Join(got, " "); !strings.HasPrefix(fields, g) || g == "" {
			t.Errorf("%s: fields %q, want %q", options, g, fields)
		}
	}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
