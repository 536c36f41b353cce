package redistest

import "testing"

func TestAClusterServesAllSlotsAndFailsOver(t *testing.T) {
	t.Parallel()
	c := Seven().Cluster(t, 1)
	if role := c.Replica(0).Role(); role != "slave" {
		t.Errorf("the replica is a %s", role)
	}
	if err := c.Nodes[0].Kill(); err != nil {
		t.Fatal(err)
	}
	if err := c.Replica(0).Promoted(); err != nil {
		t.Error(err)
	}
}

func TestSentinelsFailOver(t *testing.T) {
	t.Parallel()
	f := Seven().Sentinel(t)
	if err := f.Failover(); err != nil {
		t.Fatal(err)
	}
	if err := f.Replica.Promoted(); err != nil {
		t.Error(err)
	}
}
