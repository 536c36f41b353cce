package probe

import (
	"context"
	"encoding/base64"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver/clickhouse/clickhousetest"
	"github.com/prism-data-layer/prism/pkg/driver/nats/natstest"
	"github.com/prism-data-layer/prism/pkg/driver/redis/redistest"
)

// secretFile puts a secret into a file.
func secretFile(t *testing.T, secret string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// refuses wants an error with a text, and no secret in it.
func refuses(t *testing.T, q Question, want string) {
	t.Helper()
	err := q.Ask(t.Context())
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%s: got %v, want %s", q, err, want)
	}
	if err != nil && strings.Contains(err.Error(), "wrong-horse") {
		t.Errorf("%s shows the password: %v", q, err)
	}
}

func passes(t *testing.T, q Question) {
	t.Helper()
	if err := q.Ask(t.Context()); err != nil {
		t.Errorf("%s: %v", q, err)
	}
	if err := q.Again(t.Context()); err != nil {
		t.Errorf("%s again: %v", q, err)
	}
}

func TestRedisIsAskedWithItsPassword(t *testing.T) {
	t.Parallel()
	good, bad := secretFile(t, "battery-staple"), secretFile(t, "wrong-horse")
	s := redistest.Seven().Start(t, "--maxmemory", "64mb") // one of its own
	passes(t, Question{Kind: "redis", Addr: s.Addr})
	conn, err := dial(t.Context(), s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("CONFIG SET requirepass battery-staple\r\n")); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 16)
	if n, err := conn.Read(answer); err != nil || string(answer[:n]) != "+OK\r\n" {
		t.Fatalf("it answers %q, %v", answer[:n], err)
	}
	q := Question{Kind: "redis", Addr: s.Addr, Options: map[string]string{"password_file": good}}
	passes(t, q)
	refuses(t, Question{Kind: "redis", Addr: s.Addr}, `to PING it answers "-NOAUTH`)
	q.Options = map[string]string{"password_file": bad}
	refuses(t, q, `to AUTH it answers "-WRONGPASS`)
	q.Options = map[string]string{"password_file": bad + ".none"}
	refuses(t, q, "no such file")
}

func TestNATSIsAskedWithItsPassword(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, "authorization {user: prism, password: \"battery-staple\"}\n")
	addr := strings.TrimPrefix(s.URL, "nats://")
	q := Question{Kind: "nats", Addr: addr, Options: map[string]string{"username": "prism", "password_file": secretFile(t, "battery-staple")}}
	passes(t, q)
	q.Options["password_file"] = secretFile(t, "wrong-horse")
	refuses(t, q, "Authorization Violation")
}

func TestClickHouseIsAskedWithItsPassword(t *testing.T) {
	t.Parallel()
	s := clickhousetest.Bridge(t, clickhousetest.User("prism", "battery-staple"))
	q := Question{Kind: "clickhouse", Addr: s.HTTP, Options: map[string]string{"username": "prism", "password_file": secretFile(t, "battery-staple")}}
	passes(t, q)
	q.Options["password_file"] = secretFile(t, "wrong-horse")
	refuses(t, q, "Authentication failed")
}

func TestHTTPWantsAStatusAndAText(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/ok":
			w.Write([]byte("all is well")) //nolint:errcheck // the client's affair
		case "/moved":
			http.Redirect(w, r, "/ok", http.StatusFound)
		case "/long":
			w.WriteHeader(http.StatusTeapot)
			w.Write([]byte(strings.Repeat("x", 3000) + "\x00\xff")) //nolint:errcheck // the client's affair
		case "/never":
			<-r.Context().Done()
		}
	}))
	t.Cleanup(s.Close)
	passes(t, Question{Kind: "http", Addr: s.URL + "/ok", Options: map[string]string{"text": "well"}})
	passes(t, Question{Kind: "http", Addr: s.URL + "/moved", Options: map[string]string{"status": "302"}})
	refuses(t, Question{Kind: "http", Addr: s.URL + "/ok", Options: map[string]string{"text": "ill"}}, `it answers 200 OK: "all is well"`)
	refuses(t, Question{Kind: "http", Addr: s.URL + "/moved"}, "it answers 302")
	refuses(t, Question{Kind: "http", Addr: s.URL + "/long"}, `xxx…"`)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := (Question{Kind: "http", Addr: s.URL + "/never"}).Ask(ctx); err == nil {
		t.Error("a server that does not answer passes")
	}
}

func TestNobodyThereIsSaidWithoutTheAddressTwice(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	for _, q := range []Question{
		{Kind: "redis", Addr: addr},
		{Kind: "nats", Addr: addr},
		{Kind: "clickhouse", Addr: addr},
		{Kind: "otlp", Addr: addr},
		{Kind: "s3", Addr: addr},
		{Kind: "http", Addr: "http://" + addr},
		{Kind: "oidc", Addr: "http://" + addr + "/dex"},
		{Kind: "postgres", Addr: addr},
	} {
		refuses(t, q, "connection refused")
		if err := q.Ask(t.Context()); strings.Contains(err.Error(), addr) {
			t.Errorf("%s: the address is in %v", q, err)
		}
	}
	refuses(t, Question{Kind: "redis", Addr: filepath.Join(t.TempDir(), "none.sock")}, "no such file")
	refuses(t, Question{Kind: "magic", Addr: addr}, `there is no probe "magic"`)
}

