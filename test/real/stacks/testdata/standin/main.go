// Command standin stands where Signoz's images cannot be had. It stores nothing
// and shows nothing: it only checks what its container was given, the order in
// which the containers start, and the names and ports by which they meet. Which
// of them it is, its own name says.
package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

func main() {
	fmt.Println("a stand-in:", strings.Join(os.Args, " "))
	if err := run(filepath.Base(os.Args[0]), os.Args[1:]); err != nil {
		fmt.Println("a stand-in:", err)
		os.Exit(1)
	}
}

func run(name string, args []string) error {
	switch name {
	case "clickhouse-keeper":
		if err := isFile("/etc/clickhouse-keeper/prism.yaml"); err != nil {
			return err
		}
		return serve(nil, 9181)
	case "clickhouse-keeper-client":
		return meet("localhost:9181")
	case "wget":
		return get(args[len(args)-1])
	case "sh":
		return migrate(args)
	case "signoz-otel-collector":
		if err := isFile(strings.TrimPrefix(args[0], "--config=")); err != nil {
			return err
		}
		return serve(map[int]string{4318: "/v1/traces"}, 4317)
	}
	if os.Getenv("CLICKHOUSE_SKIP_USER_SETUP") != "" {
		if err := isFile("/etc/clickhouse-server/config.d/prism.yaml"); err != nil {
			return err
		}
		if err := meet("keeper:9181"); err != nil {
			return err
		}
		return serve(map[int]string{8123: "/ping"}, 9000)
	}
	if len(os.Getenv("SIGNOZ_USER_ROOT_PASSWORD")) < 12 || os.Getenv("SIGNOZ_TOKENIZER_JWT_SECRET") == "" {
		return fmt.Errorf("the first user has no password, or tokens have no secret")
	}
	if err := meet("clickhouse:9000"); err != nil {
		return err
	}
	return serve(map[int]string{8080: "/api/v1/health"})
}

// migrate is the one-shot: it takes a while, and whoever needs it must wait.
func migrate(args []string) error {
	if len(args) != 2 || args[0] != "-c" || strings.Count(args[1], "/signoz-otel-collector migrate ") != 4 {
		return fmt.Errorf("nobody migrates like this: %q", args)
	}
	time.Sleep(time.Second)
	return meet(strings.TrimPrefix(os.Getenv("SIGNOZ_OTEL_COLLECTOR_CLICKHOUSE_DSN"), "tcp://"))
}

func isFile(name string) error {
	text, err := os.ReadFile(name)
	if err == nil && len(text) == 0 {
		err = fmt.Errorf("%s is empty", name)
	}
	return err
}

func meet(addr string) error {
	c, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err == nil {
		c.Close()
	}
	return err
}

func get(url string) error {
	res, err := http.Get(url)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, res.Status)
	}
	return nil
}

// serve answers one path on each port of paths, and takes connections on others,
// until SIGTERM.
func serve(paths map[int]string, ports ...int) error {
	ended := make(chan error, 1)
	for port, path := range paths {
		mux := http.NewServeMux()
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"partialSuccess":{}}`) })
		go func() { ended <- http.ListenAndServe(fmt.Sprintf(":%d", port), mux) }()
	}
	for _, port := range ports {
		l, err := net.Listen("tcp", fmt.Sprintf(":%d", port))
		if err != nil {
			return err
		}
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				c.Close()
			}
		}()
	}
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM, os.Interrupt)
	select {
	case err := <-ended:
		return err
	case <-term:
		return nil
	}
}
