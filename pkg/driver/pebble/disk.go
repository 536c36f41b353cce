package pebble

import (
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// disk is the file system that pebble works on. Pebble gives up for good when
// its log or manifest meets a full disk, so a disk in use never lets them see
// one: writes are refused above pebble while a reserve is left (see room), and
// should somebody else eat that up too, file writes wait here until space is
// back. Tables may fail: pebble then removes the half that is written, which
// gives its space back, and tries again.
type disk struct {
	vfs.FS
	dir     string
	reserve uint64
	// stuck is called when a write begins to wait, broken when the disk
	// failed in a way that is no matter of space.
	stuck  func()
	broken func(error)
	// flushFails is set while there is no room for a memtable. Whoever ends
	// a flush resets it.
	flushFails atomic.Bool

	mode    atomic.Int32
	waiting atomic.Int32 // writes that wait for space
	quit    chan struct{}
	once    sync.Once
}

const (
	diskOpening int32 = iota // a full disk fails the open
	diskInUse                // a full disk is waited for
	diskClosing
)

// spacePoll is how often a waiting write looks whether space is back.
const spacePoll = 100 * time.Millisecond

func newDisk(fs vfs.FS, dir string, reserve uint64, stuck func(), broken func(error)) *disk {
	return &disk{FS: fs, dir: dir, reserve: reserve, stuck: stuck, broken: broken, quit: make(chan struct{})}
}

// abandon ends all waiting; what waits fails.
func (d *disk) abandon() {
	d.mode.Store(diskClosing)
	d.once.Do(func() { close(d.quit) })
}

// room reports how much may still be written, and the level below which only
// what frees space may write. Unknown sizes are no reason to refuse.
func (d *disk) room() (free, low int64) {
	u, err := d.FS.GetDiskUsage(d.dir)
	if err != nil || u.TotalBytes == 0 {
		return 1 << 62, 0
	}
	return int64(min(u.AvailBytes, 1<<62)), int64(min(d.reserve, u.TotalBytes/16))
}

// again reports whether a call that failed with err is to be tried again,
// after waiting for space.
func (d *disk) again(err error) bool {
	if err == nil || !vfs.IsNoSpaceError(err) || d.mode.Load() != diskInUse {
		return false
	}
	d.waiting.Add(1)
	defer d.waiting.Add(-1)
	d.stuck()
	return d.rest()
}

// rest waits a moment; false if the disk is being given up.
func (d *disk) rest() bool {
	t := time.NewTimer(spacePoll)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-d.quit:
		return false
	}
}

// settle is where a call on the log, the manifest or the folder ends. Pebble
// panics on some of their errors, with locks held that make the panic the end
// of the process. So it never gets to know: the store is stopped, and the call
// stays here until the store is given up.
func (d *disk) settle(err error) error {
	if err != nil && d.mode.Load() == diskInUse {
		d.broken(err)
		<-d.quit
	}
	return err
}

func (d *disk) Unwrap() vfs.FS { return d.FS }

func (d *disk) wrap(name string, f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &diskFile{File: f, d: d, table: isTable(name)}, nil
}

func isTable(name string) bool {
	return strings.HasSuffix(name, ".sst") || strings.HasSuffix(name, ".blob")
}

// flushing is the category that pebble gives to the tables of a flush.
const flushing = "pebble-memtable-flush"

// tableFailed rests, so that pebble does not try again at once. A flush that
// fails is told at once: after a few memtables pebble takes no more.
func (d *disk) tableFailed(err error, flush bool) {
	if d.mode.Load() != diskInUse {
		return
	}
	if flush && vfs.IsNoSpaceError(err) {
		d.flushFails.Store(true)
		d.stuck()
	}
	d.rest()
}

// Create makes sure that what a marker names is durable in its folder before
// the marker is: pebble syncs the folder only after both.
func (d *disk) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if strings.HasPrefix(d.PathBase(name), "marker.") {
		if err := syncDir(d, d.PathDir(name)); err != nil {
			return nil, err
		}
	}
	for {
		f, err := d.FS.Create(name, c)
		if isTable(name) && err != nil {
			d.tableFailed(err, c == flushing)
			return nil, err
		}
		if !d.again(err) {
			f, err = d.wrap(name, f, d.settle(err))
			if err == nil {
				f.(*diskFile).flush = c == flushing
			}
			return f, err
		}
	}
}

func (d *disk) OpenReadWrite(name string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	for {
		f, err := d.FS.OpenReadWrite(name, c, o...)
		if !d.again(err) {
			return d.wrap(name, f, err)
		}
	}
}

func (d *disk) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	for {
		f, err := d.FS.ReuseForWrite(from, to, c)
		if !d.again(err) {
			return d.wrap(to, f, d.settle(err))
		}
	}
}

func (d *disk) OpenDir(name string) (vfs.File, error) {
	f, err := d.FS.OpenDir(name)
	return d.wrap(name, f, err)
}

func (d *disk) Link(from, to string) error {
	for {
		if err := d.FS.Link(from, to); !d.again(err) {
			return err
		}
	}
}

func (d *disk) Rename(from, to string) error {
	for {
		if err := d.FS.Rename(from, to); !d.again(err) {
			return err
		}
	}
}

func (d *disk) MkdirAll(dir string, perm os.FileMode) error {
	for {
		if err := d.FS.MkdirAll(dir, perm); !d.again(err) {
			return err
		}
	}
}

type diskFile struct {
	vfs.File
	d     *disk
	table bool
	flush bool // the table is of a flush
}

// again is disk.again; a table's write fails instead.
func (f *diskFile) again(err error) bool { return !f.table && f.d.again(err) }

func (f *diskFile) settle(err error) error {
	if err != nil && f.table {
		f.d.tableFailed(err, f.flush)
		return err
	}
	return f.d.settle(err)
}

func (f *diskFile) Write(p []byte) (n int, err error) {
	for {
		m, err := f.File.Write(p[n:])
		n += m
		if n == len(p) || !f.again(err) {
			return n, f.settle(err)
		}
	}
}

func (f *diskFile) WriteAt(p []byte, at int64) (n int, err error) {
	for {
		m, err := f.File.WriteAt(p[n:], at+int64(n))
		n += m
		if n == len(p) || !f.again(err) {
			return n, f.settle(err)
		}
	}
}

// Preallocate is a wish. On a small or nearly full disk it would take away
// the very space that the log needs.
func (f *diskFile) Preallocate(offset, length int64) error {
	if free, low := f.d.room(); free-length < 4*low {
		return nil
	}
	if err := f.File.Preallocate(offset, length); !vfs.IsNoSpaceError(err) {
		return err
	}
	return nil
}

// A sync that fails is not tried again: the kernel may have dropped the pages,
// and a second sync would say yes to nothing.
func (f *diskFile) Sync() error {
	if !fsyncs {
		return nil
	}
	return f.settle(f.File.Sync())
}

func (f *diskFile) SyncData() error {
	if !fsyncs {
		return nil
	}
	return f.settle(f.File.SyncData())
}

func (f *diskFile) SyncTo(length int64) (bool, error) {
	if !fsyncs {
		return false, nil
	}
	return f.File.SyncTo(length)
}
