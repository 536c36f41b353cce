package pebble

import (
	"strings"
	"sync/atomic"
)

// recent is what the committer last wrote under keys that were written not long
// ago: a key that is written again needs no look into the store, unless for its
// value. Only the committer reads and changes it, because it also holds what
// is not synced; callers may ask whether looking ahead is worth it.
type recent struct {
	tags  [recentSets * recentWays]atomic.Uint32 // the hash of each way's key, 0 for none
	sets  [recentSets / recentChunk]*[recentChunk]recentSet
	turns uint8
}

const (
	recentSets  = 1 << 14
	recentWays  = 4
	recentChunk = 1 << 6 // sets that are made at once, at first use
	// recentKey is the longest key that is kept, which bounds the memory.
	recentKey = 128
)

type recentSet [recentWays]recentCell

type recentCell struct {
	ns   *namespace
	name string
	cell remembered
}

// remembered is a cell without its value.
type remembered struct {
	version      uint64
	expires, ttl int64
	size         int
	stored       bool
}

func tagOf(hash uint32) uint32 { return hash | 1 }

// way finds a key's place: where it is, or -1.
func (r *recent) way(ns *namespace, hash uint32, name string) (set *recentSet, at, way int) {
	at = int(hash % recentSets)
	set = r.set(at)
	for w := range recentWays {
		if r.tags[at*recentWays+w].Load() == tagOf(hash) && set[w].ns == ns && set[w].name == name {
			return set, at, w
		}
	}
	return set, at, -1
}

func (r *recent) set(at int) *recentSet {
	chunk := r.sets[at/recentChunk]
	if chunk == nil {
		chunk = new([recentChunk]recentSet)
		r.sets[at/recentChunk] = chunk
	}
	return &chunk[at%recentChunk]
}

func (r *recent) get(ns *namespace, hash uint32, name string) (cell, bool) {
	set, _, way := r.way(ns, hash, name)
	if way < 0 {
		return cell{}, false
	}
	m := &set[way].cell
	return cell{data: data{version: m.version, expires: m.expires, ttl: m.ttl}, stored: m.stored, size: m.size}, true
}

// put remembers a key; the one whose turn it is makes room.
func (r *recent) put(ns *namespace, hash uint32, name string, c *cell) {
	if len(name) > recentKey {
		return
	}
	set, at, way := r.way(ns, hash, name)
	for w := 0; way < 0 && w < recentWays; w++ {
		if r.tags[at*recentWays+w].Load() == 0 {
			way = w
		}
	}
	if way < 0 {
		r.turns++
		way = int(r.turns % recentWays)
	}
	if set[way].ns != ns || set[way].name != name {
		set[way].ns, set[way].name = ns, strings.Clone(name) // it may be a caller's memory
		r.tags[at*recentWays+way].Store(tagOf(hash))
	}
	set[way].cell = remembered{version: c.version, expires: c.expires, ttl: c.ttl, size: c.size, stored: c.stored}
}

// has reports whether a key with this hash is likely there.
func (r *recent) has(hash uint32) bool {
	at := int(hash%recentSets) * recentWays
	for w := range recentWays {
		if r.tags[at+w].Load() == tagOf(hash) {
			return true
		}
	}
	return false
}

// forget drops what may be of a key.
func (r *recent) forget(hash uint32) {
	at := int(hash % recentSets)
	for w := range recentWays {
		if r.tags[at*recentWays+w].Load() == tagOf(hash) {
			r.clear(at, w)
		}
	}
}

func (r *recent) clear(at, way int) {
	r.set(at)[way] = recentCell{}
	r.tags[at*recentWays+way].Store(0)
}

// drop drops all of a namespace.
func (r *recent) drop(ns *namespace) {
	for at := range recentSets {
		if r.sets[at/recentChunk] == nil {
			continue
		}
		for w := range recentWays {
			if r.set(at)[w].ns == ns {
				r.clear(at, w)
			}
		}
	}
}
