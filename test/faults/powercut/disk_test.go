package powercut_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/prism-data-layer/prism/test/faults/powercut"
)

// A container that begins while the power is away has a copy of the mount, which
// keeps the disk as it is for as long as it is there.
func TestADiskHasItsPowerBackWhoeverElseHasMountedIt(t *testing.T) {
	powercut.Need(t, powercut.Available())
	disk, err := powercut.Mount(t.TempDir(), powercut.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := disk.Close(); err != nil {
			t.Error(err)
		}
	}()
	other := exec.Command("unshare", "--mount", "--propagation", "private", "sh", "-c", "echo; exec sleep 1")
	out, err := other.StdoutPipe()
	if err == nil {
		err = other.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Wait() }()
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if err := disk.Cut(); err != nil {
		t.Fatal(err)
	}
	if err := disk.Remount(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(disk.Dir(), "file"), []byte("x"), 0o600); err != nil {
		t.Errorf("a disk with power: %v", err)
	}
}
