//go:build linux

package vhostuser

// fifo is a byte queue that grows as needed; the receive window bounds it.
type fifo struct {
	data  []byte // its length is a power of two
	start int
	n     int
}

// minFIFO is the size of the first allocation.
const minFIFO = 4096

func (f *fifo) write(p []byte) {
	if f.n+len(p) > len(f.data) {
		size := max(minFIFO, len(f.data))
		for size < f.n+len(p) {
			size *= 2
		}
		data := make([]byte, size)
		f.peek(data)
		f.data, f.start = data, 0
	}
	if len(p) == 0 {
		return
	}
	end := (f.start + f.n) & (len(f.data) - 1)
	m := copy(f.data[end:], p)
	copy(f.data, p[m:])
	f.n += len(p)
}

func (f *fifo) read(p []byte) int {
	n := f.peek(p)
	if f.n -= n; f.n == 0 {
		f.start = 0
	} else {
		f.start = (f.start + n) & (len(f.data) - 1)
	}
	return n
}

func (f *fifo) peek(p []byte) int {
	n := min(len(p), f.n)
	if n == 0 {
		return 0
	}
	m := copy(p[:n], f.data[f.start:])
	copy(p[m:n], f.data)
	return n
}
