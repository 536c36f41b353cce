//go:build !linux

package ui

// usageOf is not known here.
func usageOf(int) (usage, bool) { return usage{}, false }
