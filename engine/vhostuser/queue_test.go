//go:build linux

package vhostuser

import (
	"testing"

	"golang.org/x/sys/unix"
)

// desc is a descriptor in a test's table.
type desc struct {
	addr        uint64
	length      uint32
	flags, next uint16
}

// testRing is a queue of 8 entries in memory of its own, without a protocol.
func testRing(t *testing.T, table []desc, avail ...uint16) (*queue, memory) {
	t.Helper()
	mem := memory{{guest: 0, user: testUserBase, bytes: make([]byte, 0x10000)}}
	q := &queue{size: 8, descAddr: testUserBase, availAddr: testUserBase + 0x1000, usedAddr: testUserBase + 0x2000, call: -1}
	if err := q.attach(mem); err != nil {
		t.Fatal(err)
	}
	putDescs(mem[0].bytes, table)
	for i, head := range avail {
		le.PutUint16(q.avail[4+2*i:], head)
	}
	le.PutUint16(q.avail[2:], uint16(len(avail)))
	q.begin()
	return q, mem
}

func putDescs(b []byte, table []desc) {
	for i, d := range table {
		le.PutUint64(b[descSize*i:], d.addr)
		le.PutUint32(b[descSize*i+8:], d.length)
		le.PutUint16(b[descSize*i+12:], d.flags)
		le.PutUint16(b[descSize*i+14:], d.next)
	}
}

func TestPopChains(t *testing.T) {
	q, mem := testRing(t, []desc{
		0: {0x8000, 10, descNext, 3},
		1: {0x4000, 3 * descSize, descIndirect, 0},
		2: {0x9000, 0, 0, 0},
		3: {0x8100, 20, descNext, 4},
		4: {0x8200, 30, descWrite, 0},
	}, 0, 1, 2)
	putDescs(mem[0].bytes[0x4000:], []desc{
		{0xa000, 1, descNext, 2},
		{},
		{0xa100, 2, descWrite, 0},
	})
	lengths := func(segs [][]byte) (n []int) {
		for _, s := range segs {
			n = append(n, len(s))
		}
		return n
	}
	var c chain
	for i, want := range []struct{ read, write []int }{{[]int{10, 20}, []int{30}}, {[]int{1}, []int{2}}, {nil, nil}} {
		ok, err := q.pop(&c)
		if !ok || err != nil || int(c.head) != i {
			t.Fatalf("chain %d: %v, %v, head %d", i, ok, err, c.head)
		}
		if r, w := lengths(c.read), lengths(c.write); !equal(r, want.read) || !equal(w, want.write) {
			t.Errorf("chain %d: %v and %v, want %v", i, r, w, want)
		}
		q.push(c.head, uint32(i))
	}
	if ok, err := q.pop(&c); ok || err != nil {
		t.Errorf("a chain too many: %v, %v", ok, err)
	}
	q.flush()
	if got := le.Uint16(q.used[2:]); got != 3 {
		t.Errorf("used index %d, want 3", got)
	}
	if id, n := le.Uint32(q.used[4+16:]), le.Uint32(q.used[4+16+4:]); id != 2 || n != 2 {
		t.Errorf("third used entry: chain %d with %d bytes", id, n)
	}
}

