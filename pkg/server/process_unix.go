//go:build unix

package server

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// lockDir makes the data folder this process's own.
func (s *Server) lockDir(context.Context) error {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return prism.New(prism.ReasonFailedPrecond, "cannot make the data folder").WithCause(err)
	}
	f, err := os.OpenFile(filepath.Join(s.dir, "prismd.lock"), os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return prism.New(prism.ReasonFailedPrecond, "cannot open the lock of the data folder").WithCause(err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		holder, _ := io.ReadAll(io.LimitReader(f, 32)) //nolint:errcheck // only for the message
		f.Close()
		return prism.New(prism.ReasonFailedPrecond, "the data folder is in use by another prismd (pid %s)", strings.TrimSpace(string(holder)))
	}
	s.lock = f
	if err := f.Truncate(0); err != nil {
		return fmt.Errorf("write the lock: %w", err)
	}
	_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

// usage is the memory that the process holds and the CPU time it has used.
func usage() (rss int64, cpu float64) {
	var r unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &r) == nil {
		cpu = float64(r.Utime.Sec+r.Stime.Sec) + float64(r.Utime.Usec+r.Stime.Usec)/1e6
	}
	if text, err := os.ReadFile("/proc/self/statm"); err == nil { // Linux only; 0 elsewhere
		if fields := strings.Fields(string(text)); len(fields) > 1 {
			pages, _ := strconv.ParseInt(fields[1], 10, 64) //nolint:errcheck // 0 is "not known"
			rss = pages * int64(os.Getpagesize())
		}
	}
	return rss, cpu
}
