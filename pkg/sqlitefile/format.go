package sqlitefile

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// Where SQLite keeps things: https://www.sqlite.org/fileformat2.html
const (
	headerSize       = 100
	magic            = "SQLite format 3\x00"
	pageCountAt      = 28
	userVersionAt    = 60
	applicationIDAt  = 68
	walHeaderSize    = 32
	walFrameHeader   = 24
	walPageSizeAt    = 8
	smallestPageSize = 512
	largestPageSize  = 65536
)

// foldLog moves what is in the log into the file.
const foldLog = "PRAGMA wal_checkpoint(TRUNCATE)"

// Fold leaves one file behind, with its format in the header.
func Fold(ctx context.Context, conn *sql.Conn) error {
	_, err := conn.ExecContext(ctx, foldLog)
	return err
}

// check reads the header of the file without SQLite, which could write
// even while it only opens: replaying its log, changing its mode. A file that
// is empty is a new one.
func (k *Kind) check(path string) error {
	header, err := readHead(path, headerSize)
	switch {
	case err != nil:
		return prism.New(prism.ReasonUnavailable, "cannot read the %s", k.Name).WithCause(err)
	case len(header) == 0:
		return nil
	case len(header) < headerSize || string(header[:len(magic)]) != magic:
		return prism.New(prism.ReasonDataLoss, "the file is damaged, or is not a %s; restore it from a copy", k.Name)
	}
	version := binary.BigEndian.Uint32(header[userVersionAt:])
	// A newer program that was killed may have its format only in the log.
	logged, err := walVersion(path + "-wal")
	if err != nil {
		return prism.New(prism.ReasonUnavailable, "cannot read the log of the %s", k.Name).WithCause(err)
	}
	if v := max(version, logged); v > k.Format() {
		return k.newerFormat(v)
	}
	// One whose making was cut short has no id yet, and no table: one page.
	id, pages := binary.BigEndian.Uint32(header[applicationIDAt:]), binary.BigEndian.Uint32(header[pageCountAt:])
	if unborn := id == 0 && version == 0 && pages <= 1; id != k.ID && !unborn {
		return prism.New(prism.ReasonInvalidConfig, "the file is an SQLite database of another program")
	}
	return nil
}

func (k *Kind) newerFormat(version uint32) error {
	return prism.New(prism.ReasonNewerFormat, "the %s has format %d, and this program knows format %d", k.Name, version, k.Format())
}

func readHead(path string, n int) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b := make([]byte, n)
	n, err = io.ReadFull(f, b)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	return b[:n], nil
}

// walVersion finds the highest format in the log's copies of the first page.
// Copies of a transaction that was not finished count too: refusing is safe.
func walVersion(path string) (uint32, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	var head [walHeaderSize]byte
	if _, err := io.ReadFull(f, head[:]); err != nil {
		return 0, nil // empty, or cut before the first frame
	}
	size := int64(binary.BigEndian.Uint32(head[walPageSizeAt:]))
	if size < smallestPageSize || size > largestPageSize {
		return 0, nil // not a log: SQLite passes over it
	}
	var version uint32
	frame := make([]byte, walFrameHeader+headerSize)
	for at := int64(walHeaderSize); ; at += walFrameHeader + size {
		if _, err := f.ReadAt(frame, at); err != nil {
			return version, nil
		}
		page := frame[walFrameHeader:]
		if binary.BigEndian.Uint32(frame) == 1 && string(page[:len(magic)]) == magic {
			version = max(version, binary.BigEndian.Uint32(page[userVersionAt:]))
		}
	}
}

// checkedSize bounds the check of the whole file at the start: the time grows
// with the file. Beyond it, damage is reported
// where it is met.
const checkedSize = 32 << 20

// prepare checks the file and brings its format up to date.
func (k *Kind) prepare(ctx context.Context, conn *sql.Conn, fresh bool) error {
	var version uint32
	if err := conn.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	if version > k.Format() {
		return k.newerFormat(version)
	}
	if !fresh {
		if err := k.verify(ctx, conn); err != nil {
			return err
		}
	}
	if version == k.Format() {
		return nil
	}
	if err := k.migrate(ctx, conn, version); err != nil {
		return err
	}
	// The header must tell the format even if this process is killed now.
	return Fold(ctx, conn)
}

func (k *Kind) verify(ctx context.Context, conn *sql.Conn) error {
	var pages, size int64
	if err := conn.QueryRowContext(ctx, "PRAGMA page_count").Scan(&pages); err != nil {
		return err
	}
	if err := conn.QueryRowContext(ctx, "PRAGMA page_size").Scan(&size); err != nil {
		return err
	}
	if pages*size > checkedSize {
		return nil
	}
	var verdict string
	if err := conn.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&verdict); err != nil {
		return err
	}
	if verdict != "ok" {
		return k.DataLoss("check the "+k.Name, errors.New(verdict))
	}
	return nil
}

// migrate runs the steps that are missing in one transaction.
func (k *Kind) migrate(ctx context.Context, conn *sql.Conn, version uint32) (err error) {
	if _, err := conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_, rerr := conn.ExecContext(ctx, "ROLLBACK")
			err = errors.Join(err, rerr)
		}
	}()
	for _, step := range k.Steps[version:] {
		if _, err := conn.ExecContext(ctx, step); err != nil {
			return err
		}
	}
	for _, q := range []string{
		fmt.Sprintf("INSERT OR REPLACE INTO meta (name, value) VALUES ('format', '%d')", k.Format()),
		fmt.Sprintf("PRAGMA application_id = %d", k.ID),
		fmt.Sprintf("PRAGMA user_version = %d", k.Format()),
		"COMMIT",
	} {
		if _, err := conn.ExecContext(ctx, q); err != nil {
			return err
		}
	}
	return nil
}
