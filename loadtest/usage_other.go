//go:build !unix

package loadtest

import "time"

// processCPU is not known here; the report then shows 0.
func processCPU() time.Duration { return 0 }
