package pace

import (
	"syscall"
	"time"
)

// kernelSleep wakes some 60 µs late where a Go timer wakes up to 1 ms late. A
// signal ends it early, which the spinning after it makes good.
func kernelSleep(d time.Duration) {
	ts := syscall.NsecToTimespec(int64(d))
	_ = syscall.Nanosleep(&ts, nil)
}
