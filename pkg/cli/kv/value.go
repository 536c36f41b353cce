package kv

import b64 "encoding/base64"

func base64(b []byte) string { return b64.StdEncoding.EncodeToString(b) }
