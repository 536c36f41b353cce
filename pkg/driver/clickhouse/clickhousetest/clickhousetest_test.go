package clickhousetest_test

import (
	"context"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver/clickhouse/clickhousetest"
)

// must runs a statement that has to work.
func must(t *testing.T, s *clickhousetest.Server, sql string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	got, err := s.Query(ctx, sql)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// becomes asks until the answer is what it is to become.
func becomes(t *testing.T, s *clickhousetest.Server, sql, want string) {
	t.Helper()
	var got string
	var err error
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		got, err = s.Query(ctx, sql)
		cancel()
		if err == nil && got == want {
			return
		}
	}
	t.Fatalf("%s gave %q, %v; it was to become %q", sql, got, err, want)
}

func TestBridgeIsClickHouse26(t *testing.T) {
	t.Parallel()
	s := clickhousetest.Bridge(t)
	if got := must(t, s, "SELECT version()"); got[:3] != "26." {
		t.Errorf("it is ClickHouse %s", got)
	}
	if s.Native != "" {
		t.Errorf("a bridge says that it has the native protocol at %s", s.Native)
	}
}

func TestServer18IsClickHouse18(t *testing.T) {
	t.Parallel()
	s := clickhousetest.Server18(t)
	if got := must(t, s, "SELECT version()"); got[:6] != "18.16." {
		t.Errorf("it is ClickHouse %s", got)
	}
}
