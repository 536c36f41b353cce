package probe

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// askOTLP exports a span over HTTP and wants to hear that it was taken. The
// option url is asked too: what shows the spans.
func askOTLP(ctx context.Context, q Question) error {
	if err := export(ctx, q.Addr, span()); err != nil {
		return err
	}
	return askShown(ctx, q)
}

// againOTLP exports nothing, so that the store holds what people look for.
func againOTLP(ctx context.Context, q Question) error {
	if err := export(ctx, q.Addr, `{"resourceSpans":[]}`); err != nil {
		return err
	}
	return askShown(ctx, q)
}

func askShown(ctx context.Context, q Question) error {
	url := q.Options["url"]
	if url == "" {
		return nil
	}
	status, body, err := get(ctx, url)
	if err == nil && status != http.StatusOK {
		err = answered(status, body)
	}
	return err
}

func export(ctx context.Context, addr, spans string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+"/v1/traces", strings.NewReader(spans))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	status, body, err := do(req)
	if err != nil {
		return err
	}
	var answer struct {
		PartialSuccess struct {
			RejectedSpans json.Number `json:"rejectedSpans"`
		} `json:"partialSuccess"`
	}
	if status != http.StatusOK || json.Unmarshal(body, &answer) != nil {
		return answered(status, body)
	}
	if n := answer.PartialSuccess.RejectedSpans; n != "" && n != "0" {
		return answered(status, body)
	}
	return nil
}

// span is one span of the service prism-probe, as OTLP's JSON.
func span() string {
	id := make([]byte, 24)
	rand.Read(id) //nolint:errcheck // never fails
	now := strconv.FormatInt(time.Now().UnixNano(), 10)
	return `{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"prism-probe"}}]},` +
		`"scopeSpans":[{"scope":{"name":"prismctl dev"},"spans":[{"traceId":"` + hex.EncodeToString(id[:16]) + `","spanId":"` + hex.EncodeToString(id[16:]) +
		`","name":"probe","kind":1,"startTimeUnixNano":"` + now + `","endTimeUnixNano":"` + now + `"}]}]}]}`
}
