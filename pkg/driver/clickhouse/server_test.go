package clickhouse_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	chgo "github.com/ClickHouse/clickhouse-go/v2"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/clickhouse"
	"github.com/prism-data-layer/prism/pkg/driver/clickhouse/clickhousetest"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// own starts a server for one test.
func (k kind) own(t *testing.T, options ...clickhousetest.Option) *clickhousetest.Server {
	t.Helper()
	s, err := k.run(options...)
	if err != nil {
		t.Fatalf("start %s: %v", k.name, err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("stop %s: %v", k.name, err)
		}
	})
	return s
}

// ticks are plain events, told apart by their metric.
func ticks(from, n int) *driver.EventBatch {
	b := &driver.EventBatch{Types: driver.Coded{Dictionary: []string{"tick"}}, Metrics: []driver.Metric{{Name: "n"}}}
	for i := range n {
		b.Times = append(b.Times, base+int64(from+i))
		b.Metrics[0].Values = append(b.Metrics[0].Values, float64(from+i))
	}
	return b
}

func send(ctx context.Context, s driver.Set, b *driver.EventBatch) error {
	_, err := s.TimeSeries.AppendEvents(ctx, "ns", b, driver.Receipt{})
	return err
}

// read is how often each tick is there.
func read(ctx context.Context, s driver.Set) (map[int]int, error) {
	r, err := s.TimeSeries.QueryEvents(ctx, "ns", driver.EventQuery{Selection: driver.Selection{Start: 0, End: prism.MaxEventTime}, Page: 1000})
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }()
	got := map[int]int{}
	for {
		p, err := r.Page(ctx)
		if err != nil || p.Events.Len() == 0 {
			return got, err
		}
		for i := range p.Events.Len() {
			n, _ := p.Events.Metrics[0].At(i)
			got[int(n)]++
		}
	}
}

func TestAServerThatIsDownIsUnavailableAndComesBack(t *testing.T) {
	each(t, func(t *testing.T, k kind) {
		server := k.own(t)
		s := openIn(t, k, server, "database: "+database(t, server))
		if err := send(t.Context(), s, ticks(0, 10)); err != nil {
			t.Fatal(err)
		}
		for _, end := range []func() error{server.Stop, server.Kill} {
			if err := end(); err != nil {
				t.Fatal(err)
			}
			_, readErr := read(t.Context(), s)
			_, askErr := s.TimeSeriesAggregation.AggregateEvents(t.Context(), "ns", driver.AggregateQuery{Selection: driver.Selection{End: 1}, Values: []driver.Aggregate{{Function: driver.AggregateCount}}, Max: 1})
			short, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			for call, err := range map[string]error{
				"AppendEvents": send(short, s, ticks(1000, 1)), "QueryEvents": readErr, "AggregateEvents": askErr,
				"RetainEvents": s.TimeSeriesRetention.RetainEvents(t.Context(), "ns", 0), "Drop": s.Store.Drop(t.Context(), "ns"),
			} {
				if !errors.Is(err, prism.ReasonBackendUnavailable) || prism.From(err).RetryAfter() <= 0 {
					t.Errorf("%s while the server is down: %v", call, err)
				}
			}
			cancel()
			if h := s.Store.Health(t.Context()); h.State != driver.Unhealthy || h.Message == "" {
				t.Errorf("health is %v %q", h.State, h.Message)
			}
			if err := server.Start(); err != nil {
				t.Fatal(err)
			}
			eventually(t, "back", func() bool {
				got, err := read(t.Context(), s)
				return err == nil && got[0] == 1 && got[9] == 1
			})
			if err := send(t.Context(), s, ticks(2000, 1)); err != nil {
				t.Errorf("append after the server is back: %v", err)
			}
		}
	})
}

