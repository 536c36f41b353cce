package lease

import "container/list"

// Waiters are the calls that wait for a message of a queue, in the order in
// which they came. What a waiter is, the driver knows.
type Waiters struct{ l list.List }

// Add puts a waiter behind the others.
func (w *Waiters) Add(waiter any) *list.Element { return w.l.PushBack(waiter) }

// Remove takes a waiter out.
func (w *Waiters) Remove(e *list.Element) { w.l.Remove(e) }

// First is the one that waits longest, nil if none does.
func (w *Waiters) First() *list.Element { return w.l.Front() }

// Len counts them.
func (w *Waiters) Len() int { return w.l.Len() }

// rouse sets the queue's alarm, if it must ring sooner than it is set for. One
// that rings too soon finds nothing to do and is set anew.
func (q *Queue) rouse() {
	if at := q.next(); at < q.wake {
		q.engine.set(q, at)
	}
}

// Next is when the next alarm rings.
func (e *Engine) Next() int64 {
	if len(e.alarm) == 0 {
		return Never
	}
	return e.alarm[0].wake
}

// Ring does what is due in up to limit queues; true if there is more.
func (e *Engine) Ring(now int64, limit int) (more bool) {
	for ; len(e.alarm) > 0 && e.alarm[0].wake <= now; limit-- {
		if limit == 0 {
			return true
		}
		q := e.alarm[0]
		e.unset(q)
		q.Advance(now)
		e.Awake(q)
	}
	return false
}

func (e *Engine) set(q *Queue, at int64) {
	q.wake = at
	if q.alarm < 0 {
		q.alarm = int32(len(e.alarm))
		e.alarm = append(e.alarm, q)
	}
	i := int(q.alarm)
	for i > 0 && e.alarm[(i-1)/2].wake > at {
		e.swap(i, (i-1)/2)
		i = (i - 1) / 2
	}
}

func (e *Engine) unset(q *Queue) {
	i, last := int(q.alarm), len(e.alarm)-1
	e.swap(i, last)
	e.alarm[last] = nil
	e.alarm = e.alarm[:last]
	q.alarm, q.wake = -1, Never
	if i == last {
		return
	}
	e.set(e.alarm[i], e.alarm[i].wake)
	for {
		c := 2*i + 1
		if c >= last {
			return
		}
		if c+1 < last && e.alarm[c+1].wake < e.alarm[c].wake {
			c++
		}
		if e.alarm[i].wake <= e.alarm[c].wake {
			return
		}
		e.swap(i, c)
		i = c
	}
}

func (e *Engine) swap(i, j int) {
	e.alarm[i], e.alarm[j] = e.alarm[j], e.alarm[i]
	e.alarm[i].alarm, e.alarm[j].alarm = int32(i), int32(j)
}
