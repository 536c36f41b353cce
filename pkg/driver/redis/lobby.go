package redis

import (
	"context"
	"sync"
	"time"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/prism"
)

const (
	// lookEvery is how often one who waits looks without having been woken.
	lookEvery = 5 * time.Second
	// lookPause is how long he leaves the server alone in any case, where one
	// message after the other becomes due and others are faster.
	lookPause = 2 * time.Millisecond
	// linger is how long a lobby stays open for the next who waits.
	linger = 10 * time.Second
)

// never is the time until something becomes due that never will.
const never = time.Duration(-1)

// A lobby is where the calls of this gateway wait that found a queue empty, or
// the end of a partition. In the script that finds nothing they say that they
// want news, so that where nobody waits nothing is told.
//
// A message of a queue is for one: one of those who wait looks when there is
// news, or when something becomes due; the others are behind him and look when
// he has got what he takes. So news wakes one Receive of each gateway.
type lobby struct {
	channel string
	turn    chan struct{} // held by the one who looks
	guests  int
	empty   time.Time // since when, if it is
}

// lobbies are those of a gateway, by channel.
type lobbies struct {
	s  *store
	mu sync.Mutex
	by map[string]*lobby
}

func newLobbies(s *store) *lobbies { return &lobbies{s: s, by: map[string]*lobby{}} }

// A visit is the wait of one call.
type visit struct {
	in    *lobbies
	lobby *lobby
	over  *clock.Timer
	looks bool // it has the turn
}

func (l *lobbies) enter(ctx context.Context, channel string, wait time.Duration) (*visit, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := l.by[channel]
	if at == nil {
		if err := l.s.news.follow(ctx, channel); err != nil {
			return nil, err
		}
		at = &lobby{channel: channel, turn: make(chan struct{}, 1)}
		l.by[channel] = at
	}
	at.guests++
	return &visit{in: l, lobby: at, over: l.s.clock.NewTimer(wait)}, nil
}

// tidy closes lobbies that have been empty for a while.
func (l *lobbies) tidy() {
	l.mu.Lock()
	var gone []string
	for channel, at := range l.by {
		if at.guests == 0 && l.s.clock.Now().Sub(at.empty) >= linger {
			delete(l.by, channel)
			gone = append(gone, channel)
		}
	}
	l.mu.Unlock()
	for _, channel := range gone {
		l.s.news.unfollow(channel)
	}
}

// next waits, as one of those for whom there is the same news, until it is time
// to look again or the visit is over.
func (v *visit) next(ctx context.Context, news <-chan struct{}, due time.Duration) (over bool, err error) {
	if !v.looks {
		select {
		case v.lobby.turn <- struct{}{}:
			v.looks = true // and nobody else: the news is ours
		default:
			over, err = v.wait(ctx, nil, v.lobby.turn, nil)
			v.looks = !over
			return over, err // there was news meanwhile, perhaps
		}
	}
	return v.pause(ctx, news, due)
}

// pause waits until it is time to look again or the visit is over.
func (v *visit) pause(ctx context.Context, news <-chan struct{}, due time.Duration) (over bool, err error) {
	if due < 0 {
		due = lookEvery
	}
	look := v.in.s.clock.NewTimer(min(max(due, lookPause), lookEvery))
	defer look.Stop()
	return v.wait(ctx, news, nil, look.C)
}

// wait waits for whatever comes first; over unless it is news, the turn, or
// time to look.
func (v *visit) wait(ctx context.Context, news <-chan struct{}, turn chan<- struct{}, look <-chan time.Time) (over bool, err error) {
	select {
	case <-news:
	case turn <- struct{}{}:
	case <-look:
	case <-v.over.C:
		return true, nil
	case <-ctx.Done():
		return true, prism.From(ctx.Err())
	case <-v.in.s.closing:
		return true, v.in.s.closedError()
	}
	return false, nil
}

// end lets the next one look.
func (v *visit) end() {
	if v.looks {
		<-v.lobby.turn
	}
	v.over.Stop()
	v.in.mu.Lock()
	defer v.in.mu.Unlock()
	if v.lobby.guests--; v.lobby.guests == 0 {
		v.lobby.empty = v.in.s.clock.Now()
	}
}
