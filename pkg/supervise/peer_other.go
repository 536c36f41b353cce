//go:build !linux && !darwin

package supervise

import "net"

// peerUID is not known here: the mode of the socket's folder has to do.
func peerUID(*net.UnixConn) (uid int, known bool, err error) { return 0, false, nil }
