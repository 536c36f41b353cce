package config

import (
	"context"
	"crypto/sha256"
	"time"

	"github.com/prism-data-layer/prism/pkg/clock"
)

// Watch calls changed whenever the content of the file at path is another than
// before, and returns when ctx is done. It looks every interval, and waits
// until two looks agree, so that a file that is being written is not read half.
// A file that is away is no change: editors remove and rename. It reads the
// content, as times and sizes can stay the same, and needs no help from the
// system, so it works on every file system.
func Watch(ctx context.Context, c clock.Clock, path string, interval time.Duration, changed func()) {
	told, _ := digest(path)
	last := told
	for {
		t := c.NewTimer(interval)
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-t.C:
		}
		now, ok := digest(path)
		if ok && now == last && now != told {
			told = now
			changed()
		}
		if ok {
			last = now
		}
	}
}

func digest(path string) (sum [sha256.Size]byte, ok bool) {
	data, err := ReadFile(path)
	if err != nil {
		return sum, false
	}
	return sha256.Sum256(data), true
}
