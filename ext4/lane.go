package ext4

import (
	"fmt"
	"io"

	"github.com/skerry-app/skerry/ext4/format"
)

const (
	// roundBlocks is how many blocks the lanes of a compact file system share
	// in each round, by their weights (16 MiB): few enough that the holes are
	// small, enough for long extents.
	roundBlocks = 16 << 20 / format.BlockSize
	// minArena is the least number of blocks that a lane has in a round (1 MiB).
	minArena = 1 << 20 / format.BlockSize
)

// Lane takes the contents of files beside other lanes: each is for a goroutine
// of its own. Where data goes does not depend on how fast the others are, so
// the same data in the same lanes makes the same bytes.
//
// In a compact file system the lanes take turns at its blocks, round by round,
// each with an arena of a size that is known beforehand; what a lane leaves of
// its arenas is a hole in the file.
type Lane struct {
	placer
	w           *Writer
	first, size uint64 // the arena in a round, in blocks
	round       uint64 // blocks of a round
	turn        uint64 // rounds begun
	next, end   uint64 // what is left of the arena of the last one
}

// Lanes divides the room that is left among as many lanes as there are
// weights: what each is expected to need in proportion to the others, such as
// the compressed sizes of layers. It is called once, before any data is
// written. In a file system of a given size, which is not to be used up by
// halves, the lanes share all room and one is to be closed before the next is
// used.
func (w *Writer) Lanes(weights []int64) []*Lane {
	var sum float64
	for _, weight := range weights {
		sum += float64(max(weight, 0))
	}
	w.lanes = make([]*Lane, len(weights))
	var round uint64
	for i, weight := range weights {
		share := uint64(roundBlocks * float64(max(weight, 0)) / max(sum, 1))
		l := &Lane{w: w, first: round, size: roundUp(max(share, 1), minArena)}
		l.placer = placer{from: l, out: stream{f: w.f}}
		round += l.size
		w.lanes[i] = l
	}
	for _, l := range w.lanes {
		if l.round = round; !w.geo.compact {
			l.from = &w.alloc
		}
	}
	return w.lanes
}

// Data writes the contents of a file as Writer.Data does. After an error the
// Writer is of no more use.
func (l *Lane) Data(r io.Reader, size int64) (*Blob, error) { return l.data(r, size) }

// Close writes what waits to be written. All lanes are to be closed before the
// Writer is, and before it writes data of its own.
func (l *Lane) Close() error {
	err := l.out.flush()
	l.out.buf = nil
	return err
}

// alloc returns up to n blocks of the lane's arenas.
func (l *Lane) alloc(n uint64) (run, error) {
	for {
		if l.next >= l.end {
			l.next = l.turn*l.round + l.first
			l.end = l.next + l.size
			l.turn++
		}
		at, room, err := l.w.alloc.skip(l.next)
		if err != nil {
			return run{}, fmt.Errorf("layers differ too much in how far they are compressed: %w", err)
		}
		if at >= l.end {
			l.next = l.end
			continue
		}
		r := run{at, min(n, room, l.end-at)}
		l.next = r.end()
		return r, nil
	}
}

// joinLanes takes what the lanes have left into account.
func (w *Writer) joinLanes() {
	lanes := w.lanes
	w.lanes = nil
	if !w.geo.compact {
		return
	}
	for turn, begun := uint64(0), true; begun; turn++ {
		begun = false
		for _, l := range lanes {
			if turn >= l.turn {
				continue
			}
			begun = true
			start := turn*l.round + l.first
			w.alloc.leave(start)
			if w.alloc.next = start + l.size; turn == l.turn-1 {
				w.alloc.next = l.next
			}
		}
	}
}
