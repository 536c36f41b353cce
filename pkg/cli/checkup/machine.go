package checkup

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/iostreams"
)

// BeganAt is the first day on which this program can run: an earlier clock was
// never set.
var BeganAt = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// ClockSlack is how far two clocks may be apart.
const ClockSlack = 2 * time.Second

// Folder looks whether a folder can be written to, or made.
func Folder(id, dir string) Check {
	return One(func(context.Context) Finding { return folder(id, dir) })
}

func folder(id, dir string) Finding {
	for at := dir; ; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		if err == nil && info.IsDir() {
			f, err := os.CreateTemp(at, ".prism-doctor-*")
			if err != nil {
				return Finding{ID: id, State: Fail, Text: "the folder for " + id + " cannot be written to", Fix: "make it writable, or choose another"}
			}
			f.Close()
			os.Remove(f.Name())
			return Finding{ID: id, State: Pass, Text: "the folder for " + id + " can be written to"}
		}
		if filepath.Dir(at) == at {
			return Finding{ID: id, State: Fail, Text: "there is no folder for " + id, Fix: "set HOME, or XDG_STATE_HOME"}
		}
	}
}

// enoughFiles is what a gateway with 1,000 connections needs, with room.
const enoughFiles = 4096

// OpenFiles looks at the limit of open files.
func OpenFiles() Check { return One(func(context.Context) Finding { return files() }) }

func files() Finding {
	n, err := openFiles()
	switch {
	case err != nil:
		return Finding{ID: "files", State: Skip, Text: "the limit of open files is not known"}
	case n < enoughFiles:
		return Finding{ID: "files", State: Warn, Text: fmt.Sprintf("only %d files may be open", n), Fix: "ulimit -n 65536"}
	}
	return Finding{ID: "files", State: Pass, Text: fmt.Sprintf("%d files may be open", n)}
}

// enoughMemory is what a gateway and a store want to be at ease.
const enoughMemory = 512 << 20

// Memory looks at the memory that is free.
func Memory() Check { return One(func(context.Context) Finding { return free() }) }

func free() Finding {
	total, free, err := FreeMemory()
	switch {
	case err != nil:
		return Finding{ID: "memory", State: Skip, Text: "this system does not tell its memory"}
	case free < enoughMemory:
		return Finding{ID: "memory", State: Warn, Text: fmt.Sprintf("%s of %s of memory are free", size(free), size(total)), Fix: "end what needs much, or leave stacks out"}
	}
	return Finding{ID: "memory", State: Pass, Text: fmt.Sprintf("%s of %s of memory are free", size(free), size(total))}
}

// EnoughDisk is what data and logs should have to begin with.
const EnoughDisk = 256 << 20

// Disk looks at the room that a folder's file system has.
func Disk(dir string) Check { return One(func(context.Context) Finding { return disk(dir) }) }

func disk(dir string) Finding {
	free, err := FreeDisk(dir)
	switch {
	case err != nil:
		return Finding{ID: "disk", State: Skip, Text: "the room on the disk is not known: " + err.Error()}
	case free < EnoughDisk:
		return Finding{ID: "disk", State: Fail, Text: size(free) + " of disk are free", Fix: "make room: the stores refuse writes on a full disk"}
	}
	return Finding{ID: "disk", State: Pass, Text: size(free) + " of disk are free"}
}

// Terminal looks at what the terminal can do.
func Terminal(ios *iostreams.IOStreams) Check {
	return One(func(context.Context) Finding { return terminal(ios) })
}

func terminal(ios *iostreams.IOStreams) Finding {
	switch {
	case !ios.IsTTY(iostreams.Err):
		return Finding{ID: "terminal", State: Pass, Text: "no terminal: changes are told line by line"}
	case ios.Env("TERM") == "dumb" || ios.Env("TERM") == "":
		return Finding{ID: "terminal", State: Warn, Text: "TERM names no terminal that can be redrawn: changes are told line by line", Fix: "set TERM"}
	case !ios.UTF8():
		return Finding{ID: "terminal", State: Warn, Text: "the locale is not UTF-8: signs are drawn in ASCII", Fix: "export LANG=C.UTF-8"}
	case ios.Width() < 80:
		return Finding{ID: "terminal", State: Warn, Text: fmt.Sprintf("it is %d columns wide: tables are cut", ios.Width()), Fix: "make it 80 columns wide"}
	}
	return Finding{ID: "terminal", State: Pass, Text: "it can be redrawn"}
}

// Loopback looks whether this machine can be reached, by number and by name.
func Loopback() Check { return One(atHome) }

func atHome(ctx context.Context) Finding {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(loopback, "0"))
	if err != nil {
		return Finding{ID: "loopback", State: Fail, Text: "nothing can listen on " + loopback, Fix: "bring the interface lo up"}
	}
	l.Close()
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupHost(ctx, "localhost")
	if err != nil || len(addrs) == 0 {
		return Finding{ID: "loopback", State: Warn, Text: "the name localhost is not known", Fix: "write 127.0.0.1 localhost into the hosts file"}
	}
	for _, a := range addrs {
		if ip := net.ParseIP(a); ip == nil || !ip.IsLoopback() {
			return Finding{ID: "loopback", State: Warn, Text: "localhost is " + a, Fix: "write 127.0.0.1 localhost into the hosts file"}
		}
	}
	return Finding{ID: "loopback", State: Pass, Text: "127.0.0.1 and localhost are this machine"}
}

const loopback = "127.0.0.1"

// answerTime is how long an answer of this machine may take.
const answerTime = 2 * time.Second

func size(n uint64) string { return cli.Size(int64(n)) }
