// Package config reads the files that people write: prismd's file (kind
// Gateway), and prismctl's project and user files (kinds Project and User).
//
// Reading is strict and tells everything at once: each problem with file, line
// and column, the wrong word, the nearest right one, and where it is
// documented. What a driver's options mean is not known here; they pass through
// as an [Options] and are decoded, as strictly, by whoever knows.
//
// The struct tags of the file types are the one description of the files. The
// decoder, the suggestions, the JSON schema, the reference page and the writer
// all read them:
//
//	yaml     the key
//	doc      a sentence for the reference and the schema
//	default  what an absent key means, as it would be written
//	enum     the words that are allowed, separated by |
//	check    further rules, separated by commas: see rules.go
//
// prismd, prismctl and package server call it. It starts nothing and keeps no
// state.
package config
