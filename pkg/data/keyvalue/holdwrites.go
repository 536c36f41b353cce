//go:build !prism_nohold

package keyvalue

// holds is false with the build tag prism_nohold: writes then go on while a move
// switches, and nothing is compared, so that the test of faults must find what is
// lost.
const holds = true
