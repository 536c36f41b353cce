package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// asProgram makes the test binary be the program: the tests start, kill and
// start again what they test.
const asProgram = "PRISM_CHDB_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// lib is where tools/chdb.sh puts the library.
func lib(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(cache, "prism-test", "chdb-26.5.3", "libchdb.so")
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("PRISM_TEST_REQUIRE") == "all" {
			t.Fatalf("cannot run here: %v (tools/chdb.sh sees to it)", err)
		}
		t.Skipf("NOT TESTED: %v (tools/chdb.sh sees to it)", err)
	}
	return path
}

// A bridge is a program that runs.
type bridge struct {
	t    *testing.T
	args []string
	cmd  *exec.Cmd
	addr string
}

func newBridge(t *testing.T, args ...string) *bridge {
	t.Helper()
	b := &bridge{t: t, args: append([]string{"--lib", lib(t), "--path", t.TempDir()}, args...)}
	b.start()
	t.Cleanup(func() {
		_ = b.cmd.Process.Kill()
		_ = b.cmd.Wait()
	})
	return b
}

// start starts it, on the port that it had before.
func (b *bridge) start() {
	b.t.Helper()
	listen := b.addr
	if listen == "" {
		listen = "127.0.0.1:0"
	}
	b.cmd = exec.Command(os.Args[0], append(b.args, "--listen", listen)...)
	b.cmd.Env = append(os.Environ(), asProgram+"=1")
	b.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	b.cmd.Stderr = os.Stderr
	out, err := b.cmd.StdoutPipe()
	if err != nil {
		b.t.Fatal(err)
	}
	if err := b.cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.t.Fatalf("it ended before it listened: %v", b.cmd.Wait())
	}
	_, b.addr, _ = strings.Cut(strings.TrimSpace(line), "listening on ")
}

