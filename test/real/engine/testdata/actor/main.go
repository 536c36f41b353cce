// Actor is what runs in the tests' containers.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) < 2 {
		os.Args = append(os.Args, "serve")
	}
	switch os.Args[1] {
	case "serve": // until SIGTERM
		fmt.Println("ready", strings.Join(os.Args[2:], " "))
		c := make(chan os.Signal, 1)
		signal.Notify(c, syscall.SIGTERM)
		<-c
		fmt.Println("bye")
	case "stubborn":
		signal.Ignore(syscall.SIGTERM)
		fmt.Println("ready")
		select {}
	case "tick": // a line every 100 ms
		for i := 0; ; i++ {
			fmt.Println("tick", i)
			time.Sleep(100 * time.Millisecond)
		}
	case "env": // what it was given
		fmt.Println(strings.Join(os.Environ(), "\n"))
	case "exit": // CODE [MILLISECONDS]
		if len(os.Args) > 3 {
			ms, _ := strconv.Atoi(os.Args[3])
			time.Sleep(time.Duration(ms) * time.Millisecond)
		}
		fmt.Fprintln(os.Stderr, "ends with", os.Args[2])
		code, _ := strconv.Atoi(os.Args[2])
		os.Exit(code)
	case "long": // a line of that many bytes, without its end
		n, _ := strconv.Atoi(os.Args[2])
		fmt.Print(strings.Repeat("x", n))
	case "note":
		fmt.Println("\x00prism-note it is all fine")
	case "eat":
		var all [][]byte
		for {
			b := make([]byte, 1<<20)
			for i := range b {
				b[i] = byte(i)
			}
			all = append(all, b)
		}
	}
}
