package memory

// A due says when an entry ends; the entry of a key that never does has none.
type due struct {
	ttl   int64 // last given, in nanoseconds
	index int   // in the queue
}

// A queue is a heap of entries by expiry, each knowing its place, so that a key
// written over and over leaves nothing behind.
type queue []queued

type queued struct {
	at int64 // milliseconds
	e  *entry
}

func (q *queue) set(e *entry, at int64) {
	if e.due.index < 0 {
		e.due.index = len(*q)
		*q = append(*q, queued{at, e})
	}
	(*q)[e.due.index].at = at
	q.up(e.due.index)
	q.down(e.due.index)
}

func (q *queue) remove(e *entry) {
	i, last := e.due.index, len(*q)-1
	q.swap(i, last)
	(*q)[last] = queued{}
	*q = (*q)[:last]
	if i < last {
		q.up(i)
		q.down(i)
	}
	e.due.index = -1
}

func (q *queue) swap(i, j int) {
	s := *q
	s[i], s[j] = s[j], s[i]
	s[i].e.due.index, s[j].e.due.index = i, j
}

func (q *queue) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if (*q)[parent].at <= (*q)[i].at {
			return
		}
		q.swap(i, parent)
		i = parent
	}
}

func (q *queue) down(i int) {
	for {
		least := i
		for c := 2*i + 1; c <= 2*i+2 && c < len(*q); c++ {
			if (*q)[c].at < (*q)[least].at {
				least = c
			}
		}
		if least == i {
			return
		}
		q.swap(i, least)
		i = least
	}
}
