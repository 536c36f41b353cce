//go:build !unix

package config

import "io/fs"

// ownedByUs trusts the access lists of the system.
func ownedByUs(fs.FileInfo) bool { return true }
