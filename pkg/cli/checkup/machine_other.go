//go:build !unix

package checkup

import "errors"

var errNotTold = errors.New("this system does not tell")

func openFiles() (uint64, error) { return 0, errNotTold }

// FreeDisk is not known here.
func FreeDisk(string) (uint64, error) { return 0, errNotTold }

// FreeMemory is not known here.
func FreeMemory() (total, free uint64, err error) { return 0, 0, errNotTold }
