package inflate_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// randomCode returns a complete code of some of the symbols up to n, with the
// one given among them.
func randomCode(r *rand.Rand, n, symbol int) code {
	symbols := r.Perm(n)[:2+r.IntN(n-1)]
	if !slices.Contains(symbols, symbol) {
		symbols[0] = symbol
	}
	lengths := []uint{1, 1}
	// Splitting what is deep makes deep codes, up to 15 bits.
	deep := r.IntN(3) > 0
	for len(lengths) < len(symbols) {
		i := r.IntN(len(lengths))
		if deep && r.IntN(2) > 0 {
			i = len(lengths) - 1
		}
		if lengths[i] == 15 {
			deep = false
			continue
		}
		lengths[i]++
		lengths = append(lengths, lengths[i])
	}
	c := code{}
	for i, s := range symbols {
		c[s] = lengths[i]
	}
	return c
}

// TestRandomCodes decodes random symbols by random codes, of which many are
// long. What they mean is written here once more.
func TestRandomCodes(t *testing.T) {
	for seed := range uint64(150) {
		r := rand.New(rand.NewPCG(3, seed))
		var w bits
		var want strings.Builder
		blocks := 1 + r.IntN(3)
		for i := range blocks {
			lit, dist := randomCode(r, 286, 256), randomCode(r, 30, r.IntN(4))
			block(&w, i == blocks-1, 2)
			dynamicHeader(&w, lit.lengths(286), dist.lengths(30))
			randomSymbols(r, &w, &want, lit, dist)
		}
		got := compare(t, append(w.bytes, noise(r.IntN(40))...))
		mustEqual(t, "data", got, outcome{data: want.String(), taken: len(w.bytes)})
	}
}

func randomSymbols(r *rand.Rand, w *bits, want *strings.Builder, lit, dist code) {
	lits, dists := lit.values(), dist.values()
	var usable [][3]int // symbol, extra bits, least distance
	base := 1
	for symbol := range 30 {
		extra := max(symbol/2-1, 0)
		if dist[symbol] > 0 {
			usable = append(usable, [3]int{symbol, extra, base})
		}
		base += 1 << extra
	}
	for range 400 {
		symbol := r.IntN(286)
		if lit[symbol] == 0 || symbol == 256 {
			continue
		}
		if symbol < 256 {
			w.huff(lits[symbol], lit[symbol])
			want.WriteByte(byte(symbol))
			continue
		}
		d := usable[r.IntN(len(usable))]
		back := d[2] + r.IntN(1<<d[1])
		if back > want.Len() {
			continue
		}
		w.huff(lits[symbol], lit[symbol])
		length := 258
		if symbol < 285 {
			length = 3
			for s := 257; s < symbol; s++ {
				length += 1 << max((s-257)/4-1, 0)
			}
			n := max((symbol-257)/4-1, 0)
			extra := r.IntN(1 << n)
			w.put(uint64(extra), uint(n))
			length += extra
		}
		w.huff(dists[d[0]], dist[d[0]])
		w.put(uint64(back-d[2]), uint(d[1]))
		for range length {
			want.WriteByte(want.String()[want.Len()-back])
		}
	}
	w.huff(lits[256], lit[256])
}
