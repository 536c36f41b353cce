package kv

import (
	"encoding/binary"

	"github.com/prism-data-layer/prism/loadtest"
)

// valueSlack is by how many bytes values may be shifted against each other.
const valueSlack = 4096

// values cuts values out of one block of noise: no value costs an allocation,
// nor does any store compress it.
type values struct {
	noise []byte
	size  int
	seed  uint64
}

func newValues(seed uint64, size int) values {
	v := values{size: size, seed: seed, noise: make([]byte, 0, size+valueSlack+8)}
	for n := uint64(0); len(v.noise) < size+valueSlack; n++ {
		v.noise = binary.LittleEndian.AppendUint64(v.noise, loadtest.Hash(^seed, n))
	}
	return v
}

// of is the value that request n writes.
func (v values) of(n uint64) []byte {
	at := loadtest.Hash(v.seed, ^n) % valueSlack
	return v.noise[at : int(at)+v.size : int(at)+v.size]
}
