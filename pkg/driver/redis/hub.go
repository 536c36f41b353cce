package redis

import (
	"context"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// A hub wakes those who wait for news on a channel, over one connection for
// all. It promises nothing: who waits looks for himself now and then, and a
// lost connection wakes everybody.
type hub struct {
	s *store

	mu      sync.Mutex
	conn    *redis.PubSub
	waiting map[string]*crowd
	closed  bool
	readers sync.WaitGroup
}

// A crowd waits on one channel.
type crowd struct {
	n    int           // how many follow it
	wake chan struct{} // closed at the next news
}

func (h *hub) open(s *store) {
	h.s, h.waiting = s, map[string]*crowd{}
}

// follow makes news of a channel come in; unfollow ends it.
func (h *hub) follow(ctx context.Context, channel string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return h.s.closedError()
	}
	if c := h.waiting[channel]; c != nil {
		c.n++
		return nil
	}
	if h.conn == nil {
		h.conn = h.s.client.Subscribe(context.WithoutCancel(ctx))
		h.readers.Add(1)
		go h.read(h.conn.ChannelWithSubscriptions(redis.WithChannelHealthCheckInterval(time.Second)))
	}
	h.waiting[channel] = &crowd{n: 1, wake: make(chan struct{})}
	// An error leaves the channel on the connection's list: it is asked for
	// again when there is a connection again.
	_ = h.conn.Subscribe(ctx, channel)
	return nil
}

func (h *hub) unfollow(channel string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.waiting[channel]
	if c == nil {
		return
	}
	if c.n--; c.n > 0 {
		return
	}
	delete(h.waiting, channel)
	if h.conn != nil && !h.closed {
		ctx, cancel := context.WithTimeout(context.Background(), h.s.options.Timeout)
		defer cancel()
		_ = h.conn.Unsubscribe(ctx, channel)
	}
}

// next is closed at the next news of a channel that is followed.
func (h *hub) next(channel string) <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	if c := h.waiting[channel]; c != nil {
		return c.wake
	}
	return nil
}

func (h *hub) read(news <-chan any) {
	defer h.readers.Done()
	for msg := range news {
		switch m := msg.(type) {
		case *redis.Message:
			h.rouse(m.Channel)
		case *redis.Subscription:
			h.rouse(m.Channel) // what came before it is not news
		}
	}
}

func (h *hub) rouse(channel string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if c := h.waiting[channel]; c != nil {
		close(c.wake)
		c.wake = make(chan struct{})
	}
}

func (h *hub) close() {
	h.mu.Lock()
	h.closed = true
	conn := h.conn
	h.mu.Unlock()
	if conn != nil {
		_ = conn.Close()
	}
	h.readers.Wait()
}
