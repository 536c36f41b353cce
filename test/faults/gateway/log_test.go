package faults_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/client"
	queuev1 "github.com/prism-data-layer/prism/proto/prism/queue/v1"
	"github.com/prism-data-layer/prism/test/faults/powercut"
	"github.com/prism-data-layer/prism/test/harness"
)

const (
	logTopic = "events"
	logGroup = "readers"
)

// A grouplog is what the members of a group saw of messages that are numbered
// per key.
type grouplog struct {
	mu         sync.Mutex
	life       int                      // of the gateway
	base       map[int32]int64          // committed when this life began
	acked      map[int32]map[int64]bool // answered in this life
	delivered  map[string]map[int]bool  // per key
	again      int64                    // delivered more than once
	outOfOrder int64                    // delivered for the first time before the one ahead of it
}

func newGrouplog() *grouplog {
	return &grouplog{base: map[int32]int64{}, acked: map[int32]map[int64]bool{}, delivered: map[string]map[int]bool{}}
}

// deliver notes what came, and says in which life.
func (l *grouplog) deliver(records []client.LogRecord) (life int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range records {
		n, _ := strconv.Atoi(string(r.Payload))
		seen := l.delivered[r.Key]
		switch {
		case seen == nil:
			seen = map[int]bool{0: true}
			l.delivered[r.Key] = seen
		case seen[n]:
			l.again++
		}
		if !seen[n-1] {
			l.outOfOrder++
		}
		seen[n] = true
	}
	return l.life
}

// ack notes acknowledgements that were asked for and answered in one life.
func (l *grouplog) ack(life int, records []client.LogRecord, failed []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if life != l.life {
		return
	}
	bad := map[string]bool{}
	for _, id := range failed {
		bad[id] = true
	}
	for _, r := range records {
		if bad[r.ID] {
			continue
		}
		if l.acked[r.Partition] == nil {
			l.acked[r.Partition] = map[int64]bool{}
		}
		l.acked[r.Partition][r.Offset] = true
	}
}

// die ends a life of the gateway and says up to where each partition was
// acknowledged without a gap: that much is committed.
func (l *grouplog) die() map[int32]int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	upTo := map[int32]int64{}
	for n := range int32(8) {
		for upTo[n] = l.base[n]; l.acked[n][upTo[n]]; {
			upTo[n]++
		}
	}
	l.life++
	l.base, l.acked = map[int32]int64{}, map[int32]map[int64]bool{}
	return upTo
}

// live begins the next life with what the gateway says is committed.
func (l *grouplog) live(committed map[int32]int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.base = committed
}

// read is a member of the group until ctx ends.
func (l *grouplog) read(ctx context.Context, c *client.Log) error {
	m, err := c.Subscribe(ctx, logTopic, logGroup, client.LogOptions{MaxUnacknowledged: 64})
	for ctx.Err() == nil && err != nil { // the gateway is away
		m, err = c.Subscribe(ctx, logTopic, logGroup, client.LogOptions{MaxUnacknowledged: 64})
	}
	if err != nil {
		return nil
	}
	defer m.Close()
	for {
		records, err := m.Next()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		life := l.deliver(records)
		if failed, err := m.Acknowledge(ctx, records...); err == nil {
			l.ack(life, records, failed)
		}
	}
}

// committedOf asks the gateway what the group has committed.
func committedOf(t *testing.T, p *prismd) map[int32]int64 {
	t.Helper()
	r, err := queuev1.NewQueueServiceClient(p.dial()).ListGroups(t.Context(), &queuev1.ListGroupsRequest{Namespace: "disk", Topic: logTopic})
	if err != nil {
		t.Fatal(err)
	}
	committed := map[int32]int64{}
	for _, g := range r.Groups {
		for _, o := range g.Committed {
			committed[o.Partition] = o.Offset
		}
	}
	return committed
}

