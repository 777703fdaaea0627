package reader

import (
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// The headers are written here and not by archive/tar, which cannot write
// sparse files.

const tarBlock = 512 // bytes

// padding returns how many bytes after n are missing to a whole block.
func padding(n int64) int64 { return -n & (tarBlock - 1) }

// Types of entries (POSIX.1-2024, pax, "ustar Interchange Format").
const (
	tarFile        = '0'
	tarLink        = '1'
	tarSymlink     = '2'
	tarChar        = '3'
	tarBlockDevice = '4'
	tarDirectory   = '5'
	tarFIFO        = '6'
	tarExtended    = 'x'
)

// header is what an archive says of an entry.
type header struct {
	kind         byte
	name         string
	link         string // target
	mode         uint16
	uid, gid     uint32
	size         int64 // bytes that follow
	modified     time.Time
	major, minor uint32
	sparse       int64 // length of a sparse file, 0 for others
	xattrs       []record
}

// record is a line of an extended header.
type record struct{ key, value string }

// setXattrs adds the inode's extended attributes, sorted by name.
func (h *header) setXattrs(in *Inode) error {
	all, err := in.Xattrs()
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if strings.Contains(name, "=") {
			return fmt.Errorf("extended attribute %.300q cannot be in an archive: it has a \"=\" in its name", name)
		}
		h.xattrs = append(h.xattrs, record{"SCHILY.xattr." + name, string(all[name])})
	}
	return nil
}

// Sizes of fields of a ustar header.
const (
	ustarName  = 100
	ustarMode  = 8
	ustarID    = 8
	ustarSize  = 12
	ustarTime  = 12
	ustarLink  = 100
	ustarMajor = 8
)

// write writes the header, after an extended one when it does not hold all.
func (h *header) write(w io.Writer) error {
	var records []record
	add := func(key, value string) { records = append(records, record{key, value}) }
	short := h.name
	if h.sparse > 0 {
		add("GNU.sparse.major", "1")
		add("GNU.sparse.minor", "0")
		add("GNU.sparse.name", h.name)
		add("GNU.sparse.realsize", strconv.FormatInt(h.sparse, 10))
		short = path.Join(path.Dir(h.name), "GNUSparseFile.0", path.Base(h.name))
	} else if !fits(h.name, ustarName) {
		add("path", h.name)
	}
	if !fits(h.link, ustarLink) {
		add("linkpath", h.link)
	}
	if !fitsOctal(h.size, ustarSize) {
		add("size", strconv.FormatInt(h.size, 10))
	}
	if !fitsOctal(int64(h.uid), ustarID) {
		add("uid", strconv.FormatUint(uint64(h.uid), 10))
	}
	if !fitsOctal(int64(h.gid), ustarID) {
		add("gid", strconv.FormatUint(uint64(h.gid), 10))
	}
	if h.modified.Nanosecond() != 0 || !fitsOctal(h.modified.Unix(), ustarTime) {
		add("mtime", paxTime(h.modified))
	}
	records = append(records, h.xattrs...)
	if len(records) > 0 {
		var b strings.Builder
		if !utf8.ValidString(h.name) || !utf8.ValidString(h.link) {
			b.WriteString(paxLine(record{"hdrcharset", "BINARY"}))
		}
		for _, r := range records {
			b.WriteString(paxLine(r))
		}
		x := header{kind: tarExtended, name: "PaxHeaders/" + path.Base(short), mode: 0o644, size: int64(b.Len())}
		b.Write(make([]byte, padding(int64(b.Len()))))
		block := x.ustar(x.name)
		if _, err := io.WriteString(w, string(block[:])+b.String()); err != nil {
			return err
		}
	}
	block := h.ustar(short)
	_, err := w.Write(block[:])
	return err
}

// fits says whether a ustar field of n bytes can have a text.
func fits(s string, n int) bool {
	return len(s) <= n && strings.IndexFunc(s, func(r rune) bool { return r >= utf8.RuneSelf }) < 0
}

// fitsOctal says whether a ustar field of n bytes can have a number.
func fitsOctal(v int64, n int) bool { return v >= 0 && v < 1<<(3*(n-1)) }

// ustar returns the header as a block, as far as that holds it.
func (h *header) ustar(name string) (b [tarBlock]byte) {
	at := 0
	text := func(s string, n int) {
		copy(b[at:at+n], ascii(s))
		at += n
	}
	number := func(v int64, n int) {
		if !fitsOctal(v, n) {
			v = 0
		}
		text(fmt.Sprintf("%0*o", n-1, v), n)
	}
	text(name, ustarName)
	number(int64(h.mode), ustarMode)
	number(int64(h.uid), ustarID)
	number(int64(h.gid), ustarID)
	number(h.size, ustarSize)
	number(h.modified.Unix(), ustarTime)
	const checksum = 8 // bytes, taken as spaces in itself
	sumAt := at
	text(strings.Repeat(" ", checksum), checksum)
	text(string(h.kind), 1)
	text(h.link, ustarLink)
	text("ustar\x0000", 8)
	at += 32 + 32 // names of user and group
	number(int64(h.major), ustarMajor)
	number(int64(h.minor), ustarMajor)
	sum := 0
	for _, c := range b {
		sum += int(c)
	}
	copy(b[sumAt:], fmt.Sprintf("%06o\x00 ", sum))
	return b
}

// ascii replaces what a ustar header should not have; an extended header has
// the right text then.
func ascii(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= utf8.RuneSelf {
			return '_'
		}
		return r
	}, s)
}

// paxLine returns a record with its length in front, which is part of the
// length.
func paxLine(r record) string {
	rest := " " + r.key + "=" + r.value + "\n"
	n := len(rest)
	for len(strconv.Itoa(n))+len(rest) != n {
		n = len(strconv.Itoa(n)) + len(rest)
	}
	return strconv.Itoa(n) + rest
}

// paxTime returns seconds since 1970 with a fraction.
func paxTime(t time.Time) string {
	s, ns, sign := t.Unix(), t.Nanosecond(), ""
	if s < 0 {
		sign = "-"
		s = -s
		if ns > 0 {
			s, ns = s-1, 1e9-ns
		}
	}
	out := sign + strconv.FormatInt(s, 10)
	if ns > 0 {
		out += "." + strings.TrimRight(fmt.Sprintf("%09d", ns), "0")
	}
	return out
}
