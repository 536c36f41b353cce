// Package probe asks servers whether they work: our own question, not their
// word for it.
package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

// A Question is asked of one server. It holds no secrets, only the files that
// do.
type Question struct {
	Kind    string            `json:"kind"`
	Addr    string            `json:"addr"` // host:port, a URL, or the path of a Unix socket
	Options map[string]string `json:"options,omitempty"`
}

// A kind is a way to ask.
type kind struct {
	says  string // what is asked, before " on ADDR"
	ask   func(context.Context, Question) error
	again func(context.Context, Question) error // nil: the same
}

func kinds() map[string]kind {
	return map[string]kind{
		"clickhouse": {says: "SELECT 1", ask: askClickHouse},
		"http":       {says: "GET", ask: askHTTP},
		"nats":       {says: "PING", ask: askNATS},
		"oidc":       {says: "a sign-in", ask: askOIDC, again: discoverOIDC},
		"otlp":       {says: "an exported span", ask: askOTLP, again: againOTLP},
		"postgres":   {says: "SELECT 1", ask: askPostgres},
		"redis":      {says: "PING", ask: askRedis},
		"s3":         {says: "a list of buckets", ask: askS3},
	}
}

// Says is what a kind asks, for people: "PING". It is empty for no kind.
func Says(kind string) string { return kinds()[kind].says }

// patience bounds a question whose ctx has no deadline.
const patience = 10 * time.Second

// Ask asks for all that the server is there for. The error says what was
// answered.
func (q Question) Ask(ctx context.Context) error {
	k, ok := kinds()[q.Kind]
	if !ok {
		return fmt.Errorf("there is no probe %q", q.Kind)
	}
	return q.within(ctx, k.ask)
}

// Again asks a server that has passed Ask, and leaves out what costs it work or
// leaves a trace.
func (q Question) Again(ctx context.Context) error {
	if k := kinds()[q.Kind]; k.again != nil {
		return q.within(ctx, k.again)
	}
	return q.Ask(ctx)
}

func (q Question) within(ctx context.Context, ask func(context.Context, Question) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return ask(ctx, q)
}

// String is the question for people: "PING on 127.0.0.1:6379".
func (q Question) String() string {
	says := Says(q.Kind)
	if says == "" {
		says = q.Kind
	}
	return says + " on " + q.Addr
}

// secret reads the file that the option PREFIX_file names; "" without one.
func (q Question) secret(option string) (string, error) {
	file := q.Options[option]
	if file == "" {
		return "", nil
	}
	text, err := os.ReadFile(file)
	return strings.TrimSpace(string(text)), err
}

// dial connects; what is then read and written does not outlive ctx.
func dial(ctx context.Context, addr string) (net.Conn, error) {
	network := "tcp"
	if strings.Contains(addr, "/") {
		network = "unix"
	}
	conn, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil {
		return nil, plain(err)
	}
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			conn.Close()
			return nil, err
		}
	}
	return conn, nil
}

// plain takes a dial's address out of its error: the question names it.
func plain(err error) error {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return op.Err
	}
	return err
}

// maxAnswer bounds what is read of an answer, maxShown what is shown of it.
const (
	maxAnswer = 1 << 20
	maxShown  = 200
)

// do sends a request on a connection of its own and reads the answer.
func do(req *http.Request) (status int, body []byte, err error) {
	req.Close = true
	client := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true, Proxy: nil},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	res, err := client.Do(req)
	if err != nil {
		return 0, nil, plain(err)
	}
	defer res.Body.Close()
	body, err = io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	return res.StatusCode, body, err
}

// answered is the error for an answer that is not the right one.
func answered(status int, body []byte) error {
	return fmt.Errorf("it answers %d %s: %s", status, http.StatusText(status), shown(body))
}

// shown quotes what was answered, shortened.
func shown(text []byte) string {
	t := strings.ToValidUTF8(strings.TrimSpace(string(text)), "�")
	if len(t) > maxShown {
		t = strings.ToValidUTF8(t[:maxShown], "") + "…"
	}
	return fmt.Sprintf("%q", t)
}