// While the server does not move, a caller waits as long as he said; what he sent
// is then there or not, and nothing is there twice that was acked once.
func TestAFrozenServerKeepsNobodyLongerThanHisDeadline(t *testing.T) {
	each(t, func(t *testing.T, k kind) {
		server := k.own(t)
		s := openIn(t, k, server, "database: "+database(t, server))
		if err := send(t.Context(), s, ticks(0, 10)); err != nil {
			t.Fatal(err)
		}
		if err := server.Freeze(); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		var wg sync.WaitGroup
		for i := range 10 {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
				defer cancel()
				err := send(ctx, s, ticks(1000+i, 1))
				if i%2 == 0 {
					_, err = read(ctx, s)
				}
				if !errors.Is(err, prism.ReasonDeadlineExceeded) {
					t.Errorf("a call of a frozen server: %v", err)
				}
			})
		}
		wg.Wait()
		if took := time.Since(begin); took > 20*time.Second {
			t.Errorf("callers waited %v", took)
		}
		if err := server.Thaw(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "goes on", func() bool { return send(t.Context(), s, ticks(2000, 1)) == nil })
		got, err := read(t.Context(), s)
		if err != nil || got[0] != 1 || got[2000] < 1 {
			t.Errorf("read %v, %v", got, err)
		}
	})
}

func TestAGatewayStartsWithoutItsServer(t *testing.T) {
	each(t, func(t *testing.T, k kind) {
		server := k.own(t)
		name := database(t, server)
		if err := server.Stop(); err != nil {
			t.Fatal(err)
		}
		s := openIn(t, k, server, "database: "+name)
		if s.Info.Durable || !strings.Contains(s.Info.Durability, "not known") {
			t.Errorf("nobody has told, and Info says %+v", s.Info)
		}
		if err := send(t.Context(), s, ticks(0, 1)); !errors.Is(err, prism.ReasonBackendUnavailable) {
			t.Errorf("append: %v", err)
		}
		if err := server.Start(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "there", func() bool { return send(t.Context(), s, ticks(0, 1)) == nil })
	})
}

func TestCausesThatAPersonMustMendAreToldApart(t *testing.T) {
	each(t, func(t *testing.T, k kind) {
		server := k.own(t, clickhousetest.User("gateway", "open-sesame"), clickhousetest.ReadOnlyUser("reader", "hush"))
		dir := t.TempDir()
		file := func(text string) string {
			path := filepath.Join(dir, fmt.Sprint("password-", len(text)))
			if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			return "password_file: " + path
		}
		name := database(t, server)
		db, right := "database: "+name, "username: gateway\n"+file("open-sesame")
		first := openIn(t, k, server, db, right)
		query := func(sql string) {
			t.Helper()
			if _, err := server.Query(t.Context(), sql); err != nil {
				t.Fatal(err)
			}
		}
		for what, c := range map[string]struct {
			options []string
			before  string
			reason  prism.Reason
			says    string
		}{
			"wrong password":   {[]string{db, "username: gateway\n" + file("guess")}, "", prism.ReasonFailedPrecond, "password"},
			"unknown user":     {[]string{db, "username: nobody"}, "", prism.ReasonFailedPrecond, "refuses user \"nobody\""},
			"unknown database": {[]string{"database: elsewhere", right}, "", prism.ReasonFailedPrecond, "CREATE DATABASE `elsewhere`"},
			"another layout":   {[]string{db, right, "metrics: [n]"}, "", prism.ReasonFailedPrecond, "metrics [n]"},
		} {
			_, err := clickhouse.Spec().Open(t.Context(), settings(k, server, c.options...))
			if !errors.Is(err, c.reason) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: got %v, want %v that says %q", what, err, c.reason, c.says)
			}
		}
		reader := openReader(t, k, server, db, "username: reader\n"+file("hush"))
		if err := send(t.Context(), reader, ticks(0, 1)); !errors.Is(err, prism.ReasonFailedPrecond) || !strings.Contains(err.Error(), "read-only") {
			t.Errorf("append as who may only read: %v", err)
		}
		query("DROP TABLE " + name + ".prism_events")
		if err := send(t.Context(), first, ticks(0, 1)); !errors.Is(err, prism.ReasonFailedPrecond) || !strings.Contains(err.Error(), "is gone") {
			t.Errorf("append to a table that is gone: %v", err)
		} else if e := new(chgo.Exception); !errors.As(err, &e) || !strings.Contains(e.Message, "prism_events") || e.StackTrace != "" {
			t.Errorf("the server's own words are %+v", e)
		}
		if err := send(t.Context(), first, ticks(0, 1)); err != nil {
			t.Errorf("append after that: %v", err)
		}
		query("INSERT INTO " + name + ".prism_facts (kind, name, number, text, at) SELECT 'schema', '', 99, '', 9000000000000000000")
		_, err := clickhouse.Spec().Open(t.Context(), settings(k, server, db, right))
		if !errors.Is(err, prism.ReasonNewerFormat) || !strings.Contains(err.Error(), "format 99") || !strings.Contains(err.Error(), "up to 1") {
			t.Errorf("tables of a newer version: %v", err)
		}
	})
}

