package stacks

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// assignPorts gives each instance its ports. Two of them on one port is the
// person's to mend.
func (pl *Plan) assignPorts() error {
	kept, err := readFile(pl.Project.State)
	if err != nil {
		return err
	}
	takenBy := map[int]string{}
	var open reserved
	defer open.close()
	for _, i := range pl.Instances {
		name := i.Stack.Name
		i.Ports, i.Origins = map[string]int{}, map[string]string{}
		for n, p := range i.ports() {
			number, origin, err := pl.Project.port(name, p, n == 0, kept.Ports[name][p.Name], i.held, &open)
			if err != nil {
				return err
			}
			this := name + "." + p.Name
			if other, twice := takenBy[number]; twice {
				return usage(fmt.Sprintf("give one of them another: --port %s=N", this), "%s and %s both listen on port %d", other, this, number)
			}
			takenBy[number] = this
			i.Ports[p.Name], i.Origins[p.Name] = number, origin
		}
		if _, chosen := pl.Project.Ports[name]; chosen && len(i.Ports) == 0 {
			pl.warn("%s listens on a Unix socket here: its port means nothing", name)
		}
	}
	return nil
}

// ports are those of the stack in its form.
func (i *Instance) ports() []Port {
	if n := i.native(); n != nil && n.Declared("ports") {
		return n.Ports
	}
	return i.Stack.Ports
}

// port chooses a port: a person's choice, the system's that was kept, another of
// the system's, or the usual one.
func (p Project) port(stack string, port Port, first bool, kept int, ours bool, open *reserved) (int, string, error) {
	if n, ok := p.Ports[stack+"."+port.Name]; ok {
		return n, "chosen for " + stack + "." + port.Name, nil
	}
	if n, ok := p.Ports[stack]; ok && first {
		return n, "chosen for " + stack, nil
	}
	if p.Auto {
		if kept != 0 && (ours || isFree(kept)) {
			return kept, "--auto-ports", nil
		}
		n, err := open.free()
		return n, "--auto-ports", err
	}
	n := port.Port + p.Offset
	switch {
	case n < 1 || n > 65535:
		return 0, "", usage("choose a smaller offset", "--port-offset %d moves %s out of the range of ports", p.Offset, stack)
	case p.Offset != 0:
		return n, fmt.Sprintf("--port-offset %d", p.Offset), nil
	}
	return n, "the default of " + stack, nil
}

// reserved are the ports that the system chose: open until all are chosen, so
// that none is given twice.
type reserved []net.Listener

// free finds a port below those that connections of this machine come from, so
// that it is still free the next time.
func (r *reserved) free() (int, error) {
	const first, count = 20000, 12000
	l, err := net.Listen("tcp", loopback(first+rand.IntN(count)))
	for tries := 0; err != nil && tries < 50; tries++ {
		l, err = net.Listen("tcp", loopback(first+rand.IntN(count)))
	}
	if err != nil {
		l, err = net.Listen("tcp", loopback(0))
	}
	if err != nil {
		return 0, prism.New(prism.ReasonUnavailable, "no port is free").WithCause(err)
	}
	*r = append(*r, l)
	return l.Addr().(*net.TCPAddr).Port, nil
}

func (r *reserved) close() {
	for _, l := range *r {
		l.Close()
	}
}

func isFree(port int) bool {
	l, err := net.Listen("tcp", loopback(port))
	if err == nil {
		l.Close()
	}
	return err == nil
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
