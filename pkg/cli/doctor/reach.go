package doctor

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/cli/checkup"
	"github.com/prism-data-layer/prism/pkg/config"
	"github.com/prism-data-layer/prism/pkg/prism"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

// patience is how long anything that is asked may take to answer.
const patience = 3 * time.Second

// answered is what the gateway says of itself.
type answered struct {
	*adminv1.GetStatusResponse
	apart time.Duration // our clock from its own
}

func (o *options) ask(ctx context.Context) (answered, error) {
	c, err := o.admin()
	if err != nil {
		return answered{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	before := o.Clock.Now()
	s, err := c.GetStatus(ctx, &adminv1.GetStatusRequest{})
	if err != nil {
		return answered{}, err
	}
	middle := before.Add(o.Clock.Now().Sub(before) / 2)
	return answered{s, middle.Sub(time.UnixMilli(s.GetNowMs()))}, nil
}

func (o *options) probe(ctx context.Context) ([]*adminv1.Backend, error) {
	if _, err := o.status(); err != nil {
		return nil, err
	}
	c, err := o.admin()
	if err != nil {
		return nil, err
	}
	r, err := c.CheckBackendHealth(ctx, &adminv1.CheckBackendHealthRequest{})
	return r.GetBackends(), err
}

// checkBackends has a finding for each.
func (o *options) checkBackends() []finding {
	list, err := o.backends()
	if err != nil {
		return []finding{{ID: "backends", State: checkup.Skip, Text: "not asked: the gateway comes first"}}
	}
	if len(list) == 0 {
		return []finding{{ID: "backends", State: checkup.Warn, Text: "the gateway has no backend", Fix: "prismctl backend add NAME --driver DRIVER"}}
	}
	found := make([]finding, len(list))
	for i, b := range list {
		f := finding{ID: "backend-" + b.GetName(), State: checkup.Pass, Text: fmt.Sprintf("%s is healthy, in %s", b.GetDriver(), cli.Duration(time.Duration(b.GetLatencyUs())*time.Microsecond))}
		if h := b.GetHealth(); h != adminv1.HealthState_HEALTH_STATE_HEALTHY {
			f.State, f.Fix = checkup.Warn, "prismctl backend describe "+b.GetName()
			if h == adminv1.HealthState_HEALTH_STATE_UNHEALTHY {
				f.State = checkup.Fail
			}
			f.Text = b.GetDriver() + " is " + cli.EnumWord(h.String(), "HEALTH_STATE_")
			if b.GetMessage() != "" {
				f.Text += ": " + firstLine(b.GetMessage())
			}
		}
		found[i] = f
	}
	return found
}

func (o *options) checkNamespaces(ctx context.Context) finding {
	if _, err := o.status(); err != nil {
		return finding{ID: "namespaces", State: checkup.Skip, Text: "not asked: the gateway comes first"}
	}
	c, err := o.admin()
	if err != nil {
		return without("namespaces", err)
	}
	n := 0
	var bad []string
	_, err = cli.Pages(ctx, 0, func(ctx context.Context, cursor string, size int32) (int, string, error) {
		page, err := c.ListNamespaces(ctx, &adminv1.ListNamespacesRequest{Cursor: cursor, Limit: size})
		for _, ns := range page.GetNamespaces() {
			if n++; ns.GetState() == adminv1.NamespaceState_NAMESPACE_STATE_DEGRADED {
				bad = append(bad, ns.GetSpec().GetName())
			}
		}
		return len(page.GetNamespaces()), page.GetCursor(), err
	})
	switch {
	case err != nil:
		return finding{ID: "namespaces", State: checkup.Warn, Text: prism.From(err).Message, Fix: "prismctl namespace list"}
	case len(bad) > 0:
		return finding{ID: "namespaces", State: checkup.Warn, Text: "not well: " + strings.Join(bad, ", "), Fix: "prismctl namespace describe " + bad[0]}
	}
	return finding{ID: "namespaces", State: checkup.Pass, Text: cli.Plural(n, "namespace") + ", all well"}
}

// place is how an address is dialled.
func place(address string) (network, at string) {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		return "unix", strings.TrimPrefix(path, "//")
	}
	return "tcp", address
}

// checkNames looks the context's names up.
func (o *options) checkNames(ctx context.Context) finding {
	t, err := o.Factory.Target()
	if err != nil {
		return without("dns", err)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var found []string
	for _, address := range []string{t.Data, t.Admin} {
		network, at := place(address)
		host, _, err := net.SplitHostPort(at)
		if network != "tcp" || err != nil || net.ParseIP(host) != nil || len(found) > 0 && strings.HasPrefix(found[0], host+" ") {
			continue
		}
		addrs, err := net.DefaultResolver.LookupHost(ctx, host)
		if err != nil {
			return finding{ID: "dns", State: checkup.Fail, Text: fmt.Sprintf("the name %s is not known", host), Fix: "correct the context: prismctl context show"}
		}
		found = append(found, host+" is "+addrs[0])
	}
	if found == nil {
		return finding{ID: "dns", State: checkup.Skip, Text: "the context needs no names"}
	}
	return finding{ID: "dns", State: checkup.Pass, Text: strings.Join(found, ", ")}
}

// checkPorts opens a connection to each.
func (o *options) checkPorts(ctx context.Context) finding {
	t, err := o.Factory.Target()
	if err != nil {
		return without("ports", err)
	}
	for _, api := range []struct{ name, address string }{{"data", t.Data}, {"admin", t.Admin}} {
		network, at := place(api.address)
		conn, err := (&net.Dialer{Timeout: patience}).DialContext(ctx, network, at)
		if err != nil {
			return finding{ID: "ports", State: checkup.Fail, Text: fmt.Sprintf("nothing answers at %s, the %s API", api.address, api.name), Fix: "start the gateway (prismctl dev up), or correct the context"}
		}
		conn.Close()
	}
	return finding{ID: "ports", State: checkup.Pass, Text: "the data and the admin API can be reached"}
}

// soon is when a certificate that ends is worth a word.
const soon = 14 * 24 * time.Hour

func (o *options) checkTLS(ctx context.Context) finding {
	t, err := o.Factory.Target()
	if err != nil {
		return without("tls", err)
	}
	network, at := place(t.Admin)
	cfg, err := t.TLSConfig(t.Admin)
	switch {
	case err != nil:
		return finding{ID: "tls", State: checkup.Fail, Text: prism.From(err).Message, Fix: "name the right file: prismctl context add " + t.Context + " --ca FILE"}
	case cfg == nil && t.TLS:
		return finding{ID: "tls", State: checkup.Skip, Text: "not used on this machine"}
	case cfg == nil && network == "tcp" && !onLoopback(at):
		return finding{ID: "tls", State: checkup.Warn, Text: "calls and credentials go in plain text", Fix: "take insecure out of the context"}
	case cfg == nil:
		return finding{ID: "tls", State: checkup.Skip, Text: "the context says insecure"}
	}
	conn, err := (&tls.Dialer{NetDialer: &net.Dialer{Timeout: patience}, Config: cfg}).DialContext(ctx, network, at)
	if err != nil {
		return finding{ID: "tls", State: checkup.Fail, Text: "no TLS with " + t.Admin + ": " + err.Error(), Fix: "pass the gateway's certificates: prismctl context add " + t.Context + " --ca FILE"}
	}
	defer conn.Close()
	ends := conn.(*tls.Conn).ConnectionState().PeerCertificates[0].NotAfter
	if left := ends.Sub(o.Clock.Now()); left < soon {
		return finding{ID: "tls", State: checkup.Warn, Text: "the gateway's certificate ends " + ends.UTC().Format(time.RFC3339), Fix: "renew it"}
	}
	return finding{ID: "tls", State: checkup.Pass, Text: "the certificate is trusted, until " + ends.UTC().Format(time.DateOnly)}
}

func onLoopback(at string) bool {
	host, _, err := net.SplitHostPort(at)
	ip := net.ParseIP(host)
	return err == nil && (host == "localhost" || ip != nil && ip.IsLoopback())
}

// checkOTLP looks whether a collector listens where commands send their traces.
func (o *options) checkOTLP(ctx context.Context) finding {
	endpoint := o.IO.Env(config.EnvOTLP)
	if endpoint == "" {
		return finding{ID: "otlp", State: checkup.Skip, Text: config.EnvOTLP + " is not set: commands send no traces"}
	}
	at := endpoint
	if u, err := url.Parse(endpoint); err == nil && u.Host != "" {
		at = u.Host
	}
	conn, err := (&net.Dialer{Timeout: patience}).DialContext(ctx, "tcp", at)
	if err != nil {
		return finding{ID: "otlp", State: checkup.Warn, Text: "no collector answers at " + at, Fix: "prismctl dev up --with signoz, or unset " + config.EnvOTLP}
	}
	conn.Close()
	return finding{ID: "otlp", State: checkup.Pass, Text: "a collector listens at " + at}
}

// checkEngine asks the container engine whether it is there; prismctl dev doctor
// looks closer.
func (o *options) checkEngine(ctx context.Context) finding {
	at := o.IO.Env("DOCKER_HOST")
	if at == "" {
		at = "unix:///var/run/docker.sock"
	}
	network, address := "tcp", strings.TrimPrefix(at, "tcp://")
	if path, ok := strings.CutPrefix(at, "unix://"); ok {
		network, address = "unix", path
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{Timeout: patience}).DialContext(ctx, network, address)
	}
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://engine/_ping", nil)
	if err != nil {
		return finding{ID: "engine", State: checkup.Skip, Text: err.Error()}
	}
	res, err := client.Do(req)
	if err != nil {
		return finding{ID: "engine", State: checkup.Skip, Text: "no container engine answers at " + at + ": stacks run in their native forms", Fix: "prismctl dev doctor"}
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return finding{ID: "engine", State: checkup.Warn, Text: "the container engine answers " + res.Status, Fix: "prismctl dev doctor"}
	}
	return finding{ID: "engine", State: checkup.Pass, Text: "a container engine answers at " + at}
}