func (b *bridge) open(change func(*clickhouse.Options)) driver.Conn {
	b.t.Helper()
	o := &clickhouse.Options{Addr: []string{b.addr}, Protocol: clickhouse.HTTP, DialTimeout: time.Minute, ReadTimeout: 2 * time.Minute}
	if change != nil {
		change(o)
	}
	conn, err := clickhouse.Open(o)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func exec1(t *testing.T, conn driver.Conn, sql string, args ...any) {
	t.Helper()
	if err := conn.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func scan1[T any](t *testing.T, conn driver.Conn, sql string, args ...any) T {
	t.Helper()
	var v T
	if err := conn.QueryRow(t.Context(), sql, args...).Scan(&v); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

// reply is one request by hand.
type reply struct {
	status int
	code   string // of the exception
	text   string
}

func (b *bridge) send(method, query, body string) reply {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, "http://"+b.addr+"/?"+query, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return reply{res.StatusCode, res.Header.Get("X-ClickHouse-Exception-Code"), string(text)}
}

func TestDriverPingsExecutesAndAsks(t *testing.T) {
	t.Parallel()
	conn := newBridge(t).open(nil)
	if err := conn.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	version, err := conn.ServerVersion()
	if err != nil || version.Version.Major != 26 {
		t.Errorf("the server says that it is %v, %v", version, err)
	}
	exec1(t, conn, "CREATE TABLE t (a UInt64, s String) ENGINE = MergeTree ORDER BY a")
	exec1(t, conn, "INSERT INTO t VALUES (?, ?)", 1, "bound; -- 'quoted'\n\nand two lines")
	exec1(t, conn, "INSERT INTO t SELECT number + 2, 'n' FROM numbers(3)")
	if got := scan1[string](t, conn, "SELECT s FROM t WHERE a = ?", 1); got != "bound; -- 'quoted'\n\nand two lines" {
		t.Errorf("a bound value came back as %q", got)
	}
	rows, err := conn.Query(t.Context(), "SELECT a FROM t ORDER BY a")
	if err != nil {
		t.Fatal(err)
	}
	var got []uint64
	for rows.Next() {
		var a uint64
		if err := rows.Scan(&a); err != nil {
			t.Fatal(err)
		}
		got = append(got, a)
	}
	if err := rows.Err(); err != nil || fmt.Sprint(got) != "[1 2 3 4]" {
		t.Errorf("rows are %v, %v", got, err)
	}
}

func TestServerParametersAndSettings(t *testing.T) {
	t.Parallel()
	conn := newBridge(t).open(func(o *clickhouse.Options) { o.Settings = clickhouse.Settings{"max_threads": 3} })
	ctx := clickhouse.Context(t.Context(), clickhouse.WithParameters(clickhouse.Parameters{"n": "41", "s": `it's {n:UInt8} \ "x"`}),
		clickhouse.WithSettings(clickhouse.Settings{"max_block_size": 77}))
	var n, threads, block uint64
	var s string
	if err := conn.QueryRow(ctx, "SELECT {n:UInt64} + 1, {s:String}, toUInt64(getSetting('max_threads')), toUInt64(getSetting('max_block_size'))").Scan(&n, &s, &threads, &block); err != nil {
		t.Fatal(err)
	}
	if n != 42 || s != `it's {n:UInt8} \ "x"` || threads != 3 || block != 77 {
		t.Errorf("got %d, %q, %d threads, blocks of %d", n, s, threads, block)
	}
	if got := scan1[uint64](t, conn, "SELECT toUInt64(getSetting('max_block_size'))"); got == 77 {
		t.Error("a setting of one request holds for the next")
	}
}

func TestErrorsAreTheServersOwn(t *testing.T) {
	t.Parallel()
	b := newBridge(t)
	for sql, want := range map[string]struct {
		code   int32
		status int
	}{
		"SELECT * FROM nowhere":               {60, 404},
		"SELEC 1":                             {62, 400},
		"1 + 1":                               {62, 400}, // the library by itself takes it
		"SELECT 1; SELECT 2":                  {62, 400},
		"SELECT nofunction(1)":                {46, 404},
		"SELECT throwIf(1)":                   {395, 500},
		"SELECT 1 SETTINGS nosuch = 1":        {115, 404},
		"INSERT INTO nowhere VALUES (1)":      {60, 404},
		"SELECT 1 INTO OUTFILE '/nowhere/at'": {48, 501},
	} {
		err := b.open(nil).Exec(t.Context(), sql)
		var exception *clickhouse.Exception
		var wire *clickhouse.HTTPError
		if !errors.As(err, &exception) || !errors.As(err, &wire) || exception.Code != want.code || wire.StatusCode != want.status {
			t.Errorf("%s: %v; want code %d with status %d", sql, err, want.code, want.status)
		}
	}
	if got := b.send(http.MethodPost, "database=nowhere", "SELECT 1"); got.code != "81" || got.status != 404 {
		t.Errorf("a database that is not there: %+v", got)
	}
}

func TestReadersChangeNothing(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(file, []byte("default\nwriter secret\n\nreader secret2 readonly\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b := newBridge(t, "--users", file)
	as := func(user, password string) driver.Conn {
		return b.open(func(o *clickhouse.Options) { o.Auth.Username, o.Auth.Password = user, password })
	}
	exec1(t, as("writer", "secret"), "CREATE TABLE t (a UInt8) ENGINE = Memory")
	if got := scan1[uint64](t, as("reader", "secret2"), "SELECT count() FROM t"); got != 0 {
		t.Errorf("a reader counts %d", got)
	}
	code := func(err error) int32 {
		var e *clickhouse.Exception
		if !errors.As(err, &e) {
			t.Fatalf("%v is no exception", err)
		}
		return e.Code
	}
	if got := code(as("reader", "secret2").Exec(t.Context(), "INSERT INTO t VALUES (1)")); got != 164 {
		t.Errorf("a reader's INSERT is refused with %d", got)
	}
	if got := code(as("writer", "wrong").Ping(t.Context())); got != 516 {
		t.Errorf("a wrong password is refused with %d", got)
	}
	if got := code(as("nobody", "secret").Ping(t.Context())); got != 516 {
		t.Errorf("an unknown user is refused with %d", got)
	}
	if got := b.send(http.MethodGet, "query="+url.QueryEscape("INSERT INTO t VALUES (1)"), ""); got.code != "164" {
		t.Errorf("a GET that writes: %+v", got)
	}
}

func TestDataOfAnInsert(t *testing.T) {
	t.Parallel()
	b := newBridge(t, "--max-body", "100000")
	b.send(http.MethodPost, "", "CREATE TABLE t (a UInt32, s String) ENGINE = MergeTree ORDER BY a")
	for _, c := range []struct{ query, body string }{
		{"", "INSERT INTO t VALUES (1, 'a\n\nb')"},
		{"", "INSERT INTO t FORMAT CSV\n2,\"a\n\nb\"\n"},
		{"query=" + url.QueryEscape("INSERT INTO t FORMAT CSV"), "3,\"a\n\nb\"\n"},
		{"query=" + url.QueryEscape("INSERT INTO t SETTINGS async_insert = 1 FORMAT CSV"), "4,\"a\n\nb\"\n"},
		{"query=" + url.QueryEscape("INSERT INTO t (s, a) VALUES"), "('a\n\nb', 5)"},
		{"param_a=6", "INSERT INTO t VALUES ({a:UInt32}, 'a\n\nb')"},
	} {
		if got := b.send(http.MethodPost, c.query, c.body); got.status != 200 {
			t.Errorf("%s %q: %+v", c.query, c.body, got)
		}
	}
	if got := b.send(http.MethodPost, "", "SELECT groupArray(a), uniqExact(s) FROM (SELECT * FROM t ORDER BY a)"); got.text != "[1,2,3,4,5,6]\t1\n" {
		t.Errorf("the table holds %q", got.text)
	}
	long := b.send(http.MethodPost, "query="+url.QueryEscape("INSERT INTO t FORMAT CSV"), strings.Repeat("9,x\n", 25001))
	if long.status != 413 || long.code != "223" {
		t.Errorf("a body that is too long: %+v", long)
	}
	if got := b.send(http.MethodPost, "", "SELECT count() FROM t"); got.text != "6\n" {
		t.Errorf("of a refused INSERT something stayed: %q rows", got.text)
	}
}

func TestSessionsKeepWhatIsSet(t *testing.T) {
	t.Parallel()
	b := newBridge(t)
	const ask = "SELECT getSetting('max_block_size')"
	if got := b.send(http.MethodPost, "session_id=a&session_check=1", ask); got.code != "372" {
		t.Errorf("a session that is not there: %+v", got)
	}
	b.send(http.MethodPost, "session_id=a", "SET max_block_size = 77")
	if got := b.send(http.MethodPost, "session_id=a&session_check=1", ask); got.text != "77\n" {
		t.Errorf("the session does not keep a setting: %+v", got)
	}
	if got := b.send(http.MethodPost, "", ask); got.text == "77\n" {
		t.Error("a setting of a session holds outside of it")
	}
	inUse, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for open := true; open; {
			b.send(http.MethodPost, "session_id=a", "SELECT sleep(1)")
			select {
			case <-inUse:
				open = false
			default:
			}
		}
	}()
	for deadline := time.Now().Add(time.Minute); b.send(http.MethodPost, "session_id=a", "SELECT 1").code != "373"; {
		if time.Now().After(deadline) {
			t.Error("a session in use is never refused")
			break
		}
	}
	close(inUse)
	<-ended
	b.send(http.MethodPost, "session_id=a&session_timeout=0", "SELECT 1")
	if got := b.send(http.MethodPost, "session_id=a&session_check=1", ask); got.code != "372" {
		t.Errorf("a session past its end: %+v", got)
	}
}

func TestRequestsThatABridgeCannotServe(t *testing.T) {
	t.Parallel()
	b := newBridge(t)
	for query, want := range map[string]reply{
		"compress=1":         {status: 501, code: "48"},
		"a%20b=1":            {status: 400, code: "36"},
		"session_timeout=no": {status: 400, code: "36"},
		"nosuchsetting=1":    {status: 404, code: "115"},
	} {
		got := b.send(http.MethodPost, query, "SELECT 1")
		if got.status != want.status || got.code != want.code {
			t.Errorf("%s: %+v, want %+v", query, got, want)
		}
	}
	if got := b.send(http.MethodPost, "", " \n"); got.code != "62" {
		t.Errorf("an empty statement: %+v", got)
	}
	if got := b.send(http.MethodGet, "", ""); got.text != "Ok.\n" {
		t.Errorf("GET / says %q", got.text)
	}
}

func TestRestartKeepsData(t *testing.T) {
	t.Parallel()
	b := newBridge(t)
	conn := b.open(nil)
	exec1(t, conn, "CREATE TABLE t (a UInt32) ENGINE = MergeTree ORDER BY a")
	for i, how := range []os.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		exec1(t, conn, fmt.Sprintf("INSERT INTO t VALUES (%d)", i))
		if err := b.cmd.Process.Signal(how); err != nil {
			t.Fatal(err)
		}
		if err := b.cmd.Wait(); (err == nil) != (how == syscall.SIGTERM) {
			t.Errorf("after %v it ended with %v", how, err)
		}
		b.start()
		if got := scan1[uint64](t, conn, "SELECT count() FROM t"); got != uint64(i+1) {
			t.Errorf("after %v there are %d rows, want %d", how, got, i+1)
		}
	}
}

func TestStopLetsStatementsFinish(t *testing.T) {
	t.Parallel()
	b := newBridge(t)
	running := func() bool {
		return b.send(http.MethodPost, "", "SELECT count() > 1 FROM system.processes").text == "1\n"
	}
	done := make(chan reply, 1)
	for deadline := time.Now().Add(time.Minute); !running(); {
		if time.Now().After(deadline) {
			t.Fatal("the statement never shows")
		}
		select {
		case done <- reply{}: // none runs, or the last has ended unseen
			go func() {
				<-done
				done <- b.send(http.MethodPost, "", "SELECT sleep(3)")
			}()
		default:
		}
	}
	if err := b.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if got := <-done; got.text != "0\n" {
		t.Errorf("a statement that ran got %+v", got)
	}
	if err := b.cmd.Wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}
}
