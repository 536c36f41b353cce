package stacks

// Catalog gives every stack there is, by name.
func Catalog() ([]*Stack, error) { panic("soon") }

// Find finds a stack of the catalogue; NOT_FOUND with the nearest name.
func Find(name string) (*Stack, error) { panic("soon") }
