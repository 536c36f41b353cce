// Prism-chdb is ClickHouse's HTTP interface around libchdb.so, the engine as a
// library: for tests and for machines on which no ClickHouse server can be had.
// README.md says what it cannot do.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "prism-chdb:", err)
		os.Exit(1)
	}
}

// options are what the command line says.
type options struct {
	listen, path, lib, config, users string
	maxBody                          int64
}

func parseFlags(args []string) (*options, error) {
	o := &options{}
	flags := flag.NewFlagSet("prism-chdb", flag.ContinueOnError)
	flags.StringVar(&o.listen, "listen", "127.0.0.1:8123", "`address` to listen on; port 0 is a free one")
	flags.StringVar(&o.path, "path", "", "`folder` of the data, made when it is not there")
	flags.StringVar(&o.lib, "lib", "", "`file` of the library (default: libchdb.so beside this program)")
	flags.StringVar(&o.config, "config-file", "", "`file` of the engine's settings, as a ClickHouse server's config.xml (storage policies)")
	flags.StringVar(&o.users, "users", "", "`file` of lines NAME [PASSWORD [readonly]] (default: default without a password)")
	flags.Int64Var(&o.maxBody, "max-body", 1<<30, "`bytes` that a request may have")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if o.path == "" {
		return nil, errors.New("--path is needed: the folder of the data")
	}
	if o.lib == "" {
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		o.lib = filepath.Join(filepath.Dir(self), "libchdb.so")
	}
	return o, nil
}

// drain is how long running statements are waited for, as a server's
// shutdown_wait_unfinished.
const drain = 5 * time.Second

func run(args []string, out io.Writer) error {
	o, err := parseFlags(args)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	known, err := readUsers(o.users)
	if err != nil {
		return err
	}
	path, err := filepath.Abs(o.path)
	if err != nil {
		return err
	}
	e, err := start(o.lib, path, o.config)
	if err != nil {
		return err
	}
	s, err := newServer(e, known, o.maxBody)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", o.listen)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(out, "prism-chdb: ClickHouse %s on %s, listening on %s\n", e.version, path, listener.Addr())
	return serve(ctx, s, listener)
}

// serve answers until ctx ends, then lets what runs finish.
func serve(ctx context.Context, s *server, listener net.Listener) error {
	h := &http.Server{Handler: s, ReadHeaderTimeout: 30 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- h.Serve(listener) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	wait, cancel := context.WithTimeout(context.Background(), drain)
	defer cancel()
	if err := h.Shutdown(wait); err != nil {
		return fmt.Errorf("statements still ran after %v; the engine was left as after a crash", drain)
	}
	s.close()
	s.engine.stop()
	return nil
}
