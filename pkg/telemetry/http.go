package telemetry

import (
	"crypto/subtle"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// HTTPOptions say what the port for metrics, health and profiles serves.
type HTTPOptions struct {
	Metrics *Metrics
	// Live reports whether the process should be left running; nil: always.
	Live func() bool
	// Ready reports whether it should be given work; nil: always.
	Ready func() bool
	// Hosts are the names it may be called by, beside localhost and any
	// address.
	Hosts []string
	// Token lets another machine read /metrics with "authorization: Bearer".
	// Empty: only this one may.
	Token string
}

// NewHandler serves /metrics, /healthz, /readyz and /debug/pprof/.
//
// Health says SERVING or NOT_SERVING and nothing else, to anybody. Metrics are
// for this machine and for holders of the token, profiles for this machine
// only. A request by a host name that is not ours is refused, whatever it asks
// for: a web page whose name resolves to 127.0.0.1 comes with its own name.
func NewHandler(o HTTPOptions) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /healthz", health(o.Live))
	mux.Handle("GET /readyz", health(o.Ready))
	if o.Metrics != nil {
		metrics := promhttp.HandlerFor(o.Metrics.registry, promhttp.HandlerOpts{})
		mux.Handle("GET /metrics", only(metrics, func(r *http.Request) bool {
			return fromLoopback(r) || holds(r, o.Token)
		}))
	}
	profiles := http.NewServeMux()
	profiles.HandleFunc("GET /debug/pprof/", pprof.Index)
	profiles.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	profiles.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	profiles.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	profiles.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	mux.Handle("GET /debug/pprof/", only(profiles, fromLoopback))

	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		if !ourHost(r.Host, o.Hosts) {
			http.Error(w, "not the host you asked for", http.StatusMisdirectedRequest)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func health(ok func() bool) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		if ok == nil || ok() {
			_, _ = w.Write([]byte("SERVING\n"))
			return
		}
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte("NOT_SERVING\n"))
	}
}

func only(h http.Handler, may func(*http.Request) bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !may(r) {
			http.Error(w, "forbidden", http.StatusForbidden)
			return
		}
		h.ServeHTTP(w, r)
	}
}

// fromLoopback reports whether the caller sits on this machine. A request that
// a proxy here hands on for somebody else does not count.
func fromLoopback(r *http.Request) bool {
	for _, h := range []string{"Forwarded", "X-Forwarded-For", "X-Real-Ip"} {
		if r.Header.Get(h) != "" {
			return false
		}
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && peer.Addr().Unmap().IsLoopback()
}

func holds(r *http.Request, token string) bool {
	given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return token != "" && ok && subtle.ConstantTimeCompare([]byte(given), []byte(token)) == 1
}

// ourHost admits addresses, which no name server can point elsewhere,
// localhost, and the names in hosts.
func ourHost(host string, hosts []string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	if _, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(name, "["), "]")); err == nil {
		return true
	}
	return strings.EqualFold(name, "localhost") ||
		slices.ContainsFunc(hosts, func(h string) bool { return strings.EqualFold(h, name) })
}
