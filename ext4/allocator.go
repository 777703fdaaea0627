package ext4

import (
	"errors"
	"fmt"
	"math/bits"
	"slices"

	"github.com/skerry-app/skerry/ext4/format"
)

// ErrFull says that a file system has no room left.
var ErrFull = errors.New("file system is full")

// run is a range of blocks.
type run struct{ start, n uint64 }

func (r run) end() uint64 { return r.start + r.n }

// allocator hands out blocks: from the front of the file system to its end,
// around what is reserved, and before that from what was given back, unless the
// file system is compact: there a hole costs nothing, and what is written last,
// the metadata, stays together.
type allocator struct {
	geo   *geometry
	next  uint64 // everything from here on is free, but for what is reserved
	freed []run  // given back since the last settle
	// free holds runs by the binary logarithm of their length: class k has
	// runs of 2^k blocks and more.
	free [64][]run
}

// alloc returns up to n blocks: at once as many as are free in a row.
func (a *allocator) alloc(n uint64) (run, error) {
	if !a.geo.compact {
		if r, ok := a.recycle(n); ok {
			return r, nil
		}
	}
	at, room, err := a.skip(a.next)
	if err != nil {
		return run{}, err
	}
	r := run{at, min(n, room)}
	a.next = r.end()
	return r, nil
}

// contiguous returns exactly n fresh blocks in a row. n is less than a group
// has.
func (a *allocator) contiguous(n uint64) (run, error) {
	for {
		at, room, err := a.skip(a.next)
		if err != nil {
			return run{}, err
		}
		if room >= n {
			a.next = at + n
			return run{at, n}, nil
		}
		a.freed = append(a.freed, run{at, room})
		a.next = at + room
	}
}

// skip returns the first block from at on that may have data, and how many
// from there on may.
func (a *allocator) skip(at uint64) (start, room uint64, err error) {
	for at < a.geo.blocks {
		group := format.GroupOf(at)
		first := format.GroupStart(group)
		start = max(at, first+a.geo.front(group))
		if end := first + a.geo.blocksIn(group); start < end {
			return start, end - start, nil
		}
		at = first + format.BlocksPerGroup
	}
	return 0, 0, fmt.Errorf("%w: all %d MiB of it", ErrFull, a.geo.blocks*format.BlockSize>>20)
}

// leave passes over the fresh blocks before to, which stay free.
func (a *allocator) leave(to uint64) {
	for a.next < to {
		at, room, err := a.skip(a.next)
		if err != nil || at >= to {
			break
		}
		r := run{at, min(room, to-at)}
		a.release(r)
		a.next = r.end()
	}
	a.next = max(a.next, to)
}

// release gives blocks back.
func (a *allocator) release(r run) { a.freed = append(a.freed, r) }

// recycle finds n free blocks in a row among those that were given back.
func (a *allocator) recycle(n uint64) (run, bool) {
	a.settle()
	for class := bits.Len64(n - 1); class < len(a.free); class++ {
		last := len(a.free[class]) - 1
		if last < 0 {
			continue
		}
		r := a.free[class][last]
		a.free[class] = a.free[class][:last]
		if r.n > n {
			a.shelve(run{r.start + n, r.n - n})
		}
		return run{r.start, n}, true
	}
	return run{}, false
}

func (a *allocator) shelve(r run) {
	class := bits.Len64(r.n) - 1
	a.free[class] = append(a.free[class], r)
}

// settle joins what was given back with what is free already.
func (a *allocator) settle() {
	if len(a.freed) == 0 {
		return
	}
	all := a.runs()
	for class := range a.free {
		a.free[class] = a.free[class][:0]
	}
	for _, r := range slices.Backward(all) { // so that the first of a class is taken first
		a.shelve(r)
	}
	a.freed = a.freed[:0]
}

// runs returns all that was given back and is still free, in order and joined.
// Runs do not go beyond a group's front, which is reserved or left to the
// fresh ones.
func (a *allocator) runs() []run {
	all := slices.Clone(a.freed)
	for _, class := range a.free {
		all = append(all, class...)
	}
	slices.SortFunc(all, func(x, y run) int {
		if x.start < y.start {
			return -1
		}
		return 1
	})
	joined := all[:0]
	for _, r := range all {
		if last := len(joined) - 1; last >= 0 && joined[last].end() == r.start {
			joined[last].n += r.n
		} else {
			joined = append(joined, r)
		}
	}
	return joined
}

// trim takes back what is free at the end of the blocks handed out.
func (a *allocator) trim() {
	all := a.runs()
	for len(all) > 0 && all[len(all)-1].end() == a.next {
		a.next = all[len(all)-1].start
		all = all[:len(all)-1]
	}
	a.free = [64][]run{}
	a.freed = all
}
