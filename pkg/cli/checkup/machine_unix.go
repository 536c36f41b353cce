//go:build unix

package checkup

import (
	"bufio"
	"errors"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// openFiles is how many files a process may have open.
func openFiles() (uint64, error) {
	var l unix.Rlimit
	err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l)
	return uint64(l.Cur), err
}

// FreeDisk is the room that a folder's file system has for us.
func FreeDisk(dir string) (uint64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, err
	}
	return uint64(s.Bavail) * uint64(s.Bsize), nil //nolint:unconvert // the types differ between systems
}

// FreeMemory is what the machine has and what is free of it, in bytes.
func FreeMemory() (total, free uint64, err error) {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		name, rest, _ := strings.Cut(lines.Text(), ":")
		kib, _ := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64) //nolint:errcheck // 0 is not known
		switch name {
		case "MemTotal":
			total = kib << 10
		case "MemAvailable":
			free = kib << 10
		}
	}
	if total == 0 {
		err = errors.New("the system does not tell")
	}
	return total, free, err
}
