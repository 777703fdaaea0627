//go:build linux

package vhostuser

import (
	"errors"
	"math"
	"net"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestNegotiation(t *testing.T) {
	d, f := serveVsock(t)
	if got, want := le.Uint64(f.get(reqGetFeatures, nil)), uint64(0x171000001); got != want {
		t.Errorf("features %#x, want %#x", got, want)
	}
	if got := le.Uint64(f.get(reqGetProtocolFeatures, nil)); got != 0x209 {
		t.Errorf("protocol features %#x, want 0x209", got)
	}
	if got := le.Uint64(f.get(reqGetQueueNum, nil)); got != 2 {
		t.Errorf("%d queues, want 2", got)
	}
	config := append(pair(0, 8), make([]byte, 4+8)...)
	if got := f.get(reqGetConfig, config); le.Uint64(got[12:]) != testCID {
		t.Errorf("configuration %x, want the CID", got[12:])
	}
	beyond := append(pair(math.MaxUint32, 8), make([]byte, 4+8)...)
	if got := f.get(reqGetConfig, beyond); le.Uint64(got[12:]) != 0 {
		t.Errorf("configuration beyond its end: %x", got[12:])
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.end(); err != nil {
		t.Errorf("Serve after Close: %v", err)
	}
}

func TestRefusedRequests(t *testing.T) {
	_, f := serveVsock(t)
	f.negotiate(0)
	f.must(reqSetVringNum, pair(0, testQueue))
	regular, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer regular.Close()
	misaligned := ringAddress(0)
	misaligned[24]++
	outside := ringAddress(0)
	le.PutUint64(outside[8:], testUserBase+testMemory-1)
	for name, test := range map[string]struct {
		request uint32
		payload []byte
		fds     []int
	}{
		"unknown request":       {request: 200},
		"short features":        {reqSetFeatures, make([]byte, 7), nil},
		"short ring message":    {reqSetVringNum, make([]byte, 4), nil},
		"queue out of range":    {reqSetVringNum, pair(2, 16), nil},
		"queue of size 0":       {reqSetVringNum, pair(0, 0), nil},
		"queue of odd size":     {reqSetVringNum, pair(0, 24), nil},
		"huge queue":            {reqSetVringNum, pair(0, 2048), nil},
		"short ring address":    {reqSetVringAddr, pair(0, 0), nil},
		"kick without file":     {reqSetVringKick, encode64(0), nil},
		"kick of unknown queue": {reqSetVringKick, encode64(7), []int{f.fd}},
		"kick that cannot wait": {reqSetVringKick, encode64(0), []int{int(regular.Fd())}},
		"huge config":           {reqGetConfig, pair(0, math.MaxUint32), nil},
		"no memory table":       {reqSetMemTable, nil, nil},
		"nine regions":          {reqSetMemTable, memoryTable(make([]testRegion, 9)...), nil},
		"short memory table":    {reqSetMemTable, encode64(2), []int{f.fd, f.fd}},
		"region without file":   {reqSetMemTable, wholeMemory(), nil},
	} {
		if f.accepted(test.request, test.payload, test.fds...) {
			t.Errorf("%s: accepted", name)
		}
	}
	// Ring addresses count once the ring starts.
	f.must(reqSetVringEnable, pair(0, 1))
	kick, err := unix.Eventfd(0, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(kick)
	f.must(reqSetVringKick, encode64(0), kick)
	for name, address := range map[string][]byte{"misaligned ring": misaligned, "ring outside": outside} {
		if f.accepted(reqSetVringAddr, address) {
			t.Errorf("%s: accepted", name)
		}
	}
	f.must(reqSetVringAddr, ringAddress(0))
	if f.accepted(reqSetVringNum, pair(0, 8)) {
		t.Error("the size of a running ring changed")
	}
}

func TestMemoryRegions(t *testing.T) {
	_, f := serveVsock(t)
	unsealed, _ := sharedMemory(t, testMemory, unix.F_SEAL_GROW)
	for name, test := range map[string]struct {
		region testRegion
		fd     int
	}{
		"no seal":        {testRegion{0, testMemory, testUserBase, 0}, unsealed},
		"empty":          {testRegion{0, 0, testUserBase, 0}, f.fd},
		"beyond file":    {testRegion{0, testMemory + 1, testUserBase, 0}, f.fd},
		"offset beyond":  {testRegion{0, 4096, testUserBase, testMemory}, f.fd},
		"overflow":       {testRegion{0, math.MaxUint64, testUserBase, 4096}, f.fd},
		"overflow to 0":  {testRegion{0, math.MaxUint64 - 4095, testUserBase, 4096}, f.fd},
		"negative":       {testRegion{0, 1 << 63, testUserBase, 0}, f.fd},
		"guest overflow": {testRegion{math.MaxUint64, 4096, testUserBase, 0}, f.fd},
		"user overflow":  {testRegion{0, 4096, math.MaxUint64 - 100, 0}, f.fd},
	} {
		if f.accepted(reqSetMemTable, memoryTable(test.region), test.fd) {
			t.Errorf("%s: accepted", name)
		}
	}
	f.must(reqSetMemTable, memoryTable(testRegion{0, 4096, testUserBase, 0}, testRegion{4096, 8192, testUserBase + 4096, 4096}), f.fd, f.fd)
}

func TestMemoryLookup(t *testing.T) {
	mem := memory{
		{guest: 0x1000, user: 0x10000, bytes: make([]byte, 0x1000)},
		{guest: 0x2000, user: 0x20000, bytes: make([]byte, 0x1000)},
	}
	for _, test := range []struct {
		addr, n uint64
		want    bool
	}{
		{0x1000, 0x1000, true},
		{0x1fff, 1, true},
		{0x2fff, 1, true},
		{0x1800, 0x1000, false}, // it is in two regions
		{0xfff, 1, false},
		{0x3000, 1, false},
		{0x1001, math.MaxUint64, false},
		{math.MaxUint64, 2, false},
	} {
		if got := mem.guest(test.addr, test.n); (got != nil) != test.want || test.want && uint64(len(got)) != test.n {
			t.Errorf("%#x+%#x: %d bytes, want them: %v", test.addr, test.n, len(got), test.want)
		}
	}
}

func TestBrokenProtocolEndsServe(t *testing.T) {
	for name, message := range map[string][]byte{
		"wrong version": append(pair(reqGetFeatures, 2), 0, 0, 0, 0),
		"huge payload":  append(pair(reqGetFeatures, flagVersion), 0xff, 0xff, 0, 0),
		"unasked error": append(pair(200, flagVersion), 0, 0, 0, 0),
	} {
		t.Run(name, func(t *testing.T) {
			_, f := serveVsock(t)
			if _, err := f.conn.Write(message); err != nil {
				t.Fatal(err)
			}
			if err := f.end(); err == nil {
				t.Error("no error")
			}
		})
	}
}

func TestServeOnlyOne(t *testing.T) {
	d, f := serveVsock(t)
	f.get(reqGetFeatures, nil)
	if err := connect(t, d).end(); err == nil {
		t.Error("two front-ends were served at a time")
	}
	f.conn.Close()
	if err := f.end(); err != nil {
		t.Errorf("Serve after the front-end has left: %v", err)
	}
	connect(t, d).get(reqGetFeatures, nil) // the next one is served
	d.Close()
	if err := connect(t, d).end(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Serve after Close: %v", err)
	}
}

// TestNoDescriptorsLeft counts descriptors over a device's life.
func TestNoDescriptorsLeft(t *testing.T) {
	count := func() int {
		names, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(names)
	}
	before := 0
	for i := range 3 {
		t.Run("", func(t *testing.T) {
			_, f := serveVsock(t)
			f.up()
			f.accepted(200, nil, f.fd, f.fd) // descriptors that nobody takes
			f.stopRings()
			f.startRings(0)
			f.conn.Close()
			f.end()
		})
		if i == 0 {
			before = count() // after the runtime has opened its own
		}
	}
	if after := count(); after > before {
		t.Errorf("%d descriptors, %d before", after, before)
	}
}
