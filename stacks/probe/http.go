package probe

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strconv"
)

// askHTTP gets a URL. The option status is what it must answer (200), text what
// must stand in the answer.
func askHTTP(ctx context.Context, q Question) error {
	want := http.StatusOK
	if s := q.Options["status"]; s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			return fmt.Errorf("the status %q is no number", s)
		}
		want = n
	}
	status, body, err := get(ctx, q.Addr)
	if err == nil && (status != want || !bytes.Contains(body, []byte(q.Options["text"]))) {
		err = answered(status, body)
	}
	return err
}

func get(ctx context.Context, url string) (int, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return 0, nil, err
	}
	return do(req)
}
