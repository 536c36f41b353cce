package loadtest

import "github.com/prism-data-layer/prism/loadtest/report"

// maxBlocks bounds what the report keeps: enough to draw from, small in a file.
const maxBlocks = 64

// blocks are whole distributions of stretches of the run. When there are too
// many, neighbours are joined: blocks grow with the run.
type blocks struct {
	all  []report.Block
	join int // points in a block, as a power of 2
	open int // points in the last block
	last *report.Histogram
}

func (b *blocks) add(length float64, ok, failed uint64, h *report.Histogram) {
	if b.last == nil {
		b.last, b.join = report.NewHistogram(), 1
	}
	if b.open == 0 {
		b.all = append(b.all, report.Block{})
	}
	one := &b.all[len(b.all)-1]
	one.LengthS, one.OK, one.Failed = one.LengthS+length, one.OK+ok, one.Failed+failed
	b.last.Merge(h)
	if b.open++; b.open == b.join {
		b.seal()
	}
}

// seal ends the last block.
func (b *blocks) seal() {
	one := &b.all[len(b.all)-1]
	one.HDR, _ = b.last.Encode()
	b.last.Reset()
	b.open = 0
	if len(b.all) < maxBlocks {
		return
	}
	b.all = report.JoinBlocks(b.all)
	b.join *= 2
}

func (b *blocks) list() []report.Block {
	if b.open > 0 {
		b.seal()
	}
	return b.all
}