// A server that speaks, but not what was asked for.
func TestWrongAnswersAreShown(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				c.Read(make([]byte, 512))               //nolint:errcheck // whatever comes
				c.Write([]byte("220 mail.example\r\n")) //nolint:errcheck // whatever comes of it
			}()
		}
	}()
	addr := l.Addr().String()
	refuses(t, Question{Kind: "redis", Addr: addr}, `to PING it answers "220 mail.example"`)
	refuses(t, Question{Kind: "nats", Addr: addr}, `it answers "220 mail.example"`)
	for _, kind := range []string{"clickhouse", "otlp", "s3", "postgres"} {
		if err := (Question{Kind: kind, Addr: addr}).Ask(t.Context()); err == nil {
			t.Errorf("%s believes a mail server", kind)
		}
	}
}

// No issuer of ours answers like these: Dex itself is asked in package stacks.
func TestTokensAreLookedInto(t *testing.T) {
	t.Parallel()
	var document, claims string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text := document
		if r.Method == http.MethodPost {
			text = `{"access_token":"wrong-horse","id_token":"e30.` + base64.RawURLEncoding.EncodeToString([]byte(claims)) + `.sig"}`
			if claims == "" {
				text = `{"access_token":"wrong-horse"}`
			}
		}
		w.Write([]byte(strings.ReplaceAll(text, "SELF", "http://"+r.Host))) //nolint:errcheck // the client's affair
	}))
	t.Cleanup(s.Close)
	self := func(text string) string { return strings.ReplaceAll(text, "SELF", s.URL) }
	const found = `{"issuer":"SELF","token_endpoint":"SELF/token","jwks_uri":"SELF/keys"}`
	const right = `{"iss":"SELF","aud":"prismctl","email":"dev@local.prism","groups":["prism:admin"]}`
	q := Question{Kind: "oidc", Addr: s.URL, Options: map[string]string{"client_id": "prismctl", "username": "dev@local.prism", "groups": "prism:admin"}}
	document, claims = found, self(right)
	passes(t, q)
	claims = self(strings.Replace(right, `"prismctl"`, `["other","prismctl"]`, 1))
	passes(t, q)
	for _, c := range []struct{ document, claims, want string }{
		{"<html>", right, `it answers 200 OK: "<html>"`},
		{"{}", right, "it answers 200 OK"},
		{strings.Replace(found, `"SELF"`, `"http://dex:5556/dex"`, 1), right, `it is the issuer "http://dex:5556/dex", not`},
		{found, "", "holds no id token"},
		{found, "nonsense", "cannot be read"},
		{found, strings.Replace(right, "SELF", "http://other", 1), `of the issuer "http://other"`},
		{found, strings.Replace(right, "prismctl", "other", 1), `is for ["other"]`},
		{found, strings.Replace(right, "dev@", "eve@", 1), `is of "eve@local.prism"`},
		{found, strings.Replace(right, "prism:admin", "staff", 1), `groups ["staff"], and prism:admin is not`},
	} {
		document, claims = c.document, self(c.claims)
		refuses(t, q, c.want)
	}
}

func TestRejectedSpansAreNoSuccess(t *testing.T) {
	t.Parallel()
	var status int
	var body string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			w.WriteHeader(status)
			w.Write([]byte(body)) //nolint:errcheck // the client's affair
			return
		}
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	t.Cleanup(s.Close)
	q := Question{Kind: "otlp", Addr: strings.TrimPrefix(s.URL, "http://")}
	status, body = http.StatusOK, `{"partialSuccess":{}}`
	passes(t, q)
	q.Options = map[string]string{"url": s.URL + "/health"}
	refuses(t, q, "it answers 503")
	q.Options = nil
	for _, c := range []struct {
		status int
		body   string
	}{
		{http.StatusOK, `{"partialSuccess":{"rejectedSpans":"1","errorMessage":"full"}}`},
		{http.StatusOK, `{"partialSuccess":{"rejectedSpans":1}}`},
		{http.StatusTooManyRequests, `{"message":"memory"}`},
		{http.StatusOK, `<html>`},
	} {
		status, body = c.status, c.body
		refuses(t, q, "it answers ")
	}
}

// The signature is that of minio-go's signer for the same request.
func TestS3RequestsAreSigned(t *testing.T) {
	t.Parallel()
	req, err := http.NewRequest(http.MethodGet, "http://127.0.0.1:9000/", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	sign(req, "prism", "a secret of 26 letters-a1", time.Date(2026, 11, 27, 22, 19, 4, 0, time.UTC))
	const want = "AWS4-HMAC-SHA256 Credential=prism/20261127/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date, " +
		"Signature=3b10843c845879f12a9685ab2bf4a9d1112f4c0a14652f4aa31671ad8e77f1f7"
	if got := req.Header.Get("Authorization"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// No S3 server can be had here: this one answers as S3 does.
func TestS3WantsAListOfBuckets(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.Header.Get("Authorization"), "Credential=prism/") {
			w.WriteHeader(http.StatusForbidden)
			w.Write([]byte("<Error><Code>InvalidAccessKeyId</Code></Error>")) //nolint:errcheck // the client's affair
			return
		}
		w.Write([]byte("<ListAllMyBucketsResult/>")) //nolint:errcheck // the client's affair
	}))
	t.Cleanup(s.Close)
	q := Question{Kind: "s3", Addr: strings.TrimPrefix(s.URL, "http://"), Options: map[string]string{"username": "prism", "password_file": secretFile(t, "battery-staple")}}
	passes(t, q)
	q.Options["username"] = "eve"
	refuses(t, q, "InvalidAccessKeyId")
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
