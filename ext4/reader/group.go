package reader

import (
	"github.com/skerry-app/skerry/ext4/format"
)

// group returns the descriptor of a group.
func (f *FS) group(number uint32) (format.Group, error) {
	size, perBlock := f.super.descSize, uint32(f.super.blockSize/f.super.descSize)
	block, err := f.block(f.super.descBlock(number / perBlock))
	if err != nil {
		return format.Group{}, err
	}
	b := block[int(number%perBlock)*size:][:size]
	if f.super.checksums {
		if err := format.VerifyGroup(b, f.super.seed, number); err != nil {
			return format.Group{}, corrupt("descriptor of group %d: %w", number, err)
		}
	}
	return format.ParseGroup(b), nil
}

// descBlock returns the n-th block of group descriptors: they follow the first
// superblock, or with meta_bg are in the first of the groups that they
// describe (blockgroup.rst, "Meta Block Groups").
func (g *geometry) descBlock(n uint32) uint64 {
	super := uint64(format.SuperOffset / g.blockSize)
	if g.Incompat&format.IncompatMetaBG == 0 || n < g.FirstMetaBG {
		return super + 1 + uint64(n)
	}
	group := n * uint32(g.blockSize/g.descSize)
	block := uint64(g.FirstDataBlock) + uint64(group)*uint64(g.BlocksPerGroup)
	if group == 0 {
		return super + 1
	}
	if g.hasSuper(group) {
		block++
	}
	return block
}

// hasSuper says whether a group after the first begins with a superblock.
func (g *geometry) hasSuper(group uint32) bool {
	switch {
	case g.Compat&format.CompatSparseSuper2 != 0:
		return group == g.BackupBGs[0] || group == g.BackupBGs[1]
	case g.ROCompat&format.ROCompatSparseSuper != 0:
		return format.HasSuper(group)
	}
	return true
}
