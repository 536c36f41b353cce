package probe

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"time"
)

// askS3 lists the buckets, signed as AWS Signature Version 4 says.
func askS3(ctx context.Context, q Question) error {
	password, err := q.secret("password_file")
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+q.Addr+"/", http.NoBody)
	if err != nil {
		return err
	}
	sign(req, q.Options["username"], password, time.Now())
	status, body, err := do(req)
	if err == nil && (status != http.StatusOK || !bytes.Contains(body, []byte("ListAllMyBucketsResult"))) {
		err = answered(status, body)
	}
	return err
}

// emptySHA256 is the hash of no body.
const emptySHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// sign signs a GET of / without a query.
func sign(req *http.Request, id, key string, now time.Time) {
	const region, service = "us-east-1", "s3"
	day, moment := now.UTC().Format("20060102"), now.UTC().Format("20060102T150405Z")
	req.Header.Set("X-Amz-Date", moment)
	req.Header.Set("X-Amz-Content-Sha256", emptySHA256)
	const signed = "host;x-amz-content-sha256;x-amz-date"
	canonical := "GET\n/\n\nhost:" + req.URL.Host + "\nx-amz-content-sha256:" + emptySHA256 + "\nx-amz-date:" + moment + "\n\n" + signed + "\n" + emptySHA256
	scope := day + "/" + region + "/" + service + "/aws4_request"
	hash := sha256.Sum256([]byte(canonical))
	text := "AWS4-HMAC-SHA256\n" + moment + "\n" + scope + "\n" + hex.EncodeToString(hash[:])
	mac := []byte("AWS4" + key)
	for _, part := range []string{day, region, service, "aws4_request", text} {
		h := hmac.New(sha256.New, mac)
		h.Write([]byte(part))
		mac = h.Sum(nil)
	}
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+id+"/"+scope+", SignedHeaders="+signed+", Signature="+hex.EncodeToString(mac))
}
