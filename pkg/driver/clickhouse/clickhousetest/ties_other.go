//go:build !linux

package clickhousetest

import "syscall"

// Other systems have no way to freeze a process that all of them share.
const (
	freeze = syscall.SIGINT
	thaw   = syscall.SIGINT
)

func ties() *syscall.SysProcAttr { return nil }

func stopped(int) error { return nil }
