package keyvalue

// Needs shows the table of capabilities to tests.
func Needs(k OpKind) string { return needs[k] }

// RPC shows the names that scope receipts to tests.
func RPC(k OpKind) string { return rpcNames[k] }
