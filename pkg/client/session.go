package client

import (
	"context"
	"sync"
	"time"

	"google.golang.org/grpc/metadata"

	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/wire"
	sessionv1 "github.com/prism-data-layer/prism/proto/prism/session/v1"
)

// A sessionKeeper holds the client's session: it creates it on first use, keeps
// it alive, renews it before its end and makes another when it is lost.
type sessionKeeper struct {
	c    *Client
	stop context.CancelFunc
	ctx  context.Context

	mu      sync.Mutex
	current *session
	making  chan struct{} // closed when the creation under way has ended
	beating bool
}

type session struct {
	id      string
	token   string
	expires time.Time
	beat    time.Duration
	md      []string // what every call carries
}

func newSessionKeeper(c *Client) *sessionKeeper {
	ctx, stop := context.WithCancel(context.Background())
	return &sessionKeeper{c: c, ctx: ctx, stop: stop}
}

// attach returns ctx with the credential and the session's token.
func (k *sessionKeeper) attach(ctx context.Context) (context.Context, *session, error) {
	if k.c.o.noSession {
		return k.credential(ctx), nil, nil
	}
	s, err := k.get(ctx)
	if err != nil {
		return ctx, nil, err
	}
	return metadata.AppendToOutgoingContext(ctx, s.md...), s, nil
}

func (k *sessionKeeper) credential(ctx context.Context) context.Context {
	if k.c.o.apiKey == "" {
		return ctx
	}
	return metadata.AppendToOutgoingContext(ctx, wire.Authorization, "Bearer "+k.c.o.apiKey)
}

// get returns the session, making one if there is none; of callers at the same
// time one makes it and the others wait.
func (k *sessionKeeper) get(ctx context.Context) (*session, error) {
	for {
		k.mu.Lock()
		if s := k.current; s != nil {
			k.mu.Unlock()
			return s, nil
		}
		if wait := k.making; wait != nil {
			k.mu.Unlock()
			select {
			case <-wait:
				continue
			case <-ctx.Done():
				return nil, prism.From(ctx.Err())
			}
		}
		k.making = make(chan struct{})
		k.mu.Unlock()

		s, err := k.create(ctx)
		k.mu.Lock()
		k.current = s
		close(k.making)
		k.making = nil
		if s != nil && !k.beating {
			k.beating = true
			go k.keepAlive()
		}
		k.mu.Unlock()
		return s, err
	}
}

func (k *sessionKeeper) create(ctx context.Context) (*session, error) {
	o := &k.c.o
	req := &sessionv1.CreateSessionRequest{ClientId: o.id, ClientVersion: o.version, Namespaces: o.namespaces}
	if o.config != "" {
		req.Config = &sessionv1.CreateSessionRequest_ConfigName{ConfigName: o.config}
	}
	var resp *sessionv1.CreateSessionResponse
	// A session that was made but not heard of ends by itself when idle, so
	// making another is safe.
	err := k.c.retry.do(ctx, true, func(ctx context.Context) (err error) {
		resp, err = sessionv1.NewSessionServiceClient(k.c.conns[0]).CreateSession(k.credential(ctx), req)
		return asError(err)
	})
	if err != nil {
		return nil, err
	}
	k.c.stats.Sessions.Add(1)
	return k.sessionOf(resp.SessionId, resp.SessionToken, resp.ExpiresAtMs, time.Duration(resp.HeartbeatIntervalMs)*time.Millisecond), nil
}

func (k *sessionKeeper) sessionOf(id, token string, expiresMs int64, beat time.Duration) *session {
	s := &session{id: id, token: token, expires: time.UnixMilli(expiresMs), beat: beat}
	s.md = []string{wire.SessionToken, token}
	if key := k.c.o.apiKey; key != "" {
		s.md = append(s.md, wire.Authorization, "Bearer "+key)
	}
	return s
}

// lost drops s after the gateway has refused it, and reports whether another
// may be tried: an operator's word is final.
func (k *sessionKeeper) lost(s *session, err *prism.Error) bool {
	switch err.Reason {
	case prism.ReasonInvalidSession, prism.ReasonSessionExpired:
	default:
		return false
	}
	if s == nil {
		return false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.current == s {
		k.current = nil
	}
	return true
}

// keepAlive sends heartbeats and renews the session when four fifths of its
// life are over.
func (k *sessionKeeper) keepAlive() {
	for {
		k.mu.Lock()
		s := k.current
		k.mu.Unlock()
		wait := 30 * time.Second
		if s != nil && s.beat > 0 {
			wait = s.beat
		}
		if !sleep(k.ctx, wait) {
			return
		}
		if s == nil {
			continue
		}
		ctx, cancel := context.WithTimeout(metadata.AppendToOutgoingContext(k.ctx, s.md...), 10*time.Second)
		svc := sessionv1.NewSessionServiceClient(k.c.conns[0])
		if left := time.Until(s.expires); left < max(5*time.Minute, 2*wait) {
			if r, err := svc.RefreshSession(ctx, &sessionv1.RefreshSessionRequest{}); err == nil {
				k.replace(s, k.sessionOf(s.id, r.SessionToken, r.ExpiresAtMs, s.beat))
			}
		} else if _, err := svc.Heartbeat(ctx, &sessionv1.HeartbeatRequest{}); err != nil {
			k.lost(s, wire.FromStatus(err))
		}
		cancel()
	}
}

func (k *sessionKeeper) replace(old, s *session) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.current == old {
		k.current = s
	}
}

// close tells the gateway, briefly: a session that is not closed ends when
// idle.
func (k *sessionKeeper) close() {
	k.stop()
	k.mu.Lock()
	s := k.current
	k.current = nil
	k.mu.Unlock()
	if s == nil {
		return
	}
	ctx, cancel := context.WithTimeout(metadata.AppendToOutgoingContext(context.Background(), s.md...), 500*time.Millisecond)
	defer cancel()
	sessionv1.NewSessionServiceClient(k.c.conns[0]).CloseSession(ctx, &sessionv1.CloseSessionRequest{Force: true}) //nolint:errcheck // best effort
}

// SessionID is the public id of the client's session, making it if need be;
// empty with WithoutSession.
func (c *Client) SessionID(ctx context.Context) (string, error) {
	if c.o.noSession {
		return "", nil
	}
	s, err := c.session.get(ctx)
	if err != nil {
		return "", err
	}
	return s.id, nil
}

// asError keeps a nil error nil across the conversion to a typed pointer.
func asError(err error) error {
	if e := wire.FromStatus(err); e != nil {
		return e
	}
	return nil
}
