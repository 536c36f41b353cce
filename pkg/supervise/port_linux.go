package supervise

import (
	"encoding/hex"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// A bound is a row of /proc/net/tcp or tcp6.
type bound struct {
	addr      netip.AddrPort
	listening bool
	inode     string
}

// findHolder looks for whoever keeps us from listening on addr.
func findHolder(addr string) holder {
	want, port, ok := parseAddr(addr)
	if !ok {
		return holder{}
	}
	rows := slices.DeleteFunc(bounds(), func(b bound) bool {
		return b.addr.Port() != port || b.inode == "0" || !overlap(b.addr.Addr(), want)
	})
	// A listener explains it best; a connection from that very port may too.
	slices.SortStableFunc(rows, func(a, b bound) int { return rank(b) - rank(a) })
	return ownerOf(rows)
}

func rank(b bound) int {
	if b.listening {
		return 1
	}
	return 0
}

// holderOfTwin finds a listener that has the same port on the other family's
// loopback address.
func holderOfTwin(addr string) (holder, bool) {
	ours, port, ok := parseAddr(addr)
	if !ok || port == 0 || !ours.IsLoopback() {
		return holder{}, false
	}
	rows := slices.DeleteFunc(bounds(), func(b bound) bool {
		a := b.addr.Addr()
		return !b.listening || b.addr.Port() != port || a.Is4() == ours.Is4() || !(a.IsLoopback() || a.IsUnspecified())
	})
	if len(rows) == 0 {
		return holder{}, false
	}
	return ownerOf(rows), true
}

func parseAddr(s string) (netip.Addr, uint16, bool) {
	host, p, err := net.SplitHostPort(s)
	if err != nil {
		return netip.Addr{}, 0, false
	}
	port, err := strconv.ParseUint(p, 10, 16)
	if err != nil {
		return netip.Addr{}, 0, false
	}
	if host == "" {
		return netip.IPv6Unspecified(), uint16(port), true
	}
	if host == "localhost" {
		host = "127.0.0.1"
	}
	a, err := netip.ParseAddr(host)
	return a.Unmap(), uint16(port), err == nil
}

// overlap reports whether listeners on a and b can be in each other's way.
func overlap(a, b netip.Addr) bool {
	if a.IsUnspecified() && a.Is6() || b.IsUnspecified() && b.Is6() {
		return true // takes IPv4 too, unless told otherwise
	}
	return a == b || a.Is4() == b.Is4() && (a.IsUnspecified() || b.IsUnspecified())
}

func bounds() []bound {
	var out []bound
	for _, file := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		b, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(b)) {
			if r, ok := parseBound(line); ok {
				out = append(out, r)
			}
		}
	}
	return out
}

// parseBound reads one row:
//
//	0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 1000 0 12345 …
func parseBound(line string) (bound, bool) {
	f := strings.Fields(line)
	if len(f) < 10 {
		return bound{}, false
	}
	host, port, ok := strings.Cut(f[1], ":")
	raw, err := hex.DecodeString(host)
	p, err2 := strconv.ParseUint(port, 16, 16)
	if !ok || err != nil || err2 != nil || len(raw) != 4 && len(raw) != 16 {
		return bound{}, false
	}
	// Each group of four bytes is in the machine's order: little endian on all
	// that we build for.
	for i := 0; i < len(raw); i += 4 {
		slices.Reverse(raw[i : i+4])
	}
	a, _ := netip.AddrFromSlice(raw)
	const listen = "0A"
	return bound{netip.AddrPortFrom(a.Unmap(), uint16(p)), f[3] == listen, f[9]}, true
}

// ownerOf names the process behind the first row that has one to be seen.
func ownerOf(rows []bound) holder {
	if len(rows) == 0 {
		return holder{}
	}
	inodes := make(map[string]bound, len(rows))
	for _, r := range slices.Backward(rows) {
		inodes["socket:["+r.inode+"]"] = r
	}
	best, found := holder{Addr: rows[0].addr.String()}, bound{}
	fds, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, fd := range fds {
		link, err := os.Readlink(fd)
		if err != nil {
			continue
		}
		r, ok := inodes[link]
		pid, _ := strconv.Atoi(strings.Split(fd, "/")[2])
		// A forking server has its socket in every child: name the oldest.
		if !ok || best.PID != 0 && (rank(r) < rank(found) || pid > best.PID && rank(r) == rank(found)) {
			continue
		}
		best, found = holder{PID: pid, Command: commandOf(pid), Addr: r.addr.String()}, r
	}
	return best
}

func commandOf(pid int) string {
	dir := "/proc/" + strconv.Itoa(pid)
	if b, err := os.ReadFile(dir + "/cmdline"); err == nil && len(b) > 0 {
		return shorten(strings.ReplaceAll(string(b), "\x00", " "))
	}
	b, _ := os.ReadFile(dir + "/comm")
	return shorten(string(b))
}
