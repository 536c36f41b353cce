package main

import (
	"errors"
	"fmt"
	"sync"
	"syscall"
	"unsafe"

	"github.com/ebitengine/purego"
)

// library is what the bridge uses of libchdb.so (chdb.h). A handle is the
// library's own; ours is only to hand it back.
type library struct {
	connect   func(argc int32, argv unsafe.Pointer) *unsafe.Pointer
	close     func(conn *unsafe.Pointer)
	query     func(conn unsafe.Pointer, sql *byte, n uintptr, format *byte, formatLen uintptr) unsafe.Pointer
	queryWith func(conn unsafe.Pointer, sql *byte, n uintptr, format *byte, formatLen uintptr,
		names, nameLens, values, valueLens unsafe.Pointer, count uintptr) unsafe.Pointer
	buffer         func(result unsafe.Pointer) *byte
	length         func(result unsafe.Pointer) uintptr
	failure        func(result unsafe.Pointer) string
	destroy        func(result unsafe.Pointer)
	handlesSignals func(enabled int32)
}

// load opens the library without letting it have this process's signals.
func load(path string) (*library, error) {
	so, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_GLOBAL)
	if err != nil {
		return nil, err
	}
	l := &library{}
	for name, f := range map[string]any{
		"chdb_connect":                     &l.connect,
		"chdb_close_conn":                  &l.close,
		"chdb_query_n":                     &l.query,
		"chdb_query_with_params_n":         &l.queryWith,
		"chdb_result_buffer":               &l.buffer,
		"chdb_result_length":               &l.length,
		"chdb_result_error":                &l.failure,
		"chdb_destroy_query_result":        &l.destroy,
		"chdb_set_signal_handlers_enabled": &l.handlesSignals,
	} {
		symbol, err := purego.Dlsym(so, name)
		if err != nil {
			return nil, fmt.Errorf("%s is not the library that this was made for: %w", path, err)
		}
		purego.RegisterFunc(f, symbol)
	}
	return l, nil
}

// An engine is the one ClickHouse of this process.
type engine struct {
	lib      *library
	path     string
	first    *conn // keeps the engine up: it goes with its last connection
	version  string
	timezone string

	mu      sync.Mutex // connecting touches the signals of the whole process
	signals map[uintptr]sigaction
}

// start starts the engine on a folder. Config is a file of the server's own
// format, or empty.
func start(lib, path, config string) (*engine, error) {
	l, err := load(lib)
	if err != nil {
		return nil, err
	}
	e := &engine{lib: l, path: path, signals: map[uintptr]sigaction{}}
	for _, n := range deadly {
		e.signals[n] = action(n)
	}
	// Off, or the engine takes over the handlers by which Go turns a fault into
	// a panic; the call puts them to their defaults, and so does each connect.
	l.handlesSignals(0)
	var args []string
	if config != "" {
		args = append(args, "--config-file="+config)
	}
	if e.first, err = e.connect(args...); err != nil {
		return nil, err
	}
	for sql, into := range map[string]*string{"SELECT version()": &e.version, "SELECT timezone()": &e.timezone} {
		text, err := e.first.run(sql, "LineAsString", nil)
		if err != nil {
			e.stop()
			return nil, err
		}
		*into = string(trimLine(text))
	}
	return e, nil
}

func trimLine(b []byte) []byte {
	for len(b) > 0 && b[len(b)-1] == '\n' {
		b = b[:len(b)-1]
	}
	return b
}

// stop ends the engine. No connection may be in use.
func (e *engine) stop() {
	e.first.close()
}

// A conn is a connection inside the process: settings, parameters, the current
// database and temporary tables are its own. One call at a time.
type conn struct {
	engine *engine
	handle *unsafe.Pointer
}

// connect takes a fraction of a millisecond once the engine runs.
func (e *engine) connect(args ...string) (*conn, error) {
	argv := []*byte{cString("chdb"), cString("--path=" + e.path)}
	for _, a := range args {
		argv = append(argv, cString(a))
	}
	argv = append(argv, nil)
	e.mu.Lock()
	defer e.mu.Unlock()
	handle := e.lib.connect(int32(len(argv)-1), unsafe.Pointer(&argv[0]))
	for n, a := range e.signals {
		setAction(n, a)
	}
	if handle == nil {
		return nil, fmt.Errorf("the engine does not open %s: is it in use by another process?", e.path)
	}
	return &conn{engine: e, handle: handle}, nil
}

func (c *conn) close() { c.engine.lib.close(c.handle) }

// A parameter fills {name:Type} in a statement. Its value is in the engine's
// escaped form, as the parameters of an HTTP request are.
type parameter struct{ name, value string }

// run runs statements; what a SELECT gives is in format unless it names one.
func (c *conn) run(sql, format string, parameters []parameter) ([]byte, error) {
	l := c.engine.lib
	q, f := append([]byte(sql), 0), append([]byte(format), 0)
	var result unsafe.Pointer
	if len(parameters) == 0 {
		result = l.query(*c.handle, &q[0], uintptr(len(sql)), &f[0], uintptr(len(format)))
	} else {
		a := newArrays(parameters)
		result = l.queryWith(*c.handle, &q[0], uintptr(len(sql)), &f[0], uintptr(len(format)),
			unsafe.Pointer(&a.names[0]), unsafe.Pointer(&a.nameLens[0]), unsafe.Pointer(&a.values[0]), unsafe.Pointer(&a.valueLens[0]), uintptr(len(parameters)))
	}
	if result == nil {
		return nil, errors.New("the engine gave no result")
	}
	defer l.destroy(result)
	if text := l.failure(result); text != "" {
		return nil, parseException(text)
	}
	n := l.length(result)
	if n == 0 {
		return nil, nil
	}
	return append([]byte(nil), unsafe.Slice(l.buffer(result), n)...), nil
}

// arrays are parameters as C wants them.
type arrays struct {
	names, values       []*byte
	nameLens, valueLens []uintptr
}

func newArrays(parameters []parameter) arrays {
	var a arrays
	for _, p := range parameters {
		a.names, a.nameLens = append(a.names, cString(p.name)), append(a.nameLens, uintptr(len(p.name)))
		a.values, a.valueLens = append(a.values, cString(p.value)), append(a.valueLens, uintptr(len(p.value)))
	}
	return a
}

func cString(s string) *byte { return &append([]byte(s), 0)[0] }

// deadly are the signals whose handlers the library resets.
var deadly = []uintptr{
	uintptr(syscall.SIGABRT), uintptr(syscall.SIGSEGV), uintptr(syscall.SIGILL), uintptr(syscall.SIGBUS),
	uintptr(syscall.SIGSYS), uintptr(syscall.SIGFPE), uintptr(syscall.SIGTSTP), uintptr(syscall.SIGTRAP),
}

// A sigaction is the kernel's struct of that name on amd64.
type sigaction struct{ handler, flags, restorer, mask uint64 }

func action(n uintptr) (a sigaction) {
	_, _, _ = syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, n, 0, uintptr(unsafe.Pointer(&a)), unsafe.Sizeof(a.mask), 0, 0)
	return a
}

func setAction(n uintptr, a sigaction) {
	_, _, _ = syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, n, uintptr(unsafe.Pointer(&a)), 0, unsafe.Sizeof(a.mask), 0, 0)
}
