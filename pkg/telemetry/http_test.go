package telemetry_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prism-data-layer/prism/pkg/telemetry"
)

type visit struct {
	path, host, peer string
	header           map[string]string
	method           string
	code             int
}

func (v visit) do(h http.Handler) *httptest.ResponseRecorder {
	r := httptest.NewRequest(v.method, "http://placeholder"+v.path, nil)
	r.Host, r.RemoteAddr = v.host, v.peer
	for k, x := range v.header {
		r.Header.Set(k, x)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

const (
	here  = "127.0.0.1:40000"
	there = "10.1.2.3:40000"
)

func TestWhoMaySeeWhat(t *testing.T) {
	t.Parallel()
	h := telemetry.NewHandler(telemetry.HTTPOptions{Metrics: telemetry.NewMetrics(0), Hosts: []string{"prism.example"}, Token: "scrape-me"})
	for _, v := range []visit{
		{path: "/metrics", host: "127.0.0.1:9090", peer: here, code: 200},
		{path: "/metrics", host: "[::1]:9090", peer: "[::1]:5", code: 200},
		{path: "/metrics", host: "[::1]", peer: "[::ffff:127.0.0.1]:5", code: 200},
		{path: "/metrics", host: "LOCALHOST:9090", peer: here, code: 200},
		{path: "/metrics", host: "Prism.Example", peer: here, code: 200},
		{path: "/metrics", host: "10.0.0.1:9090", peer: there, code: 403},
		{path: "/metrics", host: "10.0.0.1:9090", peer: there, header: map[string]string{"Authorization": "Bearer scrape-me"}, code: 200},
		{path: "/metrics", host: "10.0.0.1:9090", peer: there, header: map[string]string{"Authorization": "Bearer scrape-m"}, code: 403},
		{path: "/metrics", host: "10.0.0.1:9090", peer: there, header: map[string]string{"Authorization": "scrape-me"}, code: 403},
		{path: "/metrics", host: "localhost", peer: here, header: map[string]string{"X-Forwarded-For": "8.8.8.8"}, code: 403},
		{path: "/metrics", host: "localhost", peer: here, method: http.MethodPost, code: 405},
		{path: "/debug/pprof/", host: "localhost", peer: here, code: 200},
		{path: "/debug/pprof/heap?debug=1", host: "localhost", peer: here, code: 200},
		{path: "/debug/pprof/cmdline", host: "localhost", peer: here, code: 200},
		{path: "/debug/pprof/symbol", host: "localhost", peer: here, code: 200},
		{path: "/debug/pprof/", host: "10.0.0.1", peer: there, code: 403},
		{path: "/debug/pprof/", host: "10.0.0.1", peer: there, header: map[string]string{"Authorization": "Bearer scrape-me"}, code: 403},
		{path: "/debug/pprof/cmdline", host: "10.0.0.1", peer: "nonsense", code: 403},
		{path: "/healthz", host: "10.0.0.1", peer: there, code: 200},
		{path: "/readyz", host: "10.0.0.1", peer: there, code: 200},
		{path: "/", host: "localhost", peer: here, code: 404},
		// DNS rebinding: the page's own name, whatever is asked for.
		{path: "/metrics", host: "evil.test:9090", peer: here, code: 421},
		{path: "/healthz", host: "evil.test", peer: here, code: 421},
		{path: "/debug/pprof/", host: "evil.test", peer: here, code: 421},
		{path: "/metrics", host: "localhost.evil.test", peer: here, code: 421},
		{path: "/metrics", host: "127.0.0.1.evil.test", peer: here, code: 421},
		{path: "/metrics", host: "", peer: here, code: 421},
	} {
		if v.method == "" {
			v.method = http.MethodGet
		}
		if w := v.do(h); w.Code != v.code {
			t.Errorf("%s %s host %q from %s: %d, want %d", v.method, v.path, v.host, v.peer, w.Code, v.code)
		}
	}
}

func TestWithoutATokenNobodyElseReadsMetrics(t *testing.T) {
	t.Parallel()
	h := telemetry.NewHandler(telemetry.HTTPOptions{Metrics: telemetry.NewMetrics(0)})
	for _, auth := range []string{"", "Bearer ", "Bearer x"} {
		v := visit{path: "/metrics", host: "10.0.0.1", peer: there, method: http.MethodGet, header: map[string]string{"Authorization": auth}}
		if w := v.do(h); w.Code != http.StatusForbidden {
			t.Errorf("authorization %q: %d, want 403", auth, w.Code)
		}
	}
}

func TestHealthSaysServingOrNotAndNothingElse(t *testing.T) {
	t.Parallel()
	live, ready := true, false
	h := telemetry.NewHandler(telemetry.HTTPOptions{Live: func() bool { return live }, Ready: func() bool { return ready }})
	for _, c := range []struct {
		path, body string
		code       int
	}{
		{"/healthz", "SERVING\n", 200},
		{"/readyz", "NOT_SERVING\n", 503},
	} {
		w := visit{path: c.path, host: "localhost", peer: there, method: http.MethodGet}.do(h)
		if w.Code != c.code || w.Body.String() != c.body {
			t.Errorf("%s: %d %q, want %d %q", c.path, w.Code, w.Body, c.code, c.body)
		}
		for k := range w.Header() {
			if !strings.Contains("Content-Type Cache-Control X-Content-Type-Options", k) {
				t.Errorf("%s: header %s", c.path, k)
			}
		}
	}
	live, ready = false, true
	if w := (visit{path: "/healthz", host: "localhost", peer: here, method: http.MethodGet}).do(h); w.Code != 503 {
		t.Errorf("not live: %d", w.Code)
	}
	if w := (visit{path: "/metrics", host: "localhost", peer: here, method: http.MethodGet}).do(h); w.Code != 404 {
		t.Errorf("without metrics: %d, want 404", w.Code)
	}
}
