package auth

// WithChecksum completes a key.
func WithChecksum(body string) string {
	sum := checksum([]byte(body))
	return body + string(sum[:])
}
