package redis

import (
	"context"
	"encoding/binary"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// Export is one pipeline: an MGET for the keys, an HMGET for the receipts.
func (s *store) Export(ctx context.Context, ns prism.Namespace, keys []string, receipts []driver.ReceiptID) (p driver.Parcel, err error) {
	if err := s.enter(ctx); err != nil {
		return p, err
	}
	defer s.leave()
	at := prefix(ns)
	for more := len(keys)+len(receipts) == 0; more; {
		if more, err = s.sweepOne(ctx, at); err != nil {
			return p, err
		}
	}
	pipe := s.client.Pipeline()
	names, ids := make([]string, len(keys)), make([]string, len(receipts))
	for i, key := range keys {
		names[i] = at + kindValue + key
	}
	for i := range receipts {
		ids[i] = string(receipts[i][:])
	}
	values := pipe.MGet(ctx, append(names, at+kindMeta)...) // MGET wants a key; one that is no string is nil
	kept := pipe.HMGet(ctx, at+kindReceipts, append(ids, "")...)
	version := pipe.HMGet(ctx, at+kindMeta, "v")
	if _, err := pipe.Exec(ctx); err != nil {
		return p, s.classify(ctx, err)
	}
	for i, v := range values.Val()[:len(keys)] {
		raw, ok := v.(string)
		if !ok {
			continue
		}
		e, err := parcelled(keys[i], bytesOf(raw))
		if err != nil {
			return p, s.classify(ctx, err)
		}
		p.Entries = append(p.Entries, e)
	}
	for i, v := range kept.Val()[:len(receipts)] {
		if raw, ok := v.(string); ok {
			if err := addReceipt(&p, string(receipts[i][:]), raw); err != nil {
				return p, s.classify(ctx, err)
			}
		}
	}
	if text, ok := version.Val()[0].(string); ok {
		if p.Version, err = strconv.ParseUint(text, 10, 64); err != nil {
			return p, s.classify(ctx, errRecord)
		}
	}
	return p, nil
}

// ttlHead is where a record's time to live stands.
const ttlHead = recordHead + 8

// parcelled reads a record; the value is part of raw.
func parcelled(key string, raw []byte) (p driver.ParcelEntry, err error) {
	e, head, err := parseRecord(raw)
	if err != nil {
		return p, err
	}
	e.Key, e.Size = key, len(e.Value)
	if p.Entry = e; head > recordHead {
		p.TTL = time.Duration(binary.BigEndian.Uint64(raw[ttlHead:])) * time.Millisecond
	}
	return p, nil
}

// A receipt as it is kept: the hash of the request, its end in microseconds, and
// the answers, each after its length.
const receiptHead = 16 + 8

// addReceipt reads a receipt into a parcel, unless it has ended.
func addReceipt(p *driver.Parcel, id, raw string) error {
	if len(id) != 16 || len(raw) < receiptHead {
		return errRecord
	}
	k := driver.KeptReceipt{ID: [16]byte([]byte(id)), Body: [16]byte([]byte(raw[:16]))}
	k.Ends = time.UnixMicro(int64(binary.BigEndian.Uint64([]byte(raw[16:receiptHead]))))
	var err error
	if k.Answers, err = parseAnswers([]byte(raw[receiptHead:])); err != nil {
		return err
	}
	p.Receipts = append(p.Receipts, k)
	return nil
}

// ExportReceipts walks the hash with HSCAN, whose cursor is the token; it may
// tell of a receipt twice.
func (s *store) ExportReceipts(ctx context.Context, ns prism.Namespace, token []byte, limit int) (p driver.Parcel, next []byte, err error) {
	if err := s.enter(ctx); err != nil {
		return p, nil, err
	}
	defer s.leave()
	var cursor uint64
	if token != nil {
		if len(token) != 8 {
			return p, nil, prism.New(prism.ReasonInvalidCursor, "the token is not one of this store")
		}
		cursor = binary.BigEndian.Uint64(token)
	}
	pairs, cursor, err := s.client.HScan(ctx, prefix(ns)+kindReceipts, cursor, "", int64(limit)).Result()
	if err != nil {
		return p, nil, s.classify(ctx, err)
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		if err := addReceipt(&p, pairs[i], pairs[i+1]); err != nil {
			return p, nil, s.classify(ctx, err)
		}
	}
	if cursor != 0 {
		next = binary.BigEndian.AppendUint64(nil, cursor)
	}
	return p, next, nil
}

// importBytes is up to how much a script stores: the server does nothing else
// meanwhile.
const importBytes = 256 << 10

// Import is one pipeline of scripts, each for a few entries or receipts.
func (s *store) Import(ctx context.Context, ns prism.Namespace, p driver.Parcel) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	at, parts := prefix(ns), importParts(p)
	cmds, err := s.importAll(ctx, at, parts, false)
	if noScript(err) { // a server that was restarted; storing twice changes nothing
		cmds, err = s.importAll(ctx, at, parts, true)
	}
	if err != nil {
		return s.classify(ctx, err)
	}
	for _, cmd := range cmds {
		if answer, err := cmd.Text(); err != nil {
			return s.classify(ctx, err)
		} else if answer != "R" {
			return s.refused(answer, &driver.Op{})
		}
	}
	return nil
}

