package sqlite

import (
	"context"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/series"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// sweepEvery is how late what is over goes.
const sweepEvery = 10 * time.Second

// sweep takes away what is over.
func (s *store) sweep() {
	for {
		timer := s.clock.NewTimer(sweepEvery)
		select {
		case <-timer.C:
		case <-s.poke:
			timer.Stop()
		case <-s.quit:
			timer.Stop()
			return
		}
		if err := s.do(context.Background(), &request{apply: (*group).sweep}); err != nil && !s.closed.Load() {
			s.log.Warn("time series were not swept", "backend", s.backend, "error", err)
		}
	}
}

// sweep removes events and receipts whose time is over, and what is known of
// when ids arrived that are no longer looked for.
func (g *group) sweep(*request) error {
	for ns, sp := range g.s.spaces {
		if g.dropped[ns] {
			continue
		}
		since := g.now - int64(sp.age) + 1
		if sp.age > 0 && sp.overdue(since) {
			if err := g.trim(ns, since); err != nil {
				return err
			}
		}
		if sp.receipts == 0 {
			continue
		}
		res, err := g.s.conn.ExecContext(context.Background(), "DELETE FROM receipts WHERE namespace = ? AND expires <= ?", sp.id, g.now)
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		if err != nil {
			return err
		}
		g.after = append(g.after, func() { sp.receipts -= n })
	}
	return g.s.exec("DELETE FROM arrivals WHERE at <= ?", g.now-int64(driver.DedupeWindow))
}

func (sp *space) overdue(since int64) bool {
	for _, p := range sp.pieces {
		if p.first < since {
			return true
		}
	}
	return false
}

// trim removes what was before since. What others of the group add is not
// looked at: it has its turn the next time.
func (g *group) trim(ns prism.Namespace, since int64) error {
	c, err := g.at(ns)
	if err != nil {
		return err
	}
	var left []*piece
	for _, p := range c.left {
		if p.first >= since {
			left = append(left, p)
			continue
		}
		var rest []*series.Chunk
		if p.last >= since {
			chunks, err := g.fetch([]*piece{p})
			if err != nil {
				g.s.log.Error("a piece of a time series cannot be swept", "backend", g.s.backend, "error", err)
				left = append(left, p)
				continue
			}
			rest = series.Merge(chunks, since)
		}
		if err := g.remove([]*piece{p}); err != nil {
			return err
		}
		if left, err = g.insert(c, left, rest); err != nil {
			return err
		}
	}
	c.left = left
	return nil
}
