package main

import "encoding/binary"

// helloQuery is what clickhouse-go asks for when it connects over HTTP.
const helloQuery = "SELECT displayName(), version(), revision(), timezone()"

// helloBlock answers it, in the protocol that the driver assumes before it
// knows the server's: a block with its info and a byte of serialization per
// column. The revision in it is 0, which makes all later blocks plain Native,
// the only kind that the engine writes.
func helloBlock(name, version, timezone string) []byte {
	b := []byte{1, 0, 2} // field 1: no overflow; field 2: bucket −1
	b = binary.LittleEndian.AppendUint32(b, 0xffffffff)
	b = append(b, 0, 4, 1) // no more fields; four columns, one row
	column := func(title, kind string, data []byte) {
		b = appendString(appendString(b, title), kind)
		b = append(append(b, 0), data...) // 0: no serialization of its own
	}
	column("displayName()", "String", appendString(nil, name))
	column("version()", "String", appendString(nil, version))
	column("revision()", "UInt32", []byte{0, 0, 0, 0})
	column("timezone()", "String", appendString(nil, timezone))
	return b
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}
