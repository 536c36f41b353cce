// Command helper is what tests run in containers: it does what containers do, right
// and wrong. tools/images.sh makes the image prism-test/helper of it.
//
//	serve ADDR         answers TCP with "ok" until SIGTERM, and ends with 0
//	stubborn ADDR      the same, and takes no notice of SIGTERM
//	task CODE          ends at once
//	after DUR CODE     serves nothing and ends after a while
//	flood N            writes N numbered lines a second until SIGTERM
//	leak N             takes N MiB a second until memory runs out
//	env                prints its environment
package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM, os.Interrupt)
	code, err := run(os.Args[1:], os.Stdout, term)
	if err != nil {
		fmt.Fprintln(os.Stderr, "helper:", err)
	}
	os.Exit(code)
}

const exitUsage = 2

// run is the program; it ends when term gets something, if it heeds it.
func run(args []string, out io.Writer, term <-chan os.Signal) (code int, err error) {
	mode, rest := "serve", []string{":8080"}
	if len(args) > 0 {
		mode, rest = args[0], args[1:]
	}
	arg := func(i int) string {
		if i < len(rest) {
			return rest[i]
		}
		return ""
	}
	switch mode {
	case "serve":
		return serve(arg(0), out, term)
	case "stubborn":
		return serve(arg(0), out, nil)
	case "task":
		fmt.Fprintln(out, "ends with", arg(0))
		return number(arg(0))
	case "after":
		d, err := time.ParseDuration(arg(0))
		if err != nil {
			return exitUsage, err
		}
		select {
		case <-term:
			return 0, nil
		case <-time.After(d):
			fmt.Fprintln(out, "ends with", arg(1))
			return number(arg(1))
		}
	case "flood":
		return flood(arg(0), out, term)
	case "leak":
		return leak(arg(0), out, term)
	case "env":
		fmt.Fprintln(out, strings.Join(os.Environ(), "\n"))
		return 0, nil
	}
	return exitUsage, fmt.Errorf("no mode is called %q", mode)
}

func number(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return exitUsage, fmt.Errorf("%q is no number", s)
	}
	return n, nil
}

func serve(addr string, out io.Writer, term <-chan os.Signal) (int, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return 1, err
	}
	go func() {
		<-term
		_ = l.Close()
	}()
	fmt.Fprintln(out, "ready on", l.Addr())
	for {
		c, err := l.Accept()
		if err != nil {
			fmt.Fprintln(out, "bye")
			return 0, nil
		}
		_, _ = io.WriteString(c, "ok\n")
		_ = c.Close()
	}
}

// flood writes in bursts of a hundredth of a second.
func flood(rate string, out io.Writer, term <-chan os.Signal) (int, error) {
	n, err := number(rate)
	if err != nil {
		return exitUsage, err
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	began, line := time.Now(), 0
	for {
		select {
		case <-term:
			return 0, nil
		case <-tick.C:
		}
		for due := int(time.Since(began).Seconds() * float64(n)); line < due; line++ {
			if _, err := fmt.Fprintln(out, "line", line); err != nil {
				return 1, err
			}
		}
	}
}

func leak(rate string, out io.Writer, term <-chan os.Signal) (int, error) {
	n, err := number(rate)
	if err != nil {
		return exitUsage, err
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for held := [][]byte(nil); ; {
		b := make([]byte, n<<20/10)
		for i := 0; i < len(b); i += os.Getpagesize() {
			b[i] = 1 // only what is written to is taken
		}
		held = append(held, b)
		fmt.Fprintln(out, "holds", len(held)*n/10, "MiB")
		select {
		case <-term:
			return 0, nil
		case <-tick.C:
		}
	}
}
