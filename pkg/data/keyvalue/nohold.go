//go:build prism_nohold

package keyvalue

const holds = false
