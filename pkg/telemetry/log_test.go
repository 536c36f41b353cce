package telemetry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/telemetry"
)

func newLog(t *testing.T, format string) (*slog.Logger, *bytes.Buffer) {
	t.Helper()
	var out bytes.Buffer
	log, err := telemetry.NewLogger(&out, telemetry.LogOptions{Format: format})
	if err != nil {
		t.Fatal(err)
	}
	return log, &out
}

const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func TestARecordOfACallCarriesItsIDs(t *testing.T) {
	t.Parallel()
	log, out := newLog(t, "json")
	ctx := telemetry.WithIDs(t.Context(), "req-1", parent)
	log.With("a", 1).WithGroup("g").InfoContext(ctx, "hello", "b", 2)
	log.InfoContext(t.Context(), "outside")
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	var first struct {
		A int
		G struct {
			RequestID string `json:"request_id"`
			TraceID   string `json:"trace_id"`
			B         int
		}
	}
	if err := json.Unmarshal([]byte(lines[0]), &first); err != nil {
		t.Fatal(err)
	}
	if first.A != 1 || first.G.B != 2 || first.G.RequestID != "req-1" || first.G.TraceID != "0af7651916cd43dd8448eb211c80319c" {
		t.Errorf("got %s", lines[0])
	}
	if strings.Contains(lines[1], "request_id") {
		t.Errorf("a record outside of a call has ids: %s", lines[1])
	}
}

// canary must never be seen.
const canary = "CANARY-9c1f"

type config struct{ Inner string }

type message struct{ Value string }

func (message) ProtoMessage()    {}
func (m message) String() string { return m.Value }

type lazy struct{}

func (lazy) LogValue() slog.Value { return slog.GroupValue(slog.String("token", canary)) }

// secrets are attributes of which none may be seen.
func secrets() []any {
	return []any{
		slog.String("token", canary),
		slog.String("x-session-token", canary),
		slog.String("Authorization", canary),
		slog.Any("secret", []byte(canary)),
		slog.Int("password", 918273645546372819),
		slog.String("db_password", canary),
		slog.String("value", canary),
		slog.String("old-value", canary),
		slog.String("api_key", canary),
		slog.Group("credentials", "a", canary),
		slog.Group("a", slog.Group("b", "cookie", canary)),
		slog.String("url", "redis://user:"+canary+"@db:6379/0"),
		slog.String("header", "Bearer "+canary),
		slog.Any("err", errors.New("dial postgres://u:"+canary+"@db/x: refused")),
		slog.Any("headers", http.Header{"Authorization": {"Bearer " + canary}, "Accept": {"Basic " + canary}}),
		slog.Any("meta", map[string]any{"token": canary, "x": config{canary}}),
		slog.Any("body", []byte(canary)),
		slog.Any("config", config{canary}),
		slog.Any("configs", []config{{canary}}),
		slog.Any("config_at", &config{canary}),
		slog.Any("message", message{canary}),
		slog.Any("message_at", &message{canary}),
		slog.Any("lazy", lazy{}),
	}
}

func TestSecretsNeverReachTheLog(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"json", "text"} {
		log, out := newLog(t, format)
		for _, a := range secrets() {
			log.With(a).Info("call with Bearer "+canary, a)
		}
		if strings.Contains(out.String(), canary) || strings.Contains(out.String(), "918273645546372819") {
			t.Errorf("%s: a secret is in the log:\n%s", format, out)
		}
	}
}

func TestWhatIsNoSecretStays(t *testing.T) {
	t.Parallel()
	log, out := newLog(t, "text")
	log.Warn("the basics of a url http://localhost:9090/metrics",
		"namespace", "orders", "value_bytes", 12, "took", 3*time.Millisecond, "list", []string{"a", "b"},
		"map", map[string]int{"n": 7}, "addr", netip.MustParseAddr("127.0.0.1"), "nil", nil, "err", errors.New("not there"), "level2", slog.LevelInfo)
	for _, want := range []string{
		`http://localhost:9090/metrics`, "namespace=orders", "value_bytes=12", "took=3ms", `list="[a b]"`,
		"map[n:7]", "addr=127.0.0.1", `err="not there"`, "level=WARN", "level2=INFO",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("want %s in %s", want, out)
		}
	}
}

func TestLevelsAndFormats(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "debug", "info", "warn", "error"} {
		if _, err := telemetry.ParseLevel(s); err != nil {
			t.Errorf("level %q: %v", s, err)
		}
	}
	if l, err := telemetry.ParseLevel("warn"); l != slog.LevelWarn || err != nil {
		t.Errorf("warn: got %v, %v", l, err)
	}
	if _, err := telemetry.ParseLevel("loud"); err == nil {
		t.Error("level loud was taken")
	}
	if _, err := telemetry.NewLogger(&bytes.Buffer{}, telemetry.LogOptions{Format: "xml"}); err == nil {
		t.Error("format xml was taken")
	}
	var level slog.LevelVar
	log, err := telemetry.NewLogger(&bytes.Buffer{}, telemetry.LogOptions{Level: &level})
	if err != nil {
		t.Fatal(err)
	}
	if log.Enabled(context.Background(), slog.LevelDebug) {
		t.Error("debug is on at info")
	}
	level.Set(slog.LevelDebug)
	if !log.Enabled(context.Background(), slog.LevelDebug) {
		t.Error("debug is off after the level changed")
	}
}