// F1 for logs: SIGKILL of prismd under producers and a consumer group that go
// on over the restart. What was acked stands where the answer said, once, in
// the order of its key; offsets have no gap; what a group acknowledged without
// a gap is committed.
func TestFault_F1_KillUnderProducersAndAGroup(t *testing.T) {
	rounds := 3
	if powercut.Full() {
		rounds = 50
	}
	const producers, members = 8, 3
	seed := seedOf(t)
	random := rand.New(rand.NewPCG(seed, 1))
	report := powercut.Begin("F1-log", seed)
	p := newPrismd(t, queues)
	p.start()
	p.ready()
	dial := func() *client.Log {
		c, err := client.Dial(p.addr("data"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c.Log("disk")
	}
	producing, stopProducing := context.WithCancel(t.Context())
	reading, stopReading := context.WithCancel(t.Context())
	defer stopProducing()
	defer stopReading()
	var acked [producers]atomic.Int64
	var places [producers][]client.LogPlace
	var producer, member sync.WaitGroup
	for w := range producers {
		c := dial()
		producer.Go(func() {
			for n := 1; producing.Err() == nil; n++ {
				m := client.LogMessage{Key: fmt.Sprint(w), Payload: []byte(strconv.Itoa(n)), IdempotencyKey: key(w, n)}
				for {
					if place, err := c.Publish(producing, logTopic, m); err == nil {
						places[w] = append(places[w], place)
						acked[w].Store(int64(n))
						break
					} else if producing.Err() != nil {
						return
					}
				}
			}
		})
	}
	total := func() (n int64) {
		for w := range producers {
			n += acked[w].Load()
		}
		return n
	}
	harness.Eventually(t, 30*time.Second, "publishes are acked", func() bool { return total() > 0 })
	log := newGrouplog()
	for range members {
		c := dial()
		member.Go(func() {
			if err := log.read(reading, c); err != nil {
				t.Errorf("a member ended: %v", err)
			}
		})
	}
	var back int64
	for range rounds {
		before := total()
		time.Sleep(50*time.Millisecond + time.Duration(random.Int64N(int64(450*time.Millisecond))))
		p.signal(syscall.SIGKILL)
		p.wait(5 * time.Second)
		upTo := log.die()
		p.start()
		p.ready()
		committed := committedOf(t, p)
		log.live(committed)
		for n, offset := range upTo {
			if committed[n] < offset {
				back++
				t.Errorf("partition %d is committed up to %d after the kill; %d was acknowledged", n, committed[n], offset)
			}
		}
		harness.Eventually(t, 30*time.Second, "publishes are acked again", func() bool { return total() > before })
		report.Rounds++
	}
	stopProducing()
	producer.Wait()
	report.Acked = total()
	harness.Eventually(t, 2*time.Minute, "the group has seen all", func() bool {
		log.mu.Lock()
		defer log.mu.Unlock()
		for w := range producers {
			for n := 1; int64(n) <= acked[w].Load(); n++ {
				if !log.delivered[fmt.Sprint(w)][n] {
					return false
				}
			}
		}
		return true
	})
	stopReading()
	member.Wait()
	lost, gaps, swapped := readLog(t, p, dial(), places[:])
	report.Lost = lost
	report.More["gaps"], report.More["out_of_order_in_log"] = gaps, swapped
	report.More["redelivered"], report.More["out_of_order"], report.More["gone_back"] = log.again, log.outOfOrder, back
	report.Print()
	if lost != 0 || gaps != 0 || swapped != 0 || log.outOfOrder != 0 {
		t.Errorf("of %d messages %d are lost, %d offsets are missing, %d are out of order in the log, %d were delivered so", report.Acked, lost, gaps, swapped, log.outOfOrder)
	}
}

// readLog reads the whole log and holds it against where messages were said to
// go.
func readLog(t *testing.T, p *prismd, c *client.Log, places [][]client.LogPlace) (lost, gaps, swapped int64) {
	t.Helper()
	info, err := queuev1.NewQueueServiceClient(p.dial()).GetTopicInfo(t.Context(), &queuev1.GetTopicInfoRequest{Namespace: "disk", Topic: logTopic})
	if err != nil {
		t.Fatal(err)
	}
	found, last := map[string]client.LogPlace{}, map[string]int{}
	for _, part := range info.Partitions {
		r, err := c.Read(t.Context(), logTopic, client.LogReadOptions{Partition: part.Partition, End: &part.LatestOffset})
		if err != nil {
			t.Fatal(err)
		}
		next := int64(0)
		for {
			records, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range records {
				if m.Offset != next {
					gaps++
				}
				next = m.Offset + 1
				n, _ := strconv.Atoi(string(m.Payload))
				if n != last[m.Key]+1 {
					swapped++
				}
				last[m.Key] = n
				found[m.Key+"/"+string(m.Payload)] = client.LogPlace{Partition: m.Partition, Offset: m.Offset, Time: m.Time}
			}
		}
		r.Close()
		gaps += part.LatestOffset - next
	}
	for w := range places {
		for i, place := range places[w] {
			if found[fmt.Sprintf("%d/%d", w, i+1)] != place {
				lost++
			}
		}
	}
	return lost, gaps, swapped
}
