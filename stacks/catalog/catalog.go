// Package catalog holds the folders of the stacks, as they were built in.
package catalog

import (
	"embed"
	"io/fs"
)

//go:embed */*
var folders embed.FS

// Folders has a folder for each stack, of its name.
func Folders() fs.FS { return folders }
