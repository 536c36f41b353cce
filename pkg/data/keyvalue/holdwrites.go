//go:build !prism_nohold

package keyvalue

// held is what keeps writes waiting. With the build tag prism_nohold nothing
// does, and the test of faults must then find writes that are lost.
func held(h *hold) *hold { return h }
