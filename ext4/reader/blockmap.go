package reader

import (
	"encoding/binary"
)

// direct is how many blocks i_block maps by itself in the block maps of ext2
// and ext3; the next three words are one, two and three levels of blocks with
// the numbers of others (ifork.rst, "Direct/Indirect Block Addressing").
const direct = 12

// mapped finds a block in the inode's block map.
func (in *Inode) mapped(logical uint64) (span, error) {
	if logical < direct {
		return numbers(in.block[:4*direct], 0, logical), nil
	}
	perBlock := uint64(in.fs.super.blockSize / 4)
	first, covers := uint64(direct), perBlock // the blocks that a word of i_block maps
	for level := range 3 {
		if logical < first+covers {
			return in.indirect(binary.LittleEndian.Uint32(in.block[4*(direct+level):]), level, first, covers, logical)
		}
		first += covers
		covers *= perBlock
	}
	return span{}, corrupt("inode %d: block %d is more than a block map can have", in.Number, logical)
}

// indirect finds a block below block number of the map, which has so many
// levels of others below it.
func (in *Inode) indirect(number uint32, levels int, first, covers, logical uint64) (span, error) {
	for number != 0 {
		b, err := in.treeBlock(uint64(number))
		if err != nil {
			return span{}, err
		}
		if levels == 0 {
			return numbers(b, first, logical), nil
		}
		levels--
		covers /= uint64(len(b) / 4)
		i := (logical - first) / covers
		number = binary.LittleEndian.Uint32(b[4*i:])
		first += i * covers
	}
	return span{logical: first, n: covers}, nil
}

// numbers returns the span from a block on in the block numbers b, which
// begin with that of block first of the file.
func numbers(b []byte, first, logical uint64) span {
	b = b[4*(logical-first):]
	s := span{logical: logical, physical: uint64(binary.LittleEndian.Uint32(b))}
	for ; len(b) > 0; b = b[4:] {
		want := s.physical
		if want != 0 {
			want += s.n
		}
		if uint64(binary.LittleEndian.Uint32(b)) != want {
			break
		}
		s.n++
	}
	return s
}
