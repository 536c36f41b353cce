package control

import (
	"net"
	"time"
)

const (
	pollPeriod = time.Minute
	mostPolls  = 4096 // more are recorded one by one
)

// A poll is what reads have alike that are recorded together. The port is not
// part of it, for each connection has another; the host is, so that a key in
// other hands does not hide behind its owner's dashboard.
type poll struct{ actor, method, resource, host string }

// A folded is the reads of a poll since its last record.
type folded struct {
	AuditRecord           // of the last; Calls 0: there was none
	until       time.Time // the next record
}

// polls are the reads that were recorded a minute ago at most. Only the auditor's
// goroutine has them.
type polls map[poll]*folded

// fold keeps reads that were just recorded from being so again, and answers the
// rest of the batch, whose room it uses.
func (p polls) fold(now time.Time, batch []AuditRecord) []AuditRecord {
	left := batch[:0]
	for _, r := range batch {
		if r.read && p.take(now, r) {
			continue
		}
		left = append(left, r)
	}
	return left
}

func (p polls) take(now time.Time, r AuditRecord) bool {
	host, _, err := net.SplitHostPort(r.Peer)
	if err != nil {
		host = r.Peer
	}
	key := poll{r.Actor, r.Method, r.Resource, host}
	f := p[key]
	if f == nil {
		if len(p) < mostPolls {
			p[key] = &folded{until: now.Add(pollPeriod)}
		}
		return false
	}
	r.Calls, r.Latency = f.Calls+1, max(f.Latency, r.Latency)
	f.AuditRecord = r
	return true
}

// over answers the records that are due; a poll that has stopped is forgotten.
func (p polls) over(now time.Time) (due []AuditRecord) {
	for key, f := range p {
		switch {
		case now.Before(f.until):
		case f.Calls == 0:
			delete(p, key)
		default:
			due = append(due, f.AuditRecord)
			f.AuditRecord, f.until = AuditRecord{}, now.Add(pollPeriod)
		}
	}
	return due
}

// rest answers all that is not recorded yet.
func (p polls) rest() (due []AuditRecord) {
	for _, f := range p {
		if f.Calls > 0 {
			due = append(due, f.AuditRecord)
		}
	}
	clear(p)
	return due
}

// next is when something is due: at the latest when is.
func (p polls) next(when time.Time) time.Time {
	for _, f := range p {
		if f.until.Before(when) {
			when = f.until
		}
	}
	return when
}
