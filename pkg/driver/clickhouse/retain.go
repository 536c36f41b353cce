package clickhouse

import (
	"context"
	"time"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// RetainEvents notes how long a namespace keeps its events. They are deleted by
// whichever gateway sweeps next.
func (s *store) RetainEvents(ctx context.Context, ns prism.Namespace, age time.Duration) error {
	if err := s.begin(ctx); err != nil {
		return err
	}
	defer s.leave()
	if err := s.decide(ctx, func() error {
		return s.note(ctx, s.schema, fact{kind: factRetain, name: string(ns), number: int64(age)})
	}); err != nil {
		return err
	}
	select {
	case s.retain <- struct{}{}:
	default:
	}
	return nil
}

// sweep deletes what is over and forgets what was stored long ago, until the
// store closes.
func (s *store) sweep() {
	ctx := s.life
	failing := false
	for begun := s.clock.Now(); ; {
		timer := s.clock.NewTimer(begun.Add(s.options.Sweep).Sub(s.clock.Now()))
		select {
		case <-timer.C:
		case <-s.retain:
			timer.Stop()
		case <-s.life.Done():
			timer.Stop()
			return
		}
		begun = s.clock.Now()
		s.windows.sweep(begun)
		err := s.sweepOver(ctx)
		if err != nil && !failing && ctx.Err() == nil {
			s.log.Warn("events that are over stay while the server does not do what it is asked", "error", err)
		}
		failing = err != nil
	}
}

// mostAtOnce is how many namespaces are swept by one mutation.
const mostAtOnce = 100

// sweepOver deletes what is over. A mutation rewrites the parts that it changes,
// so the cut of a namespace moves in steps, and those of many namespaces go
// together.
func (s *store) sweepOver(ctx context.Context) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	retentions, err := s.facts(ctx, s.schema, factRetain)
	if err != nil {
		return err
	}
	var over []fact // number: the cut
	for _, f := range retentions {
		if f.number == 0 {
			continue
		}
		f.number = s.cut(time.Duration(f.number))
		n, err := s.count(ctx, s.schema.events(), s.schema.before(f, colTime))
		if err != nil {
			return err
		}
		if n > 0 {
			over = append(over, f)
		}
	}
	for len(over) > 0 {
		some := over[:min(len(over), mostAtOnce)]
		over = over[len(some):]
		if err := s.deleteBefore(ctx, some); err != nil {
			return err
		}
	}
	return nil
}

// stepSweeps is how many sweeps a step of a cut takes at most.
const stepSweeps = 100

// cut is before which time events of an age are over: a step of a 24th of the
// age, one sweep at least and a hundred at most.
func (s *store) cut(age time.Duration) int64 {
	step := min(max(age/24, s.options.Sweep), stepSweeps*s.options.Sweep)
	return roundDown(s.clock.Now().Add(-age).UnixNano(), int64(step))
}

func (sc *schema) before(f fact, column string) string {
	return all("namespace = "+literal(f.name), column+" < "+sc.layout.moment(f.number))
}

// decide runs f while nobody else decides what has to go.
func (s *store) decide(ctx context.Context, f func() error) error {
	select {
	case s.asking <- struct{}{}:
		defer func() { <-s.asking }()
	case <-ctx.Done():
		return prism.From(ctx.Err())
	}
	return f()
}

// deleteBefore returns when all is gone, so that nobody asks for it twice.
func (s *store) deleteBefore(ctx context.Context, cuts []fact) error {
	over := func(column string) func(context.Context) (string, error) {
		return func(ctx context.Context) (string, error) {
			now, err := s.stillOver(ctx, cuts)
			if len(now) == 0 {
				return "", err
			}
			var conditions []string
			for _, f := range now {
				conditions = append(conditions, s.schema.before(f, column))
			}
			return anyOf(conditions...), err
		}
	}
	for _, r := range s.schema.rollups {
		if err := s.remove(ctx, r.table(), over("bucket")); err != nil {
			return err
		}
	}
	return s.remove(ctx, eventsTable, over(colTime))
}

// stillOver are the cuts that hold still: nobody has said since that those
// namespaces keep their events for longer.
func (s *store) stillOver(ctx context.Context, cuts []fact) (still []fact, err error) {
	retentions, err := s.facts(ctx, s.schema, factRetain)
	ages := map[string]int64{}
	for _, f := range retentions {
		ages[f.name] = f.number
	}
	for _, f := range cuts {
		if age := ages[f.name]; age != 0 && f.number <= s.cut(time.Duration(age)) {
			still = append(still, f)
		}
	}
	return still, err
}

// remove deletes rows and returns when they are gone. Rows that came after the
// server was asked are not among those that it deletes: it is asked again. The
// condition is asked for anew each time; none at all is met by no row.
func (s *store) remove(ctx context.Context, table string, condition func(context.Context) (string, error)) error {
	for patience := gonePatience; ; patience *= 2 {
		asked := ""
		err := s.decide(ctx, func() error {
			c, err := condition(ctx)
			if err != nil || c == "" {
				return err
			}
			n, err := s.count(ctx, s.schema.all(table), c)
			if err != nil || n == 0 {
				return err
			}
			asked = c
			return s.exec(ctx, "ALTER TABLE "+s.schema.table(table)+s.schema.onCluster()+" DELETE WHERE "+c)
		})
		if err != nil || asked == "" {
			return err
		}
		if gone, err := s.gone(ctx, table, asked, patience); gone || err != nil {
			return err
		}
	}
}

// Drop deletes the rows of a namespace and returns when they are gone.
func (s *store) Drop(ctx context.Context, ns prism.Namespace) error {
	if err := s.begin(ctx); err != nil {
		return err
	}
	defer s.leave()
	tables := []string{eventsTable}
	for _, r := range s.schema.rollups {
		tables = append(tables, r.table())
	}
	all := func(context.Context) (string, error) { return "namespace = " + literal(string(ns)), nil }
	for _, table := range tables {
		if err := s.remove(ctx, table, all); err != nil {
			return err
		}
	}
	if err := s.note(ctx, s.schema, fact{kind: factRetain, name: string(ns)}); err != nil {
		return err
	}
	s.windows.forget(ns)
	return nil
}

// gonePoll is how often it is looked whether rows are gone.
const gonePoll = 20 * time.Millisecond

// gonePatience is how long it is waited the first time.
const gonePatience = 4 * time.Second

// gone waits until no row is left, and not for ever.
func (s *store) gone(ctx context.Context, table, condition string, patience time.Duration) (bool, error) {
	end := time.Now().Add(patience)
	for pause := gonePoll; ; pause = min(2*pause, time.Second) {
		n, err := s.count(ctx, s.schema.all(table), condition)
		if err != nil || n == 0 || time.Now().After(end) {
			return n == 0, err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return false, prism.From(ctx.Err())
		case <-s.life.Done():
			return false, s.closedError()
		}
	}
}
