//go:build nofsync

package sqlitefile

// synchronous is OFF only in the control of the power-cut test, which must lose
// data. Build tag nofsync.
const synchronous = "OFF"
