package nats_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/nats"
	"github.com/prism-data-layer/prism/pkg/prism"
)

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestOptionsThatAreWrongAreAllNamed(t *testing.T) {
	t.Parallel()
	for text, fields := range map[string][]string{
		`{}`:            {"servers"},
		`servers: [""]`: {"servers"},
		`servers: ["nats://me:secret@127.0.0.1:1"]`:                                     {"servers"},
		`{servers: [a], username: u}`:                                                   {"password_file"},
		`{servers: [a], password_file: p}`:                                              {"password_file"},
		`{servers: [a], username: u, password_file: p, creds_file: c}`:                  {"creds_file"},
		`{servers: [a], prefix: a.b}`:                                                   {"prefix"},
		`{servers: [a], timeout: -1s, replicas: 7, pubsub_events: -1, pubsub_age: -1s}`: {"timeout", "replicas", "pubsub_events", "pubsub_age"},
		`{servers: [a], tls: {ca_file: x}}`:                                             {"tls"},
		`{servers: [a], tls: {enabled: true, cert_file: x}}`:                            {"tls"},
		`{servers: [a], tls: {enabled: true, ca_file: /nowhere}}`:                       {"tls"},
		`{servers: [a], tls: {enabled: true, cert_file: /nowhere, key_file: /nowhere}}`: {"tls"},
		`{servers: [a], username: u, password_file: /nowhere}`:                          {"password_file"},
		`{servers: ["nats://127.0.0.1:x"]}`:                                             {"servers"},
	} {
		_, err := nats.Spec().Open(t.Context(), driver.Config{Name: "b", Options: options(text)})
		e := prism.From(err)
		if !errors.Is(err, prism.ReasonInvalidConfig) || len(e.Fields) != len(fields) {
			t.Errorf("%s: %v", text, err)
			continue
		}
		for i, f := range e.Fields {
			if f.Field != "options."+fields[i] {
				t.Errorf("%s: field %s, want %s", text, f.Field, fields[i])
			}
		}
	}
	if _, err := nats.Spec().Open(t.Context(), driver.Config{Name: "b", Options: options("sever: [a]")}); err == nil {
		t.Error("an option that does not exist is taken")
	}
}
