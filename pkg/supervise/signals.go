package supervise

import (
	"os"
	"os/signal"
	"syscall"
	"time"
)

// oneSignal is the time within which a signal that comes twice is one: no
// person is that fast.
const oneSignal = 50 * time.Millisecond

// OnSignals lets the first interrupt, termination or hang-up stop s gracefully
// and the second kill everything at once. told, which may be nil, is called
// with each. The returned function gives the signals back and tells the first
// one that came; nil if none did.
func OnSignals(s *Supervisor, told func(sig os.Signal, again bool)) (restore func() os.Signal) {
	c := make(chan os.Signal, 4)
	signal.Notify(c, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	quit, gone := make(chan struct{}), make(chan struct{})
	var first os.Signal
	var since time.Time
	go func() {
		defer close(gone)
		for {
			select {
			case sig := <-c:
				again := first != nil
				// A terminal that closes sends its hang-up twice, from the kernel
				// and from the shell; that is not a person in a hurry.
				// Some programs, timeout(1) among them, signal a process and then
				// its group.
				if again && (sig == syscall.SIGHUP || time.Since(since) < oneSignal) {
					continue
				}
				if told != nil {
					told(sig, again)
				}
				if again {
					s.Kill()
					continue
				}
				first, since = sig, time.Now()
				s.Stop()
			case <-quit:
				return
			}
		}
	}()
	return func() os.Signal {
		signal.Stop(c)
		close(quit)
		<-gone
		return first
	}
}
