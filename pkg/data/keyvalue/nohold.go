//go:build prism_nohold

package keyvalue

func held(*hold) *hold { return nil }
