// Package powercut takes the power away from a real process: an ext4 on a loop
// device that is shut down under it, so that what was not synced is gone as it
// would be on a machine. SIGKILL cannot show that, because the page cache
// outlives the process.
//
// The recipe: Mount, start the process with its data in Disk.Dir, let clients
// write, take the snapshot of what was acked, Cut, SIGKILL the process, Remount,
// start again, read back. It needs root and Linux; Available says why not.
//
// A durability test is worth its control: run the same with a build that does
// not fsync (build tag nofsync), which must lose.
package powercut
