package auth

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// Memory is Keys without a store: for tests, and for a gateway that has no
// control store.
type Memory struct {
	mu         sync.Mutex
	records    map[string]KeyRecord
	generation atomic.Uint64
}

// NewMemory holds the given records.
func NewMemory(records ...KeyRecord) *Memory {
	m := &Memory{records: make(map[string]KeyRecord)}
	for _, r := range records {
		m.Put(r)
	}
	return m
}

// Put adds or replaces a record.
func (m *Memory) Put(r KeyRecord) {
	m.mu.Lock()
	m.records[r.ID] = r
	m.mu.Unlock()
	m.generation.Add(1)
}

// Remove deletes a record.
func (m *Memory) Remove(id string) {
	m.mu.Lock()
	delete(m.records, id)
	m.mu.Unlock()
	m.generation.Add(1)
}

// Key implements [Keys].
func (m *Memory) Key(_ context.Context, id string) (KeyRecord, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.records[id]
	if !ok {
		return KeyRecord{}, prism.NotFound("key", id)
	}
	return r, nil
}

// KeyGeneration implements [Keys].
func (m *Memory) KeyGeneration() uint64 { return m.generation.Load() }

// KeysUsed implements [Keys].
func (m *Memory) KeysUsed(_ context.Context, at map[string]time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, t := range at {
		if r, ok := m.records[id]; ok && t.After(r.LastUsedAt) {
			r.LastUsedAt = t
			m.records[id] = r
		}
	}
	return nil
}
