package cli

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/wire"
)

// dialTimeout bounds one attempt to connect, so that a gateway that is not
// there is told within a second.
const dialTimeout = 800 * time.Millisecond

// dial gives the connection to an address; it is made once. Parts of a command
// that run side by side may ask for it.
func (f *Factory) dial(ctx context.Context, address string) (grpc.ClientConnInterface, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if conn := f.conns[address]; conn != nil {
		return conn, nil
	}
	conn, err := f.connect(ctx, address)
	if err != nil {
		return nil, err
	}
	if f.conns == nil {
		f.conns = map[string]*grpc.ClientConn{}
	}
	f.conns[address] = conn
	return conn, nil
}

// connect makes the connection; nothing is sent before the first call. It fails
// fast: whoever types a command wants to know now.
func (f *Factory) connect(ctx context.Context, address string) (*grpc.ClientConn, error) {
	t, err := f.Target()
	if err != nil {
		return nil, err
	}
	creds, err := credentialsFor(t, address)
	if err != nil {
		return nil, err
	}
	w := &watcher{f: f, target: t, address: address, trace: f.traceOf(ctx)}
	conn, err := grpc.NewClient(address,
		grpc.WithTransportCredentials(creds),
		grpc.WithUserAgent("prismctl/"+f.Build.Version),
		grpc.WithDisableServiceConfig(),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.DefaultConfig, MinConnectTimeout: dialTimeout}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(wire.MaxMessageBytes), grpc.ForceCodecV2(wire.Codec())),
		grpc.WithUnaryInterceptor(w.unary),
		grpc.WithStreamInterceptor(w.stream),
	)
	if err != nil {
		return nil, Usage("write it as HOST:PORT", "%q is not an address", address)
	}
	return conn, nil
}

func credentialsFor(t *Target, address string) (credentials.TransportCredentials, error) {
	cfg, err := t.TLSConfig(address)
	switch {
	case err != nil:
		return nil, err
	case cfg == nil:
		return insecure.NewCredentials(), nil
	}
	return credentials.NewTLS(cfg), nil
}

