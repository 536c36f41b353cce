package report

// JoinBlocks joins each two neighbours; one without a neighbour stays.
func JoinBlocks(all []Block) []Block {
	joined := make([]Block, 0, (len(all)+1)/2)
	for i := 0; i < len(all); i += 2 {
		if i+1 == len(all) {
			joined = append(joined, all[i])
			break
		}
		a, b := all[i], all[i+1]
		h := a.histogram()
		h.Merge(b.histogram())
		a.LengthS, a.OK, a.Failed = a.LengthS+b.LengthS, a.OK+b.OK, a.Failed+b.Failed
		a.HDR, _ = h.Encode()
		joined = append(joined, a)
	}
	return joined
}

// histogram is empty when the block's cannot be read.
func (b Block) histogram() *Histogram {
	if h, err := Decode(b.HDR); err == nil {
		return h
	}
	return NewHistogram()
}
