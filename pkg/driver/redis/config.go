package redis

import (
	"cmp"
	"strings"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
)

// options are the backend's `options:`.
type options struct {
	// Addrs is where the servers listen, host:port, or a path beginning with / for a
	// Unix socket. One: a server, or any node of a cluster. Several: nodes of a
	// cluster, of which one must answer. With sentinel: the sentinels.
	Addrs []string `yaml:"addrs"`
	// Mode is what is there: standalone, cluster or sentinel. Default auto: the
	// server is asked when the gateway opens it.
	Mode string `yaml:"mode"`
	// Placement is where a namespace lies on a cluster: spread over its nodes, or in
	// one-slot, which has transactions and watches. It must not change while there is
	// data: what lies in one place is not found in the other. Default spread.
	Placement string `yaml:"placement"`
	// Sentinel names the master that sentinels at addrs tell of.
	Sentinel sentinelOptions `yaml:"sentinel"`
	// Username is for servers with access lists. Default: the server's default user.
	Username string `yaml:"username"`
	// PasswordFile holds the password; white space at its end does not count. A
	// password itself never stands in a configuration.
	PasswordFile string `yaml:"password_file"`
	// DB is the number of the database; a cluster has 0 only. Default 0.
	DB int `yaml:"db"`
	// PoolSize is how many connections calls may take, to each node. Default 50.
	PoolSize int `yaml:"pool_size"`
	// DialTimeout bounds the making of a connection. Default 2s.
	DialTimeout time.Duration `yaml:"dial_timeout"`
	// Timeout bounds the wait for an answer of a call without a deadline, or
	// with a later one. Default 3s.
	Timeout time.Duration `yaml:"timeout"`
	// TLS encrypts the connections.
	TLS driver.TLSOptions `yaml:"tls"`
	// History is how many changes a watch can go back, per namespace. Redis
	// cuts it by the piece, so some hundred more may be there.
	// Default driver.HistoryChanges; older than driver.HistoryAge go too.
	History int64 `yaml:"history"`
	// Receipts is how many are kept per namespace. Default driver.MaxReceipts.
	Receipts int64 `yaml:"receipts"`
}

// sentinelOptions say what is asked of sentinels, and who asks.
type sentinelOptions struct {
	Master string `yaml:"master"` // the name that they know it by
	// Username and PasswordFile are for the sentinels themselves, where they want
	// any. The file is read when the backend is opened.
	Username     string `yaml:"username"`
	PasswordFile string `yaml:"password_file"`
}

const (
	modeAuto       = "auto"
	modeStandalone = "standalone"
	modeCluster    = "cluster"
	modeSentinel   = "sentinel"

	placementSpread  = "spread"
	placementOneSlot = "one-slot"
)

// mode is what the options say; auto if the server is to be asked.
func (o *options) mode() string {
	switch {
	case o.Mode != modeAuto:
		return o.Mode
	case o.Sentinel.Master != "":
		return modeSentinel
	case len(o.Addrs) > 1:
		return modeCluster
	}
	return modeAuto
}

func (o *options) check(backend string) error {
	wrong := driver.OptionErrors{Backend: backend}
	o.checkAddrs(&wrong)
	switch o.Placement {
	case placementSpread, placementOneSlot:
	default:
		wrong.Wrong("placement", "must be spread or one-slot")
	}
	if o.DB < 0 {
		wrong.Wrong("db", "must not be negative")
	}
	wrong.Count("pool_size", int64(o.PoolSize))
	wrong.Duration("dial_timeout", o.DialTimeout)
	wrong.Duration("timeout", o.Timeout)
	wrong.Count("history", o.History)
	wrong.Count("receipts", o.Receipts)
	o.TLS.Check(&wrong)
	return wrong.Err()
}

// checkAddrs tells what does not go together with the mode.
func (o *options) checkAddrs(wrong *driver.OptionErrors) {
	if len(o.Addrs) == 0 {
		wrong.Wrong("addrs", "must hold an address, such as [\"127.0.0.1:6379\"]")
	}
	mode := o.mode()
	for _, a := range o.Addrs {
		switch path := strings.HasPrefix(a, "/"); {
		case !path && !strings.Contains(a, ":"):
			wrong.Wrong("addrs", "must be host:port, or the path of a Unix socket")
		case path && (mode == modeCluster || mode == modeSentinel):
			wrong.Wrong("addrs", "must be host:port: the nodes of a cluster, and sentinels, are found over TCP")
		default:
			continue
		}
		break
	}
	switch mode {
	case modeAuto, modeStandalone:
		if len(o.Addrs) > 1 {
			wrong.Wrong("addrs", "must hold one address with mode: standalone")
		}
	case modeCluster:
		if o.DB != 0 {
			wrong.Wrong("db", "must be 0 on a cluster")
		}
	case modeSentinel:
		if o.Sentinel.Master == "" {
			wrong.Wrong("sentinel.master", "must name the master that the sentinels watch")
		}
	default:
		wrong.Wrong("mode", "must be auto, standalone, cluster or sentinel")
	}
	if mode != modeSentinel && o.Sentinel != (sentinelOptions{}) {
		wrong.Wrong("sentinel", "must name a master, and means something with mode: sentinel only")
	}
}

// fill puts defaults where nothing stands.
func (o *options) fill() {
	o.Mode = cmp.Or(o.Mode, modeAuto)
	o.Placement = cmp.Or(o.Placement, placementSpread)
	o.PoolSize = cmp.Or(o.PoolSize, 50)
	o.DialTimeout = cmp.Or(o.DialTimeout, 2*time.Second)
	o.Timeout = cmp.Or(o.Timeout, 3*time.Second)
	o.History = cmp.Or(o.History, driver.HistoryChanges)
	o.Receipts = cmp.Or(o.Receipts, driver.MaxReceipts)
}
