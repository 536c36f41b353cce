package loadtest

import (
	"os"
	"runtime"
	"time"
)

// usage is what the process has used so far.
type usage struct {
	cpu      time.Duration
	gcPauses uint32
	gcPaused time.Duration
}

func usageNow() usage {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return usage{cpu: processCPU(), gcPauses: m.NumGC, gcPaused: time.Duration(m.PauseTotalNs)}
}

// openFiles counts file descriptors where the system tells; 0 elsewhere.
func openFiles() int {
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(names)
}
