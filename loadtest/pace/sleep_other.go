//go:build !linux

package pace

import "time"

// kernelSleep does nothing here: the caller spins all of the last stretch.
func kernelSleep(time.Duration) {}
