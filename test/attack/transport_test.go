package attack_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	_ "google.golang.org/grpc/encoding/gzip" // so that the gateway here knows it
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"

	"github.com/prism-data-layer/prism/pkg/config"
	"github.com/prism-data-layer/prism/pkg/driver/all"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/server"
	"github.com/prism-data-layer/prism/pkg/telemetry/telemetrytest"
	"github.com/prism-data-layer/prism/pkg/wire"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
	sessionv1 "github.com/prism-data-layer/prism/proto/prism/session/v1"
	"github.com/prism-data-layer/prism/test/harness"
)

// rawCall makes one call over HTTP/2 as no client would and returns the gRPC
// status, or what the stream or connection ended with.
func rawCall(t *testing.T, addr, path string, more ...hpack.HeaderField) string {
	t.Helper()
	got, _ := rawSend(t, addr, path, []byte{0, 0, 0, 0, 0}, more...)
	return got
}

// rawSend is rawCall with a body of one's own, and with the trailers.
func rawSend(t *testing.T, addr, path string, body []byte, more ...hpack.HeaderField) (string, []hpack.HeaderField) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	_, _ = io.WriteString(conn, http2.ClientPreface)
	fr := http2.NewFramer(conn, conn)
	fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	_ = fr.WriteSettings()
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for _, h := range append([]hpack.HeaderField{
		{Name: ":method", Value: "POST"},
		{Name: ":scheme", Value: "http"},
		{Name: ":path", Value: path},
		{Name: ":authority", Value: addr},
		{Name: "content-type", Value: "application/grpc"},
		{Name: "te", Value: "trailers"},
	}, more...) {
		_ = enc.WriteField(h)
	}
	for first, rest := true, block.Bytes(); len(rest) > 0 || first; first = false {
		n := min(len(rest), 16<<10)
		if first {
			err = fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: rest[:n], EndHeaders: n == len(rest)})
		} else {
			err = fr.WriteContinuation(1, n == len(rest), rest[:n])
		}
		if err != nil {
			return "connection: " + err.Error(), nil
		}
		rest = rest[n:]
	}
	_ = fr.WriteData(1, true, body)
	for {
		f, err := fr.ReadFrame()
		if err != nil {
			return "connection closed", nil
		}
		switch f := f.(type) {
		case *http2.MetaHeadersFrame:
			for _, h := range f.Fields {
				if h.Name == "grpc-status" {
					return h.Value, f.Fields
				}
				if h.Name == ":status" && h.Value != "200" {
					return "HTTP " + h.Value, f.Fields
				}
			}
		case *http2.RSTStreamFrame:
			return "RST " + f.ErrCode.String(), nil
		case *http2.GoAwayFrame:
			return "GOAWAY " + f.ErrCode.String(), nil
		}
	}
}

// Paths that are nearly one of ours never reach a handler.
func TestAttack_A35(t *testing.T) {
	t.Parallel()
	var entered atomic.Int64
	g := harness.Start(t, harness.Options{Drivers: harness.Faulty(func(context.Context, string) error { entered.Add(1); return nil })})
	const get = "/prism.keyvalue.v1.KeyValueService/Get"
	if got := rawCall(t, g.Addr("data"), get); got != "3" { // a request of no bytes: INVALID_ARGUMENT
		t.Fatalf("the true path is answered with %q", got)
	}
	for _, path := range []string{
		get[1:], "/" + get, "/PRISM.KEYVALUE.V1.KEYVALUESERVICE/Get", "/prism.keyvalue.v1.KeyValueService/get", get + "/", get + "/..",
		"/prism.keyvalue.v1.KeyValueService//Get", "/x/.." + get, get + "?x=1", get + "%00", "/prism.keyvalue.v1.KeyValueService", "/prism.keyvalue.v1.KeyValueService/", "/", "*", "",
		"/prism.admin.v1.AdminService/ListNamespaces", "/prism.keyvalue.v1.KeyValueService%2FGet", "/./prism.keyvalue.v1.KeyValueService/Get",
	} {
		if got := rawCall(t, g.Addr("data"), path); got != "12" && !strings.HasPrefix(got, "RST") {
			t.Errorf("path %q is answered with %q, want UNIMPLEMENTED (12)", path, got)
		}
	}
	if n := entered.Load(); n != 0 {
		t.Errorf("the store was asked %d times", n)
	}
}