// TLSConfig is for all but loopback and contexts that say insecure. nil: plain text.
func (t *Target) TLSConfig(address string) (*tls.Config, error) {
	if !t.TLS || isLoopback(address) && t.CAFile == "" {
		return nil, nil
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if t.CAFile == "" {
		return cfg, nil
	}
	pem, err := os.ReadFile(t.CAFile)
	if err != nil {
		return nil, prism.New(prism.ReasonInvalidConfig, "the certificates to trust cannot be read").WithCause(err)
	}
	cfg.RootCAs = x509.NewCertPool()
	if !cfg.RootCAs.AppendCertsFromPEM(pem) {
		return nil, prism.New(prism.ReasonInvalidConfig, "there is no certificate in %s", t.CAFile)
	}
	return cfg, nil
}

func isLoopback(address string) bool {
	if strings.HasPrefix(address, "unix:") {
		return true
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func newTraceID() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// A watcher stands around every call: it adds who we are and a trace, shows
// the call with --debug, and turns statuses into prism errors.
type watcher struct {
	f       *Factory
	target  *Target
	address string
	trace   string
}

func (w *watcher) context(ctx context.Context) context.Context {
	pairs := []string{wire.Traceparent, w.traceparent(ctx)}
	if w.target.Token != "" {
		pairs = append(pairs, wire.Authorization, "Bearer "+w.target.Token)
	}
	return metadata.AppendToOutgoingContext(ctx, pairs...)
}

func (w *watcher) unary(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	spanned, span := w.f.span(ctx, method)
	bounded, cancel := context.WithTimeout(w.context(spanned), w.f.Globals.Timeout)
	defer cancel()
	var header, trailer metadata.MD
	if w.f.patient && w.f.IO.Animated() {
		defer w.f.IO.StartProgress("waiting for the gateway at " + w.address).Stop()
	}
	start := w.f.Clock.Now()
	err := invoke(bounded, method, req, reply, cc, append(opts, grpc.Header(&header), grpc.Trailer(&trailer))...)
	e := w.explain(ctx, err)
	endSpan(span, e)
	w.show(method, w.f.Clock.Now().Sub(start), metadata.Join(header, trailer), e)
	if e == nil {
		return nil
	}
	return e
}

func (w *watcher) stream(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	start := w.f.Clock.Now()
	spanned, span := w.f.span(ctx, method)
	s, err := streamer(w.context(spanned), desc, cc, method, opts...)
	if err != nil {
		e := w.explain(ctx, err)
		endSpan(span, e)
		w.show(method, w.f.Clock.Now().Sub(start), nil, e)
		return nil, e
	}
	return &watchedStream{ClientStream: s, caller: ctx, w: w, method: method, start: start, span: span}, nil
}

type watchedStream struct {
	grpc.ClientStream
	caller context.Context // of whoever opened it; the stream's own ends with the stream
	w      *watcher
	method string
	start  time.Time
	span   trace.Span // nil: none
}

// RecvMsg keeps io.EOF, and the status of anything else, so that a caller can
// read where to go on.
func (s *watchedStream) RecvMsg(m any) error {
	err := s.ClientStream.RecvMsg(m)
	if err == nil {
		return nil
	}
	var e *prism.Error
	if !errors.Is(err, io.EOF) {
		e = s.w.explain(s.caller, err)
	}
	endSpan(s.span, e)
	s.w.show(s.method, s.w.f.Clock.Now().Sub(s.start), s.Trailer(), e)
	if e == nil {
		return err
	}
	_, resume := wire.FromStream(err)
	if resume == nil {
		return e
	}
	return &Resumable{Err: e, Position: resume.Position, After: time.Duration(resume.RetryAfterMs) * time.Millisecond}
}

// A Resumable is the end of a stream that can go on from a position.
type Resumable struct {
	Err      *prism.Error
	Position string
	After    time.Duration
}

func (r *Resumable) Error() string { return r.Err.Error() }
func (r *Resumable) Unwrap() error { return r.Err }

// explain is the prism error of a call, in terms of what the user can change;
// ctx is the caller's.
func (w *watcher) explain(ctx context.Context, err error) *prism.Error {
	e := wire.FromStatus(err)
	if e == nil {
		return nil
	}
	if cause := context.Cause(ctx); cause != nil && errors.Is(cause, context.Canceled) {
		return prism.New(prism.ReasonCancelled, "the call was cancelled").WithCause(cause)
	}
	if e.TraceID == "" && e.RequestID != "" {
		e.TraceID = w.trace
	}
	switch e.Reason {
	case prism.ReasonUnavailable:
		if e.RequestID == "" { // not the gateway's words: the transport's
			out := prism.New(prism.ReasonUnavailable, "cannot reach the gateway at %s%s", w.address, w.contextName())
			return out.WithMeta(metaAddress, w.address).WithCause(errors.New(transportCause(e.Message)))
		}
	case prism.ReasonUnimplemented:
		if e.RequestID == "" { // nor one of a gateway that knows the call
			return prism.New(e.Reason, "the gateway at %s does not know this call: it is of another version; prismctl version compares them", w.address)
		}
	case prism.ReasonDeadlineExceeded:
		if e.RequestID == "" {
			return prism.New(prism.ReasonDeadlineExceeded, "no answer from the gateway at %s within %s", w.address, Duration(w.f.Globals.Timeout))
		}
	}
	return e
}

func (w *watcher) contextName() string {
	if w.target.Context == "" {
		return ""
	}
	return " (context " + w.target.Context + ")"
}

// transportCause finds what a person needs in gRPC's long sentence.
func transportCause(text string) string {
	for _, known := range []string{"connection refused", "no such host", "i/o timeout", "network is unreachable", "connection reset by peer", "no such file or directory", "context deadline exceeded", "certificate"} {
		if i := strings.Index(text, known); i >= 0 {
			switch known {
			case "certificate":
				return text[strings.LastIndex(text[:i], ": ")+1:]
			case "context deadline exceeded":
				return "no answer to a connection attempt"
			}
			return known
		}
	}
	text = strings.TrimPrefix(text, "connection error: desc = ")
	return strings.Trim(text, `"`)
}

// show prints a call with --debug or -vv. Never metadata as a whole: it holds
// the credential.
func (w *watcher) show(method string, took time.Duration, md metadata.MD, e *prism.Error) {
	if !w.f.Globals.Debug && w.f.Globals.Verbose < 2 {
		return
	}
	code, request := "OK", ""
	if e != nil {
		code, request = string(e.Reason), e.RequestID
	}
	if v := md.Get(wire.RequestID); len(v) > 0 {
		request = v[0]
	}
	fmt.Fprintf(w.f.IO.ErrOut, "debug: grpc %s %s %s %s request=%s trace=%s\n",
		w.address, strings.TrimPrefix(method, "/"), code, Duration(took), request, w.trace)
}
