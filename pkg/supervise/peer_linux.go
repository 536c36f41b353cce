package supervise

import (
	"net"

	"golang.org/x/sys/unix"
)

// peerUID is the user at the other end, by the kernel's word.
func peerUID(conn *net.UnixConn) (uid int, known bool, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, false, err
	}
	var cred *unix.Ucred
	var sockErr error
	if err := raw.Control(func(fd uintptr) {
		cred, sockErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return 0, false, err
	}
	if sockErr != nil {
		return 0, false, sockErr
	}
	return int(cred.Uid), true, nil
}
