package redis

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/prism-data-layer/prism/pkg/driver"
)

const (
	// sweepEvery is how late an expiry is told of at most, while all goes well.
	sweepEvery = 250 * time.Millisecond
	// sweepSlots is how many slots of a cluster are looked at in one round: so all of
	// 4,096 within a second, and all there are within four.
	sweepSlots = 1024
	// sweepMost is how many namespaces, or buckets, of one list are swept in a round.
	sweepMost = 1000
)

// sweep does what is due, on every gateway: who comes first does it.
func (s *store) sweep() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	failing, next := false, 0
	var lines time.Time
	for {
		timer := s.clock.NewTimer(sweepEvery)
		select {
		case <-timer.C:
		case <-s.closing:
			timer.Stop()
			return
		}
		var err error
		next, err = s.sweepDue(ctx, next)
		if now := s.clock.Now(); err == nil && now.Sub(lines) >= linesEvery {
			s.lobbies.tidy()
			lines, err = now, s.sweepLines(ctx)
		}
		if err != nil && !failing {
			s.log.Warn("expired keys are not told of while the server does not do what it is asked", "error", err)
		}
		failing = err != nil
	}
}

// sweepDue looks at the lists of what is due, on a cluster from a slot on, and gives the
// slot for the round after. A node that is gone does not keep it from the others.
func (s *store) sweepDue(ctx context.Context, from int) (next int, err error) {
	if s.unsure.Load() {
		if err := s.settle(ctx); err != nil {
			return from, err
		}
	}
	lists := []string{dueKey}
	if s.slots != nil {
		if lists, next, err = s.dueLists(ctx, from); err != nil || len(lists) == 0 {
			return next, err
		}
	}
	now, err := s.client.Time(ctx).Result()
	if err != nil {
		return next, s.classify(ctx, err)
	}
	pipe := s.client.Pipeline()
	due := make([]*redis.StringSliceCmd, len(lists))
	for i, list := range lists {
		due[i] = pipe.ZRangeArgs(ctx, redis.ZRangeArgs{Key: list, ByScore: true, Start: "-inf", Stop: now.UnixMilli(), Count: sweepMost})
	}
	_, err = pipe.Exec(ctx)
	for _, d := range due {
		for _, p := range d.Val() {
			for more, failed := true, error(nil); more; {
				if more, failed = s.sweepOne(ctx, p); failed != nil {
					err = failed
				}
				select {
				case <-s.closing:
					return next, nil
				default:
				}
			}
		}
	}
	return next, s.classify(ctx, err)
}

// dueLists are the lists of the slots of a cluster in which something was ever due, at
// most so many from a slot on. It tells other gateways of those that this one has met.
func (s *store) dueLists(ctx context.Context, from int) (lists []string, next int, err error) {
	told, err := s.client.Get(ctx, slotsKey).Result()
	if err != nil && !missing(err) {
		return nil, from, err
	}
	pipe := s.client.Pipeline()
	for slot := range slotCount {
		known := slot/8 < len(told) && told[slot/8]&(0x80>>(slot%8)) != 0
		switch mine := s.slots.isUsed(slot); {
		case mine && !known:
			pipe.SetBit(ctx, slotsKey, int64(slot), 1)
		case known:
			s.slots.use(slot)
		}
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, from, err
	}
	for slot := from; slot < slotCount; slot++ {
		if !s.slots.isUsed(slot) {
			continue
		}
		if len(lists) == sweepSlots {
			return lists, slot, nil
		}
		lists = append(lists, s.slots.list(slot))
	}
	return lists, 0, nil
}

// sweepOne does part of what is due for what begins with a prefix.
func (s *store) sweepOne(ctx context.Context, p string) (more bool, err error) {
	n, err := s.run(ctx, sweepScript, s.keys(sweepScript, p), s.common(p, driver.HistoryAge.Microseconds())...).Int()
	return n == 1, s.classify(ctx, err)
}

// common are the arguments that every script of a namespace has, and more.
func (s *store) common(p string, more ...any) []any {
	history := s.options.History
	if s.spread {
		history = 0
	}
	return append([]any{p, s.channel(p), history, s.options.Receipts}, more...)
}
