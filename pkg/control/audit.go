package control

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// An AuditRecord says who did what, or was refused.
type AuditRecord struct {
	ID        int64
	Time      time.Time // zero: now
	Actor     string
	Method    string // the full method name
	Resource  string
	Decision  string // "allowed" or "denied"
	Result    string // the reason of the error, or "OK"
	RequestID string
	TraceID   string
	Peer      string
	Latency   time.Duration
	Calls     int64  // how many calls it stands for; 0: one. Of several, the rest is that of the last, and Latency the longest
	Detail    string // what became of it, for people

	read bool // see AuditRead
}

const (
	// AuditRetention is how long records are kept.
	AuditRetention = 90 * 24 * time.Hour

	auditQueue  = 4096
	auditBatch  = 256
	purgePeriod = time.Hour
	purgeBatch  = 5000
	retryPeriod = time.Second
)

// An auditor writes records behind its callers, in batches of what has come
// together while the disk was busy.
type auditor struct {
	s       *Store
	records chan AuditRecord
	flush   chan chan error
	quit    chan struct{}
	stopped chan struct{}
	purgeAt time.Time
	polls   polls
	once    sync.Once
	sending sync.RWMutex // held for reading over a send, so that close can tell the last
	err     error        // what was lost; owned by run until stopped
}

func newAuditor(s *Store) *auditor {
	a := &auditor{
		s: s, records: make(chan AuditRecord, auditQueue), flush: make(chan chan error),
		quit: make(chan struct{}), stopped: make(chan struct{}), polls: polls{},
	}
	go a.run()
	return a
}

// Audit takes a record. It is durable some milliseconds later, at the latest
// when Close has returned. While the disk does not keep up, Audit waits: a
// record is never dropped. An error means that it was not taken, and the call
// that it is about must not be answered as if it was.
func (s *Store) Audit(ctx context.Context, r AuditRecord) error {
	if r.Time.IsZero() {
		r.Time = s.now()
	}
	r.Calls = max(r.Calls, 1)
	a := s.audit
	a.sending.RLock()
	defer a.sending.RUnlock()
	select {
	case <-a.quit:
		return closedError()
	default:
	}
	select {
	case a.records <- r:
		return nil
	case <-a.quit:
		return closedError()
	case <-ctx.Done():
		return prism.From(ctx.Err())
	}
}

// AuditRead is Audit for a call that was let in and has changed nothing. The
// first is recorded as any other; those that come within a minute of it, of one
// actor at one place, to one method and about one thing, are recorded together
// when the minute is over, and so on while they come.
func (s *Store) AuditRead(ctx context.Context, r AuditRecord) error {
	r.read = true
	return s.Audit(ctx, r)
}

// FlushAudit returns once every record that was taken before is durable, but for
// reads whose minute is not over.
func (s *Store) FlushAudit(ctx context.Context) error {
	done := make(chan error, 1)
	select {
	case s.audit.flush <- done:
	case <-s.audit.stopped:
		return closedError()
	case <-ctx.Done():
		return prism.From(ctx.Err())
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return prism.From(ctx.Err())
	}
}

func (a *auditor) run() {
	defer close(a.stopped)
	a.purge()
	a.purgeAt = a.s.now().Add(purgePeriod)
	for {
		t := a.s.clock.NewTimer(a.polls.next(a.purgeAt).Sub(a.s.now()))
		select {
		case r := <-a.records:
			// An error says that the store is being closed: quit comes next.
			a.err = a.write(a.polls.fold(a.s.now(), a.gather([]AuditRecord{r})))
		case done := <-a.flush:
			done <- a.drain()
		case <-t.C:
			a.err = a.tick()
		case <-a.quit:
			t.Stop()
			a.err = errors.Join(a.err, a.end())
			return
		}
		t.Stop()
	}
}

// gather adds what waits, up to a batch.
func (a *auditor) gather(batch []AuditRecord) []AuditRecord {
	for len(batch) < auditBatch {
		select {
		case r := <-a.records:
			batch = append(batch, r)
		default:
			return batch
		}
	}
	return batch
}

// tick does what is due.
func (a *auditor) tick() error {
	now := a.s.now()
	if !now.Before(a.purgeAt) {
		a.purge()
		a.purgeAt = now.Add(purgePeriod)
	}
	return a.write(a.polls.over(now))
}

// end writes all that there is.
func (a *auditor) end() error {
	err := a.drain()
	return errors.Join(err, a.write(a.polls.rest()))
}

// drain writes all that waits.
func (a *auditor) drain() error {
	for {
		batch := a.gather(nil)
		if len(batch) == 0 {
			return nil
		}
		if err := a.write(a.polls.fold(a.s.now(), batch)); err != nil {
			return err
		}
	}
}

