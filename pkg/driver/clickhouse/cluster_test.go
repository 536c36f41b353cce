package clickhouse_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/clickhouse/clickhousetest"
)

// Two servers with one copy each of what both know: what is appended through the
// one is read, aggregated, retained and dropped through the other.
func TestAClusterHasOneSetOfEvents(t *testing.T) {
	pair := clickhousetest.Replicated18(t)
	for _, server := range pair.Servers {
		if _, err := server.Query(t.Context(), "CREATE DATABASE prism"); err != nil {
			t.Fatal(err)
		}
	}
	var stores []driver.Set
	for _, server := range pair.Servers {
		stores = append(stores, openIn(t, old, server, "cluster: "+clickhousetest.Cluster))
	}
	for i, s := range stores {
		if err := send(t.Context(), s, ticks(i*1000, 1000)); err != nil {
			t.Fatal(err)
		}
		if got, err := read(t.Context(), s); err != nil || got[i*1000] != 1 || got[i*1000+999] != 1 {
			t.Errorf("server %d does not read what it acked: %d events, %v", i, len(got), err)
		}
		if !strings.Contains(s.Info.Durability, "insert_quorum") {
			t.Errorf("durability says nothing of replicas: %s", s.Info.Durability)
		}
	}
	for i, s := range stores {
		eventually(t, fmt.Sprint("server ", i, " has all"), func() bool {
			got, err := read(t.Context(), s)
			return err == nil && len(got) == 2000
		})
		h := s.Store.Health(t.Context())
		if h.State != driver.Healthy || h.Facts["replication_queue"] == "" {
			t.Errorf("health of server %d: %+v", i, h)
		}
	}
	engine, err := pair.Servers[1].Query(t.Context(), "SELECT engine FROM system.tables WHERE database = 'prism' ORDER BY name")
	if want := "MergeTree Distributed ReplicatedMergeTree"; err != nil || !strings.Contains(strings.Join(strings.Fields(engine), " "), want) {
		t.Errorf("the tables of the second server are %q, %v", engine, err)
	}
	if err := stores[1].Store.Drop(t.Context(), "ns"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "dropped on both", func() bool {
		got, err := read(t.Context(), stores[0])
		return err == nil && len(got) == 0
	})
	if err := pair.Servers[0].Stop(); err != nil {
		t.Fatal(err)
	}
	// The other goes on with what is its own.
	if err := send(t.Context(), stores[1], ticks(5000, 10)); err != nil {
		t.Errorf("append while the other replica is down: %v", err)
	}
	if err := pair.Servers[0].Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "caught up", func() bool {
		got, err := read(t.Context(), stores[0])
		return err == nil && len(got) == 10
	})
}

// Events move to the volume that their age says.
func TestEventsMoveToTheirTier(t *testing.T) {
	bridge.need(t)
	server := bridge.own(t, clickhousetest.Tiers())
	name := database(t, server)
	s := openIn(t, bridge, server, "database: "+name, "storage_policy: tiers", "tiers: [{after: 24h, volume: cold}]")
	if err := send(t.Context(), s, ticks(0, 1000)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "on the cold disk", func() bool {
		text, err := server.Query(t.Context(), "SELECT DISTINCT disk_name FROM system.parts WHERE active AND database = '"+name+"' AND table = 'prism_events'")
		return err == nil && strings.TrimSpace(text) == "cold"
	})
	if got, err := read(t.Context(), s); err != nil || len(got) != 1000 {
		t.Errorf("read %d events, %v", len(got), err)
	}
}