func (s *store) importAll(ctx context.Context, at string, parts []driver.Parcel, whole bool) ([]*redis.Cmd, error) {
	pipe := s.client.Pipeline()
	cmds := make([]*redis.Cmd, len(parts))
	for i := range parts {
		names := make([]string, len(parts[i].Entries))
		for j := range names {
			names[j] = parts[i].Entries[j].Key
		}
		cmds[i] = caller{pipe, whole}.call(ctx, importScript, s.keys(importScript, at, names...), s.importArgs(at, &parts[i])...)
	}
	_, err := pipe.Exec(ctx)
	return cmds, err
}

// importParts cuts a parcel into what one script stores.
func importParts(p driver.Parcel) (parts []driver.Parcel) {
	version := p.UsedUp()
	for {
		part := driver.Parcel{Version: version}
		n := min(len(p.Receipts), stride)
		part.Receipts, p.Receipts = p.Receipts[:n], p.Receipts[n:]
		n = 0
		for size := 0; n < min(len(p.Entries), stride) && (n == 0 || size+len(p.Entries[n].Value) <= importBytes); n++ {
			size += len(p.Entries[n].Value)
		}
		part.Entries, p.Entries = p.Entries[:n], p.Entries[n:]
		if parts = append(parts, part); len(p.Receipts)+len(p.Entries) == 0 {
			return parts
		}
	}
}

func (s *store) importArgs(p string, part *driver.Parcel) []any {
	args := s.common(p, part.Version, len(part.Receipts))
	for i := range part.Receipts {
		k := &part.Receipts[i]
		raw := binary.BigEndian.AppendUint64(k.Body[:], uint64(k.Ends.UnixMicro()))
		for j := range k.Answers {
			a := appendAnswer(nil, &k.Answers[j])
			raw = append(binary.BigEndian.AppendUint32(raw, uint32(len(a))), a...)
		}
		args = append(args, k.ID[:], raw)
	}
	for i := range part.Entries {
		e := &part.Entries[i]
		var expires uint64
		if !e.ExpiresAt.IsZero() {
			expires = uint64(max(e.ExpiresAt.UnixMilli(), 2)) // the server keeps it through the millisecond before
		}
		head := binary.BigEndian.AppendUint64(nil, e.Version)
		head = binary.BigEndian.AppendUint64(head, expires)
		head = binary.BigEndian.AppendUint64(head, uint64(ttlMillis(e.TTL)))
		args = append(args, e.Key, head, e.Value)
	}
	return args
}

// appendAnswer writes what a script's answer() writes; parseAnswer reads it.
func appendAnswer(b []byte, r *driver.Result) []byte {
	var flags byte
	if r.Found {
		flags |= answerFound
	}
	if r.Applied {
		flags |= answerApplied
	}
	if r.Value != nil {
		flags |= answerValue
	}
	b = binary.BigEndian.AppendUint64(append(b, flags), r.Version)
	var expires uint64
	if !r.ExpiresAt.IsZero() {
		expires = uint64(r.ExpiresAt.UnixMilli())
	}
	b = binary.BigEndian.AppendUint64(b, expires)
	var number string
	if r.Number != 0 {
		number = strconv.FormatInt(r.Number, 10)
	}
	b = append(append(b, byte(len(number))), number...)
	return append(b, r.Value...)
}