// write tries until the records are on the disk. Only a store that is being
// closed gives up, and says how many were lost.
func (a *auditor) write(batch []AuditRecord) error {
	if len(batch) == 0 {
		return nil
	}
	for {
		err := a.insert(batch)
		if err == nil {
			return nil
		}
		a.s.log.Error("audit records not written, trying again", "records", len(batch), "error", err)
		t := a.s.clock.NewTimer(retryPeriod)
		select {
		case <-t.C:
		case <-a.quit:
			t.Stop()
			if err = a.insert(batch); err != nil {
				a.s.log.Error("audit records lost", "records", len(batch), "error", err)
			}
			return err
		}
	}
}

func (a *auditor) insert(batch []AuditRecord) error {
	return a.s.writer.write(context.Background(), "write the audit trail", func(t *tx) error {
		for _, r := range batch {
			if err := t.exec(`INSERT INTO audit (time, actor, method, resource, decision, result, request, trace, peer, latency, calls, detail)
				VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
				millis(r.Time), r.Actor, r.Method, r.Resource, r.Decision, r.Result, r.RequestID, r.TraceID, r.Peer, r.Latency.Microseconds(), r.Calls, r.Detail); err != nil {
				return err
			}
		}
		return nil
	}, nil)
}

// purge deletes what is older than the retention, a part at a time, so that
// writers get their turn.
func (a *auditor) purge() {
	limit := millis(a.s.now().Add(-AuditRetention))
	for {
		var n int64
		err := a.s.writer.write(context.Background(), "purge the audit trail", func(t *tx) (err error) {
			n, err = t.execCount("DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE time < ? LIMIT ?)", limit, purgeBatch)
			return err
		}, nil)
		if err != nil {
			a.s.log.Warn("audit trail not purged", "error", err)
			return
		}
		if n < purgeBatch {
			return
		}
	}
}

// close writes what is left. Senders that were let in before are waited for.
func (a *auditor) close() error {
	if a == nil {
		return nil
	}
	a.once.Do(func() { close(a.quit) })
	<-a.stopped
	// A sender that looked at quit just before may have left a record behind.
	a.sending.Lock()
	defer a.sending.Unlock()
	if err := a.end(); err != nil {
		return err
	}
	return a.err
}

// An AuditFilter chooses records; zero fields choose all.
type AuditFilter struct {
	Actor    string
	Method   string
	Resource string
	Since    time.Time // at or after
	Until    time.Time // before
}

// AuditRecords lists the audit trail, the newest first, with the position of
// the next page (empty: none). What FlushAudit makes durable is in it.
func (s *Store) AuditRecords(ctx context.Context, f AuditFilter, p Page) (records []AuditRecord, next string, err error) {
	before, err := p.before()
	if err != nil {
		return nil, "", err
	}
	if err := s.FlushAudit(ctx); err != nil {
		return nil, "", err
	}
	where, args := f.where(before)
	// At most 32 texts, which stay prepared.
	err = s.query(ctx, "list the audit trail",
		`SELECT id, time, actor, method, resource, decision, result, request, trace, peer, latency, calls, detail
		FROM audit WHERE `+where+` ORDER BY id DESC LIMIT ?`, append(args, p.limit()+1),
		func(rows *sql.Rows) error {
			var r AuditRecord
			var ms, us int64
			if err := rows.Scan(&r.ID, &ms, &r.Actor, &r.Method, &r.Resource, &r.Decision, &r.Result, &r.RequestID, &r.TraceID, &r.Peer, &us, &r.Calls, &r.Detail); err != nil {
				return err
			}
			if len(records) == p.limit() {
				next = strconv.FormatInt(records[len(records)-1].ID, 10)
				return nil
			}
			r.Time, r.Latency = fromMillis(ms), time.Duration(us)*time.Microsecond
			records = append(records, r)
			return nil
		})
	return records, next, err
}

func (f AuditFilter) where(before int64) (string, []any) {
	parts, args := []string{"id < ?"}, []any{before}
	add := func(used bool, part string, arg any) {
		if used {
			parts, args = append(parts, part), append(args, arg)
		}
	}
	add(f.Actor != "", "actor = ?", f.Actor)
	add(f.Method != "", "method = ?", f.Method)
	add(f.Resource != "", "resource = ?", f.Resource)
	add(!f.Since.IsZero(), "time >= ?", millis(f.Since))
	add(!f.Until.IsZero(), "time < ?", millis(f.Until))
	return strings.Join(parts, " AND "), args
}