// openReader opens a store as who may not make tables, which are there.
func openReader(t *testing.T, k kind, server *clickhousetest.Server, more ...string) driver.Set {
	t.Helper()
	set, err := clickhouse.Spec().Open(t.Context(), settings(k, server, more...))
	if err != nil {
		t.Fatalf("open as a reader: %v", err)
	}
	t.Cleanup(func() { _ = set.Store.Close() })
	return set
}

func TestConcurrentAppendsShareBlocks(t *testing.T) {
	each(t, func(t *testing.T, k kind) {
		server := k.server(t)
		name := database(t, server)
		s := openIn(t, k, server, "database: "+name, "insert_connections: 1")
		const callers = 300
		var wg sync.WaitGroup
		for i := range callers {
			wg.Go(func() {
				if err := send(t.Context(), s, ticks(i*10, 10)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		got, err := read(t.Context(), s)
		if err != nil || len(got) != callers*10 {
			t.Fatalf("read %d events, %v", len(got), err)
		}
		text, err := server.Query(t.Context(), "SELECT max(max_block_number) FROM system.parts WHERE database = '"+name+"' AND table = 'prism_events'")
		if err != nil {
			t.Fatal(err)
		}
		var blocks int
		if _, err := fmt.Sscan(text, &blocks); err != nil || blocks > callers/4 {
			t.Errorf("%d appends made %d blocks, want far fewer (%v)", callers, blocks, err)
		}
	})
}

// A reader that is left in the middle keeps nothing of the server's.
func TestAReaderEndsItsQueryWhenItCloses(t *testing.T) {
	each(t, func(t *testing.T, k kind) {
		s := open(t, k, "pool_size: 2")
		if err := send(t.Context(), s, ticks(0, 100_000)); err != nil {
			t.Fatal(err)
		}
		for range 10 {
			r, err := s.TimeSeries.QueryEvents(t.Context(), "ns", driver.EventQuery{Selection: driver.Selection{Start: 0, End: prism.MaxEventTime}, Page: 100})
			if err != nil {
				t.Fatal(err)
			}
			if p, err := r.Page(t.Context()); err != nil || p.Events.Len() != 100 {
				t.Fatalf("a page of %d, %v", p.Events.Len(), err)
			}
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

// A caller who leaves in the middle of a page loses nothing: the next one begins
// where the last that he got has ended.
func TestAReaderGoesOnAfterADeadline(t *testing.T) {
	each(t, func(t *testing.T, k kind) {
		s := open(t, k)
		if err := send(t.Context(), s, ticks(0, 30_000)); err != nil {
			t.Fatal(err)
		}
		r, err := s.TimeSeries.QueryEvents(t.Context(), "ns", driver.EventQuery{Selection: driver.Selection{Start: 0, End: prism.MaxEventTime}, Page: 10_000})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = r.Close() }()
		next := 0
		for range 10 {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Millisecond, cancel)
			p, err := r.Page(ctx)
			if err != nil && !errors.Is(err, prism.ReasonCancelled) {
				t.Fatal(err)
			}
			next += p.Events.Len()
		}
		for {
			p, err := r.Page(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if p.Events.Len() == 0 {
				break
			}
			if n, _ := p.Events.Metrics[0].At(0); int(n) != next {
				t.Fatalf("the page begins with event %v, want %d", n, next)
			}
			next += p.Events.Len()
		}
		if next != 30_000 {
			t.Errorf("read %d events, want 30000", next)
		}
	})
}
