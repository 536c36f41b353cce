package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
)

// SQLite checks the shape of its pages, not what is in them: a bit that flips
// inside a value is served as it is. So a body carries its own checksum, eight
// hex digits before the JSON, and a changed one is DATA_LOSS.

const sealLen = 8

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

func seal(v any) (string, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%0*x", sealLen, crc32.Checksum(body, castagnoli())) + string(body), nil
}

// unseal reads what seal wrote; what is named in the error.
func unseal(what, text string, into any) error {
	if len(text) < sealLen {
		return dataLoss("read "+what, errors.New("body too short"))
	}
	body := []byte(text[sealLen:])
	if sum := fmt.Sprintf("%0*x", sealLen, crc32.Checksum(body, castagnoli())); sum != text[:sealLen] {
		return dataLoss("read "+what, errors.New("checksum differs"))
	}
	if err := json.Unmarshal(body, into); err != nil {
		return dataLoss("read "+what, err)
	}
	return nil
}
