// Package supervise runs and watches the child processes of `prismctl dev up`.
//
// It promises:
//
//   - A service's listening sockets belong to the supervisor. They are opened
//     once, before anything starts, and handed to each start of the child as
//     systemd does it, so that a restart refuses no connection: callers wait in
//     the backlog.
//   - Nothing is left behind. A service is everything that its process ever
//     forked; on Linux it lives in a cgroup of its own and dies through
//     cgroup.kill. A small watcher process ends it all when the supervisor
//     itself is killed, and gives each the time to stop that its Spec asks for.
//     When both are killed, the next Open ends what it finds; it adopts nothing.
//   - Status is true. A process is told apart by pid, start time, program and a
//     nonce in its environment; a pid that was given to somebody else is never
//     called alive and never signalled.
//   - Only time awake counts. A machine that was suspended restarts nobody and
//     calls nobody late.
//   - A build that fails touches nothing: with [Rebuild] a service is started
//     anew from changed sources only when they compile.
//   - A flood of output costs the reader that is too slow some lines, and
//     nobody else anything.
//   - One supervisor per folder, by a lock that the kernel releases.
//
// How strong "nothing is left behind" is depends on the system:
//
//	linux, cgroup v2 writable   every descendant, always
//	linux, otherwise            descendants found by process group, by parent
//	                            and by the nonce and the project in their
//	                            environment; one that changes all of these escapes
//	darwin and other unix       the process group and the watcher; a child that
//	                            leaves its group escapes
//	windows                     a job object that dies with the supervisor; no
//	                            hand-over of listeners. Built and vetted, not tested
//
// A program that uses this package calls [Reexec] as the first thing in main:
// the watcher, and the shim that sets LISTEN_PID, are its own binary again.
package supervise
