package lease

import (
	"fmt"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// longest bounds what is added to a time, so that nothing wraps.
const longest = 100 * 365 * 24 * time.Hour

// CheckQueue refuses a name or settings that no queue has.
func CheckQueue(name string, o driver.QueueOptions) error {
	switch {
	case !prism.ValidName(name):
		return prism.InvalidField("queue", "must match [a-z][a-z0-9-]{0,62}")
	case o.Lease <= 0 || o.Lease > longest:
		return prism.InvalidField("lease", "must be positive")
	case o.MaxAttempts < 0:
		return prism.InvalidField("max_attempts", "must not be negative")
	case o.Retention < 0 || o.Retention > longest:
		return prism.InvalidField("retention", "must not be negative")
	}
	return nil
}

// Same refuses settings that are not the queue's.
func (q *Queue) Same(o driver.QueueOptions) error {
	if q.Options == o {
		return nil
	}
	return prism.New(prism.ReasonAlreadyExists, "queue %q is there with other settings", q.Queue)
}

// CheckMessage refuses what cannot be published.
func CheckMessage(m *driver.QueueMessage) error {
	switch {
	case m.Delay < 0 || m.Delay > longest:
		return prism.InvalidField("delay", "must not be negative")
	case m.Priority < 0 || m.Priority > driver.MaxPriority:
		return prism.InvalidField("priority", "must be 0 to 9")
	}
	return nil
}

// CheckReceive refuses what cannot be asked for.
func CheckReceive(r driver.QueueReceive) error {
	switch {
	case r.Max < 1:
		return prism.InvalidField("max", "must be positive")
	case r.Bytes < 0:
		return prism.InvalidField("bytes", "must not be negative")
	case r.Lease < 0 || r.Lease > longest:
		return prism.InvalidField("lease", "must not be negative")
	case r.Wait < 0:
		return prism.InvalidField("wait", "must not be negative")
	}
	return nil
}

// Fresh is a message that is published now and ready at a time.
func Fresh(m *driver.QueueMessage, id uint64, now, at int64) Message {
	f := Message{ID: id, Key: m.Key, Size: m.Size(), Priority: m.Priority, State: driver.QueueReady, At: at, Born: at}
	if at > now {
		f.State = driver.QueueLater
	}
	return f
}

// Passed is why a message whose last lease has passed is a dead letter.
func (q *Queue) Passed(s Slot) string {
	return fmt.Sprintf("not acknowledged in %d deliveries", q.engine.at(s).attempts)
}
