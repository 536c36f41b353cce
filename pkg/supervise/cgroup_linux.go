package supervise

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// cgroupPrefix marks the cgroups that are ours to kill.
const cgroupPrefix = "prism-"

// cgroupName is the folder of one supervisor's services.
func cgroupName(id string) string { return cgroupPrefix + id }

// ownCgroup finds where this process may make cgroups: its own cgroup in the
// version 2 tree, be that the only one or the "unified" part of a hybrid.
func ownCgroup() (string, error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", err
	}
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", err
	}
	return cgroupIn(string(mounts), string(own))
}

// cgroupIn joins the two tables of /proc.
func cgroupIn(mountinfo, own string) (string, error) {
	path := ""
	for line := range strings.Lines(own) {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			path = rest
		}
	}
	if path == "" {
		return "", fmt.Errorf("this process is in no version 2 cgroup")
	}
	for line := range strings.Lines(mountinfo) {
		// 41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
		left, right, ok := strings.Cut(line, " - ")
		f := strings.Fields(left)
		if !ok || len(f) < 5 || !strings.HasPrefix(right, "cgroup2 ") {
			continue
		}
		root, mount := unescape(f[3]), unescape(f[4])
		// In a container the mount shows only a part of the tree.
		rel, err := filepath.Rel(root, path)
		if err != nil || strings.HasPrefix(rel, "..") {
			rel = "."
		}
		return filepath.Join(mount, rel), nil
	}
	return "", fmt.Errorf("no cgroup2 file system is mounted")
}

// unescape undoes the octal escapes of mountinfo.
func unescape(s string) string {
	for _, e := range [][2]string{{`\040`, " "}, {`\011`, "\t"}, {`\012`, "\n"}, {`\134`, `\`}} {
		s = strings.ReplaceAll(s, e[0], e[1])
	}
	return s
}

// openCgroups makes the folder for a supervisor's services, or says why it
// cannot; then process groups have to do.
func openCgroups(id string) (string, error) {
	base, err := ownCgroup()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(base, cgroupName(id))
	if err := os.Mkdir(dir, 0o755); err != nil && !os.IsExist(err) {
		return "", err
	}
	// Before 5.14 there is no cgroup.kill; the scan by process group is the
	// better tool than a loop that races with forks.
	if _, err := os.Stat(filepath.Join(dir, "cgroup.kill")); err != nil {
		os.Remove(dir)
		return "", err
	}
	return dir, nil
}

// ourCgroup reports whether dir, read from a file, may be killed: a folder of
// the named supervisor in the cgroup tree and nothing else.
func ourCgroup(dir, id string) bool {
	if dir == "" || filepath.Clean(dir) != dir || !filepath.IsAbs(dir) {
		return false
	}
	if filepath.Base(filepath.Dir(dir)) != cgroupName(id) {
		return false
	}
	var fs syscall.Statfs_t
	const cgroup2Magic = 0x63677270
	return syscall.Statfs(dir, &fs) == nil && fs.Type == cgroup2Magic
}

func cgroupKill(dir string) {
	f, err := os.OpenFile(filepath.Join(dir, "cgroup.kill"), os.O_WRONLY, 0)
	if err != nil {
		return
	}
	defer f.Close()
	f.WriteString("1")
}

// cgroupEmpty reports whether nothing runs in dir or below; zombies do not count.
func cgroupEmpty(dir string) bool {
	b, err := os.ReadFile(filepath.Join(dir, "cgroup.events"))
	return err != nil || strings.Contains(string(b), "populated 0")
}

func cgroupPids(dir string) []int {
	var out []int
	filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return nil
		}
		f, err := os.Open(filepath.Join(path, "cgroup.procs"))
		if err != nil {
			return nil
		}
		defer f.Close()
		for sc := bufio.NewScanner(f); sc.Scan(); {
			if pid, err := strconv.Atoi(sc.Text()); err == nil {
				out = append(out, pid)
			}
		}
		return nil
	})
	return out
}

// removeCgroup removes dir and the cgroups below it, which must be empty.
func removeCgroup(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			removeCgroup(filepath.Join(dir, e.Name()))
		}
	}
	// The kernel may take a moment to let go of a process that just ended.
	for i := 0; ; i++ {
		if err = syscall.Rmdir(dir); err != syscall.EBUSY || i == 50 {
			break
		}
		time.Sleep(2 * time.Millisecond)
	}
	return err
}

// sweepCgroups ends whatever an earlier supervisor of this id left, even when
// its state file is lost. The caller holds the lock, so nobody else uses it.
func sweepCgroups(id string) (killed int) {
	base, err := ownCgroup()
	if err != nil {
		return 0
	}
	dir := filepath.Join(base, cgroupName(id))
	if _, err := os.Stat(dir); err != nil {
		return 0
	}
	p := Process{Cgroup: dir}
	killed = len(p.members())
	p.killTree(killBound)
	p.forget()
	return killed
}
