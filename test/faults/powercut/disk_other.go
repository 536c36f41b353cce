//go:build !linux

package powercut

import "errors"

// Available says what is missing for a power cut on this machine, or "".
func Available() string { return "a power cut needs Linux" }

// Options shape a disk.
type Options struct {
	Bytes  int64
	Commit int
}

// A Disk is a file system of its own that can lose its power.
type Disk struct{}

var errLinux = errors.New("a power cut needs Linux")

// Mount fails here.
func Mount(string, Options) (*Disk, error) { return nil, errLinux }

// Small fails here.
func Small(string, int64) (func() error, error) { return nil, errLinux }

func (*Disk) Dir() string    { return "" }
func (*Disk) Cut() error     { return errLinux }
func (*Disk) Remount() error { return errLinux }
func (*Disk) Close() error   { return errLinux }
