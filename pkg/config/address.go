package config

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// A scalar is a type that reads itself from one word.
type scalar interface {
	parse(text string) *fault
	String() string
}

// An Address is a host and a port, ready for net.Listen: port 0 where the file
// says auto.
type Address string

func (a *Address) parse(text string) *fault {
	if text == "auto" {
		*a = "127.0.0.1:0"
		return nil
	}
	host, port, f := splitAddress(text)
	if f != nil {
		return f
	}
	if port == "auto" {
		*a = Address(net.JoinHostPort(host, "0"))
		return nil
	}
	var p Port
	if f := p.parse(port); f != nil {
		if f.suggestion != "" {
			f.suggestion = net.JoinHostPort(host, f.suggestion)
		}
		return f
	}
	*a = Address(net.JoinHostPort(host, port))
	return nil
}

// String writes a as the file has it.
func (a Address) String() string {
	if host, ok := strings.CutSuffix(string(a), ":0"); ok {
		return host + ":auto"
	}
	return string(a)
}

// Loopback reports whether only this machine can reach the address.
func (a Address) Loopback() bool {
	host, _, err := net.SplitHostPort(string(a))
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// clashes reports whether the two cannot both be listened on.
func (a Address) clashes(b Address) bool {
	hostA, portA, errA := net.SplitHostPort(string(a))
	hostB, portB, errB := net.SplitHostPort(string(b))
	if errA != nil || errB != nil || portA != portB || portA == "0" {
		return false
	}
	return hostA == hostB || anyHost(hostA) || anyHost(hostB) || a.Loopback() && b.Loopback() && (hostA == "localhost" || hostB == "localhost")
}

func anyHost(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "" || err == nil && ip.IsUnspecified()
}

// A Port is a TCP port; 0 where the file says auto.
type Port int

// AutoPort lets the system choose.
const AutoPort Port = 0

func (p *Port) parse(text string) *fault {
	if text == "auto" {
		*p = AutoPort
		return nil
	}
	n, err := strconv.Atoi(text)
	switch {
	case err != nil:
		return &fault{message: fmt.Sprintf("%q is not a port", text), suggestion: Nearest(text, []string{"auto"}), hint: "write a number from 1 to 65535, or auto", doc: "addresses"}
	case n == 0:
		return &fault{message: "port 0 is not a port to write down", suggestion: "auto", doc: "addresses"}
	case n < 0 || n > 65535:
		return &fault{message: fmt.Sprintf("port %s is not between 1 and 65535", text), hint: "choose a port from 1 to 65535, or auto", doc: "addresses"}
	}
	*p = Port(n)
	return nil
}

// String writes p as the file has it.
func (p Port) String() string {
	if p == AutoPort {
		return "auto"
	}
	return strconv.Itoa(int(p))
}

// checkEndpoint holds for an address to dial.
func checkEndpoint(s string) *fault {
	host, port, f := splitAddress(s)
	if f != nil {
		return f
	}
	var p Port
	f = p.parse(port)
	switch {
	case f != nil && f.suggestion != "", port == "auto":
		return &fault{message: fmt.Sprintf("%q is not an address to call", s), hint: "give the port that the gateway listens on", doc: "addresses"}
	case host == "":
		return &fault{message: fmt.Sprintf("the address %q has no host", s), suggestion: "127.0.0.1:" + port, doc: "addresses"}
	}
	return f
}

// checkCollector holds for an address to dial that may say whether it is
// encrypted.
func checkCollector(s string) *fault {
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		return checkEndpoint(s)
	}
	if scheme != "http" && scheme != "https" {
		return &fault{message: fmt.Sprintf("%q is not the address of a collector", s), suggestion: "http://" + rest, hint: "write http://HOST:PORT or https://HOST:PORT", doc: "addresses"}
	}
	return checkEndpoint(strings.TrimSuffix(rest, "/"))
}

// splitAddress splits HOST:PORT; an empty host means every interface.
func splitAddress(s string) (host, port string, f *fault) {
	const how = "write HOST:PORT, such as 127.0.0.1:8980"
	if _, rest, ok := strings.Cut(s, "://"); ok {
		return "", "", &fault{message: fmt.Sprintf("%q is a URL, not an address", s), suggestion: strings.TrimRight(rest, "/"), hint: how, doc: "addresses"}
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		f := &fault{message: fmt.Sprintf("%q is not an address", s), hint: how, doc: "addresses"}
		switch {
		case isDigits(s):
			f.suggestion = "127.0.0.1:" + s
		case s != "" && !strings.ContainsAny(s, ":[]"):
			f.message = fmt.Sprintf("the address %q has no port", s)
			f.suggestion = s + ":8980"
		}
		return "", "", f
	}
	if strings.ContainsAny(host, " /@?#\\") || len(host) > 253 {
		return "", "", &fault{message: fmt.Sprintf("%q is not the name of a host", host), hint: how, doc: "addresses"}
	}
	return host, port, nil
}

func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}
