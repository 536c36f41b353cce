//go:build !nofsync

package pebble

// fsyncs is false only in the control of the power-cut test, which must lose
// data. Build tag nofsync.
const fsyncs = true
