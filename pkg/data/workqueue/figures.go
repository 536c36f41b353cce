package workqueue

import "context"

// Figures calls f with what each queue holds: the first by name, most of them,
// and the others together under rest. It stops at the first error.
func (s *Store) Figures(ctx context.Context, most int, rest string, f func(queue string, i Info)) {
	if s.set.Queue == nil {
		return
	}
	names, err := s.set.Queue.Queues(ctx, s.ns)
	if err != nil {
		return
	}
	var others Info
	for n, name := range names {
		i, err := s.Info(ctx, name)
		switch {
		case err != nil:
			return
		case n < most:
			f(name, i)
		default:
			others.add(&i)
		}
	}
	if len(names) > most {
		f(rest, others)
	}
}

// add sums up what can be summed.
func (i *Info) add(o *Info) {
	for _, n := range []struct {
		to   *int64
		more int64
	}{
		{&i.Ready, o.Ready},
		{&i.QueueInfo.Delayed, o.QueueInfo.Delayed},
		{&i.Leased, o.Leased},
		{&i.Dead, o.Dead},
		{&i.Bytes, o.Bytes},
		{&i.Published, o.Published},
		{&i.Delivered, o.Delivered},
		{&i.Acked, o.Acked},
		{&i.Redelivered, o.Redelivered},
	} {
		*n.to += n.more
	}
	i.OldestAge = max(i.OldestAge, o.OldestAge)
}
