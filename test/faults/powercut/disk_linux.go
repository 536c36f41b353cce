package powercut

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Available says what is missing for a power cut on this machine, or "".
func Available() string {
	if os.Geteuid() != 0 {
		return "a power cut needs root"
	}
	for _, tool := range [...]string{"mkfs.ext4", "mount", "umount", "losetup"} {
		if _, err := exec.LookPath(tool); err != nil {
			return "a power cut needs " + tool
		}
	}
	if _, err := os.Stat("/dev/loop-control"); err != nil {
		return "a power cut needs loop devices"
	}
	return ""
}

// Options shape a disk.
type Options struct {
	Bytes  int64 // 256 MiB if zero
	Commit int   // ext4's commit interval in seconds; 5 if zero
}

// A Disk is a file system of its own that can lose its power.
type Disk struct {
	image, mount, loop string
	flags              string
}

// Mount makes an ext4 in the folder dir and mounts it. The caller closes it,
// whatever happens.
func Mount(dir string, o Options) (*Disk, error) {
	if o.Bytes == 0 {
		o.Bytes = 256 << 20
	}
	if o.Commit == 0 {
		o.Commit = 5
	}
	d := &Disk{
		image: filepath.Join(dir, "disk.img"), mount: filepath.Join(dir, "disk"),
		flags: fmt.Sprintf("commit=%d", o.Commit),
	}
	f, err := os.Create(d.image)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(f.Truncate(o.Bytes), f.Close()); err != nil {
		return nil, err
	}
	if _, err := run("mkfs.ext4", "-qF", d.image); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(d.mount, 0o700); err != nil {
		return nil, err
	}
	if d.loop, err = run("losetup", "--find", "--show", d.image); err != nil {
		return nil, err
	}
	if _, err := run("mount", "-o", d.flags, d.loop, d.mount); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// Dir is where the disk is mounted.
func (d *Disk) Dir() string { return d.mount }

// Cut takes the power away: from now on the disk fails every call, and what
// was not synced, journal included, never reaches it.
func (d *Disk) Cut() error {
	const (
		extShutdown = 0x8004587d // _IOR('X', 125, __u32)
		noLogFlush  = 2
	)
	f, err := os.Open(d.mount)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.IoctlSetPointerInt(int(f.Fd()), extShutdown, noLogFlush)
}

// Remount brings the disk back. The process that used it must be dead.
//
// A container that begins at this moment has a copy of the mount for a while, and
// the system then gives the disk back as it was: without power. So it is tried
// again until it takes a file.
func (d *Disk) Remount() error {
	var err error
	for range 100 {
		if err = d.unmount(); err != nil {
			return err
		}
		if _, err = run("mount", "-o", d.flags, d.loop, d.mount); err != nil {
			return err
		}
		probe := filepath.Join(d.mount, ".probe")
		if err = errors.Join(os.WriteFile(probe, nil, 0o600), os.Remove(probe)); err == nil {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return fmt.Errorf("the disk has no power yet: %w", err)
}

func (d *Disk) unmount() (err error) {
	for range 100 { // a killed process lets go of its files a moment later
		if err = unix.Unmount(d.mount, 0); err == nil || errors.Is(err, unix.EINVAL) {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return fmt.Errorf("unmount %s: %w", d.mount, err)
}

// Close unmounts and removes the disk, by force if need be.
func (d *Disk) Close() error {
	err := d.unmount()
	if err != nil {
		err = errors.Join(err, unix.Unmount(d.mount, unix.MNT_DETACH))
	}
	if d.loop != "" {
		_, lerr := run("losetup", "--detach", d.loop)
		err = errors.Join(err, lerr)
	}
	return errors.Join(err, os.Remove(d.image))
}

// Small mounts a memory disk of that size in dir, to be filled up. The caller
// calls the function it returns.
func Small(dir string, bytes int64) (unmount func() error, err error) {
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", bytes)); err != nil {
		return nil, fmt.Errorf("mount a tmpfs: %w", err)
	}
	return func() error {
		if err := unix.Unmount(dir, 0); err != nil {
			return errors.Join(err, unix.Unmount(dir, unix.MNT_DETACH))
		}
		return nil
	}, nil
}

func run(name string, args ...string) (string, error) {
	out, err := exec.Command(name, args...).CombinedOutput()
	text := strings.TrimSpace(string(out))
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, text)
	}
	return text, nil
}
