package clitest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// OwnMounts runs the test again in a mount namespace that ends with it, so
// that nothing it mounts is seen by others or left behind.
func OwnMounts(t *testing.T) (inside bool) {
	t.Helper()
	const mark = "MOUNTS_ARE_MY_OWN"
	if os.Getenv(mark) != "" {
		return true
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run=^"+t.Name()+"$", "-test.v="+map[bool]string{true: "true", false: "false"}[testing.Verbose()])
	cmd.Env = append(os.Environ(), mark+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	if os.Getuid() != 0 {
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		missing := "a mount namespace of its own: " + err.Error()
		if os.Getenv("PRISM_TEST_REQUIRE") == "all" {
			t.Fatal("cannot run here: " + missing)
		}
		t.Skip("NOT TESTED: " + missing)
	}
	if t.Logf("%s", out); err != nil {
		t.Error(err)
	}
	return false
}

// ReadOnly makes dir, and all that is in it, what nobody can write to.
func ReadOnly(t *testing.T, dir string) {
	t.Helper()
	mount(t, dir, dir, "", syscall.MS_BIND)
	if err := syscall.Mount("", dir, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
}

// Full makes dir a disk of its own that has what dir had, and no room for more.
func Full(t *testing.T, dir string) {
	t.Helper()
	was := t.TempDir()
	if err := os.CopyFS(was, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	mount(t, "none", dir, "tmpfs", 0)
	if err := os.CopyFS(dir, os.DirFS(was)); err != nil {
		t.Fatal(err)
	}
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		t.Fatal(err)
	}
	used := s.Blocks - s.Bfree
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT, fmt.Sprintf("size=%d", used*uint64(s.Bsize))); err != nil { //nolint:gosec // a size
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "more"), []byte("x"), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("the disk is not full: %v", err)
	}
	_ = os.Remove(filepath.Join(dir, "more"))
}

func mount(t *testing.T, from, to, kind string, flags uintptr) {
	t.Helper()
	if err := syscall.Mount(from, to, kind, flags, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(to, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

// Tree is what lies in dir, by name.
func Tree(t *testing.T, dir string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		all = append(all, path+"\n"+string(text))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