// safe is a buffer that many may write to.
type safe struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safe) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safe) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// Canaries in keys, tokens and values come out nowhere.
func TestAttack_A37(t *testing.T) {
	t.Parallel()
	const key, value, idempotency = "canary-key-31d0", "canary-value-8f1e", "canary-idem-77aa"
	logs, collector := &safe{}, telemetrytest.Start(t)
	file := tenants + "telemetry: {traces: {sample: 1}, otlp: {endpoint: '" + collector.Endpoint + "'}}\n"
	r := start(t, harness.Options{File: file, Log: logs, Level: slog.LevelDebug, Drivers: harness.Faulty(func(_ context.Context, key string) error {
		switch key {
		case "panic":
			panic("a bug")
		case "damaged":
			return prism.New(prism.ReasonDataLoss, "a record is damaged").WithCause(fmt.Errorf("checksum of /var/lib/secret-path"))
		}
		return nil
	})})
	sessions := r.Sessions(t)
	s, err := sessions.CreateSession(as(t, r.a), &sessionv1.CreateSessionRequest{Metadata: map[string]string{"note": value}})
	if err != nil {
		t.Fatal(err)
	}
	canaries := []string{value, idempotency, r.a, r.b, r.admin, s.SessionToken, "secret-path"}
	var told []string // what callers were told
	tell := func(err error) {
		if err != nil {
			o := harness.Read(err)
			told = append(told, o.Proto().String(), fmt.Sprint(o.Details()...))
		}
	}
	kv := r.KeyValue(t)
	in := harness.In(as(t, r.a), s.SessionToken)
	for _, key := range []string{"k", key, "panic", "damaged", ""} {
		for _, ns := range []string{"a", "b", "none", "BAD"} {
			_, err := kv.Set(in, &kvv1.SetRequest{Namespace: ns, Key: key, Value: []byte(value), IdempotencyKey: idempotency})
			tell(err)
			_, err = kv.Get(in, &kvv1.GetRequest{Namespace: ns, Key: key})
			tell(err)
			_, err = kv.Increment(in, &kvv1.IncrementRequest{Namespace: ns, Key: key})
			tell(err)
			_, err = kv.CompareAndSwap(in, &kvv1.CompareAndSwapRequest{Namespace: ns, Key: key, Expected: []byte(value), Value: []byte(value)})
			tell(err)
			_, err = kv.Set(in, &kvv1.SetRequest{Namespace: ns, Key: key, Value: bytes.Repeat([]byte(value), 100_000)})
			tell(err)
		}
	}
	for _, bad := range []string{r.a + "x", "Bearer " + r.a, strings.ToUpper(r.a)} {
		_, err := kv.Get(as(t, bad), &kvv1.GetRequest{Namespace: "a", Key: "k"})
		tell(err)
		_, err = r.Admin(t).ListKeys(as(t, bad), &adminv1.ListKeysRequest{})
		tell(err)
	}
	_, err = kv.Get(harness.In(as(t, r.a), s.SessionToken+"x"), &kvv1.GetRequest{Namespace: "a", Key: "k"})
	tell(err)
	_, err = kv.Scan(in, &kvv1.ScanRequest{Namespace: "a", Cursor: value})
	tell(err)
	for name, m := range wire.Methods() {
		if strings.Contains(name, "admin") {
			tell(knock(as(t, r.a), r.Dial(t, "admin"), m, nil))
		}
	}
	audit, err := r.Admin(t).ListAudit(as(t, r.admin), &adminv1.ListAuditRequest{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	keys, err := r.Admin(t).ListKeys(as(t, r.admin), &adminv1.ListKeysRequest{IncludeRevoked: true})
	if err != nil {
		t.Fatal(err)
	}
	live, err := r.Admin(t).ListSessions(as(t, r.admin), &adminv1.ListSessionsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	kept, err := r.Admin(t).ListTraces(as(t, r.admin), &adminv1.ListTracesRequest{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	metrics := httpGet(t, r.Addr("metrics"), "/metrics", nil)
	if err := r.Stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	for where, text := range map[string]string{
		"logs": logs.String(), "errors": strings.Join(told, "\n"), "audit": audit.String(), "keys": keys.String(), "sessions": live.String(), "metrics": metrics.body,
		"traces": kept.String(), "collector": collector.Text(),
	} {
		for i, canary := range canaries {
			if at := strings.Index(text, canary); at >= 0 && !((where == "logs" || where == "collector") && canary == "secret-path") {
				t.Errorf("canary %d stands in the %s: …%.200s…", i, where, text[max(0, at-100):])
			}
		}
	}
	// No more in what is kept of calls than in what is sent of them.
	for where, text := range map[string]string{"traces": kept.String(), "spans": collector.SpanText()} {
		for _, canary := range []string{key, "secret-path", "a bug", "BAD"} {
			if strings.Contains(text, canary) {
				t.Errorf("%q stands in the %s", canary, where)
			}
		}
		if !strings.Contains(text, "Set volatile") && !strings.Contains(text, "Set local") {
			t.Errorf("no call of a backend stands in the %s", where)
		}
	}
	if len(told) < 50 || !strings.Contains(logs.String(), "panic") {
		t.Errorf("only %d errors were seen", len(told))
	}
	// Nor does the disk hold a key in the clear.
	for _, name := range []string{"control.db", "control.db-wal"} {
		b, _ := os.ReadFile(r.Dir + "/data/" + name)
		for i, canary := range []string{r.a, r.b, r.admin, s.SessionToken} {
			if bytes.Contains(b, []byte(canary)) {
				t.Errorf("key %d stands in %s", i, name)
			}
		}
	}
}

// zeros is a message of any size that takes no memory.
type zeros struct{}

func (zeros) Name() string { return "proto" }
func (zeros) Marshal(v any) (mem.BufferSlice, error) {
	part := mem.SliceBuffer(make([]byte, 1<<20))
	var out mem.BufferSlice
	for range v.(int) >> 20 {
		out = append(out, part)
	}
	return out, nil
}
func (zeros) Unmarshal(mem.BufferSlice, any) error { return nil }

// A message that is small on the wire and large in memory.
func TestAttack_A38(t *testing.T) {
	size := 128 << 20
	if os.Getenv("PRISM_FAULTS") == "full" {
		size = 1 << 30
	}
	g := harness.Start(t, harness.Options{})
	conn := g.Dial(t, "data")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var reply []byte
	err := conn.Invoke(harness.Context(t), kvv1.KeyValueService_Set_FullMethodName, size, &reply,
		grpc.ForceCodecV2(zeros{}), grpc.UseCompressor("gzip"), grpc.MaxCallSendMsgSize(2<<30))
	runtime.ReadMemStats(&after)
	refused(t, "a bomb", err, codes.ResourceExhausted)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 48<<20 {
		t.Errorf("%d MiB were allocated for it", grown>>20)
	}
	if _, err := g.KeyValue(t).Set(harness.Context(t), &kvv1.SetRequest{Namespace: "mem", Key: "k", Value: make([]byte, 1000)}, grpc.UseCompressor("gzip")); err != nil {
		t.Errorf("a small compressed message: %v", err)
	}
}

// Too many headers, and headers that claim to be somebody.
func TestAttack_A39(t *testing.T) {
	t.Parallel()
	r := start(t, harness.Options{})
	const get = "/prism.keyvalue.v1.KeyValueService/Get"
	entries := func(n int) (out []hpack.HeaderField) {
		for i := range n {
			out = append(out, hpack.HeaderField{Name: fmt.Sprintf("x-%d", i), Value: "v"})
		}
		return out
	}
	for what, headers := range map[string][]hpack.HeaderField{
		"10,000 entries": entries(10_000),
		"65 entries":     entries(65),
		"1 MiB":          {{Name: "x", Value: strings.Repeat("x", 1<<20)}},
		"17 KiB":         {{Name: "x", Value: strings.Repeat("x", 17<<10)}},
	} {
		got := rawCall(t, r.Addr("data"), get, headers...)
		if got != "8" && got != "13" && !strings.HasPrefix(got, "RST") && !strings.HasPrefix(got, "GOAWAY") && !strings.HasPrefix(got, "connection") {
			t.Errorf("%s: answered with %q", what, got)
		}
	}
	if got := rawCall(t, r.Addr("data"), get, entries(40)...); got != "16" {
		t.Errorf("40 entries: answered with %q, want UNAUTHENTICATED", got)
	}
	for name, v := range map[string]string{
		"x-forwarded-user": "admin", "x-forwarded-for": "127.0.0.1", "x-remote-user": "user:admin", "x-principal": "user:admin",
		"cookie": "authorization=" + r.admin, "proxy-authorization": "Bearer " + r.admin, "x-session-token": "dev", "host": "localhost", "authorization": "Basic " + r.admin,
	} {
		_, err := r.KeyValue(t).Get(metadata.AppendToOutgoingContext(harness.Context(t), name, v), &kvv1.GetRequest{Namespace: "a", Key: "k"})
		refused(t, name, err, codes.Unauthenticated)
	}
	if got := rawCall(t, r.Addr("data"), get, hpack.HeaderField{Name: "grpc-internal-principal", Value: "admin"}); got == "0" || got == "3" {
		t.Errorf("grpc-internal-: answered with %q", got)
	}
	// Of two credentials the first counts, never the better one.
	two := metadata.AppendToOutgoingContext(harness.Context(t), "authorization", "Bearer "+r.a, "authorization", "Bearer "+r.admin)
	_, err := r.KeyValue(t).Get(two, &kvv1.GetRequest{Namespace: "b", Key: "k"})
	if c := harness.Read(err).Code(); c != codes.PermissionDenied && c != codes.Unauthenticated {
		t.Errorf("two credentials: %v", err)
	}
}

type page struct {
	code int
	body string
}

func httpGet(t *testing.T, addr, path string, header map[string]string) page {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		if k == "Host" {
			req.Host = v
		} else {
			req.Header.Set(k, v)
		}
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, _ := io.ReadAll(res.Body)
	return page{res.StatusCode, string(b)}
}

// elsewhere makes every caller come from another machine.
type elsewhere struct{ net.Listener }

func (l elsewhere) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return farConn{c}, err
}

type farConn struct{ net.Conn }

func (farConn) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(203, 0, 113, 9), Port: 4711} }

// What only this machine may see, from another one.
func TestAttack_A43(t *testing.T) {
	t.Parallel()
	here := harness.Start(t, harness.Options{})
	for path, want := range map[string]int{"/metrics": 200, "/healthz": 200, "/readyz": 200, "/debug/pprof/": 200, "/debug/pprof/cmdline": 200, "/debug/vars": 404, "/": 404} {
		if p := httpGet(t, here.Addr("metrics"), path, nil); p.code != want {
			t.Errorf("%s from here: HTTP %d", path, p.code)
		}
		for _, h := range []string{"evil.test", "127.0.0.1.evil.test", "evil.test:80", ""} {
			if h == "" {
				continue
			}
			if p := httpGet(t, here.Addr("metrics"), path, map[string]string{"Host": h}); p.code != http.StatusMisdirectedRequest && p.code != http.StatusForbidden {
				t.Errorf("%s as %s: HTTP %d", path, h, p.code)
			}
		}
	}
	if p := httpGet(t, here.Addr("metrics"), "/debug/pprof/", map[string]string{"X-Forwarded-For": "203.0.113.9"}); p.code != http.StatusForbidden {
		t.Errorf("profiles through a proxy: HTTP %d", p.code)
	}

	far := harness.Start(t, harness.Options{Wrap: func(_ string, l net.Listener) net.Listener { return elsewhere{l} }})
	for path, want := range map[string]int{"/metrics": 403, "/debug/pprof/": 403, "/debug/pprof/heap": 403, "/healthz": 200} {
		p := httpGet(t, far.Addr("metrics"), path, nil)
		if p.code != want {
			t.Errorf("%s from elsewhere: HTTP %d, want %d", path, p.code, want)
		}
		if want == 200 && strings.TrimSpace(p.body) != "SERVING" {
			t.Errorf("health says %q", p.body)
		}
	}
	// Authentication is off for this machine only.
	for _, m := range models() {
		refused(t, m.Name+" from elsewhere", knock(harness.Context(t), far.Dial(t, "data"), m, namespaced("mem")), codes.Unauthenticated)
	}
	_, err := far.Admin(t).GetStatus(harness.Context(t), &adminv1.GetStatusRequest{})
	refused(t, "status from elsewhere", err, codes.Unauthenticated)
}

// Every socket that a gateway of the built-in settings opens is on loopback.
func TestAttack_A54(t *testing.T) {
	c := config.Default()
	for _, a := range []config.Address{c.Listen.Data, c.Listen.Admin, c.Listen.Metrics} {
		if !a.Loopback() {
			t.Errorf("the built-in settings listen on %s", a)
		}
	}
	before := listening(t)
	c.Listen.Data, c.Listen.Admin, c.Listen.Metrics = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	c.DataDir = t.TempDir()
	s, err := server.New(t.Context(), server.Options{Config: c, Dir: c.DataDir, Drivers: all.Drivers(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, nil) }()
	opened := 0
	for socket, addr := range listening(t) {
		if before[socket] != "" {
			continue
		}
		opened++
		if host, _, err := net.SplitHostPort(addr); err != nil || !net.ParseIP(host).IsLoopback() {
			t.Errorf("a socket listens on %s", addr)
		}
	}
	if opened < 3 {
		t.Errorf("%d sockets were opened, want three", opened)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// listening are the sockets of this process that listen: address by inode.
func listening(t *testing.T) map[string]string {
	t.Helper()
	own := map[string]bool{}
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if l, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil {
			if inode, ok := strings.CutPrefix(l, "socket:["); ok {
				own[strings.TrimSuffix(inode, "]")] = true
			}
		}
	}
	found := map[string]string{}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		b, err := os.ReadFile(table)
		if err != nil {
			continue
		}
		for _, line := range strings.Split(string(b), "\n")[1:] {
			f := strings.Fields(line)
			if len(f) < 10 || f[3] != "0A" || !own[f[9]] {
				continue
			}
			found[f[9]] = address(f[1])
		}
	}
	return found
}

// address reads the kernel's form, four bytes at a time in the machine's order.
func address(s string) string {
	host, port, _ := strings.Cut(s, ":")
	ip := make(net.IP, len(host)/2)
	for i := range ip {
		n, _ := strconv.ParseUint(host[2*i:2*i+2], 16, 8)
		ip[i/4*4+3-i%4] = byte(n)
	}
	n, _ := strconv.ParseUint(port, 16, 16)
	return net.JoinHostPort(ip.String(), strconv.FormatUint(n, 10))
}