func equal(a, b []int) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func TestPopRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		table    []desc
		indirect []desc
		avail    []uint16
	}{
		"head out of range":      {table: []desc{{0x8000, 1, 0, 0}}, avail: []uint16{8}},
		"next out of range":      {table: []desc{{0x8000, 1, descNext, 8}}, avail: []uint16{0}},
		"loop":                   {table: []desc{{0x8000, 1, descNext, 1}, {0x8000, 1, descNext, 0}}, avail: []uint16{0}},
		"loop of empty buffers":  {table: []desc{{0x8000, 0, descNext, 0}}, avail: []uint16{0}},
		"outside memory":         {table: []desc{{0x10000, 1, 0, 0}}, avail: []uint16{0}},
		"across the end":         {table: []desc{{0xffff, 2, 0, 0}}, avail: []uint16{0}},
		"address overflow":       {table: []desc{{^uint64(0), 0xffffffff, 0, 0}}, avail: []uint16{0}},
		"readable after write":   {table: []desc{{0x8000, 1, descNext | descWrite, 1}, {0x8000, 1, 0, 0}}, avail: []uint16{0}},
		"empty indirect table":   {table: []desc{{0x4000, 0, descIndirect, 0}}, avail: []uint16{0}},
		"odd indirect table":     {table: []desc{{0x4000, 17, descIndirect, 0}}, avail: []uint16{0}},
		"huge indirect table":    {table: []desc{{0x4000, 0x8000, descIndirect, 0}}, avail: []uint16{0}},
		"indirect table outside": {table: []desc{{0xfff8, 16, descIndirect, 0}}, avail: []uint16{0}},
		"indirect in indirect":   {table: []desc{{0x4000, 16, descIndirect, 0}}, indirect: []desc{{0x4000, 16, descIndirect, 0}}, avail: []uint16{0}},
		"loop in indirect":       {table: []desc{{0x4000, 16, descIndirect, 0}}, indirect: []desc{{0x8000, 1, descNext, 0}}, avail: []uint16{0}},
		"more than there can be": {table: []desc{{0x8000, 1, 0, 0}}, avail: make([]uint16, 9)},
	} {
		t.Run(name, func(t *testing.T) {
			q, mem := testRing(t, test.table, test.avail...)
			putDescs(mem[0].bytes[0x4000:], test.indirect)
			var c chain
			if ok, err := q.pop(&c); ok || err == nil {
				t.Fatalf("accepted: %v, %v", ok, err)
			}
			if ok, err := q.pop(&c); ok || err != nil {
				t.Errorf("a broken ring yields %v, %v", ok, err)
			}
			if q.arm() {
				t.Error("a broken ring has something to do")
			}
		})
	}
}

// TestNotification checks who wakes whom, with and without EVENT_IDX.
func TestNotification(t *testing.T) {
	interrupted := func(q *queue) bool {
		var b [8]byte
		_, err := unix.Read(q.call, b[:])
		return err == nil
	}
	start := func(t *testing.T, eventIdx bool) *queue {
		q, _ := testRing(t, []desc{{0x8000, 1, 0, 0}}, 0, 0, 0, 0)
		q.eventIdx = eventIdx
		call, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
		if err != nil {
			t.Fatal(err)
		}
		if err := q.setCall(call); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { q.setCall(-1) })
		return q
	}
	use := func(t *testing.T, q *queue) {
		var c chain
		if ok, err := q.pop(&c); !ok || err != nil {
			t.Fatal(ok, err)
		}
		q.push(c.head, 0)
		q.flush()
	}
	t.Run("flags", func(t *testing.T) {
		q := start(t, false)
		use(t, q)
		if !interrupted(q) {
			t.Error("no interrupt")
		}
		le.PutUint16(q.avail, 1) // VIRTQ_AVAIL_F_NO_INTERRUPT
		use(t, q)
		if interrupted(q) {
			t.Error("an interrupt that the driver does not want")
		}
	})
	t.Run("event index", func(t *testing.T) {
		q := start(t, true)
		le.PutUint16(q.avail[4+2*8:], 1) // wake me for the second
		for i, want := range []bool{false, true, false} {
			use(t, q)
			if got := interrupted(q); got != want {
				t.Errorf("buffer %d: interrupt %v, want %v", i, got, want)
			}
		}
		if !q.arm() {
			t.Error("there is a fourth")
		}
		use(t, q)
		if q.arm() {
			t.Error("there is no fifth")
		}
		if got := le.Uint16(q.used[4+8*8:]); got != 4 {
			t.Errorf("avail_event %d, want 4", got)
		}
	})
}

// TestOneEntryRing has used_event share a word with the only entry.
func TestOneEntryRing(t *testing.T) {
	q := &queue{size: 1}
	if q.eventOffset() != 4 || q.eventShift() != 16 {
		t.Errorf("used_event of a ring of 1 at %d, shifted %d", q.eventOffset(), q.eventShift())
	}
	q.size = 8
	if q.eventOffset() != 20 || q.eventShift() != 0 {
		t.Errorf("used_event of a ring of 8 at %d, shifted %d", q.eventOffset(), q.eventShift())
	}
}
