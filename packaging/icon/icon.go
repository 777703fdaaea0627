// Package icon draws Skerry's icon, an island in the sea, at any size.
package icon

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"image/png"
	"io"
	"math"
)

// samples is into how many parts each side of a pixel is cut, for smooth edges.
const samples = 4

// point is a place in the picture; both sides of it are 1 long.
type point struct{ x, y float64 }

// island is the rock's outline above the water, from left to right.
var island = []point{{0.20, 0.64}, {0.31, 0.47}, {0.37, 0.50}, {0.50, 0.27}, {0.60, 0.41}, {0.65, 0.38}, {0.80, 0.64}}

const (
	margin   = 0.08 // around the plate, as macOS's icons have it
	corner   = 0.19 // radius of the plate's corners
	waterTop = 0.64
)

var (
	nothing = color.NRGBA{}
	sky     = color.NRGBA{0xd9, 0xee, 0xf7, 0xff}
	rock    = color.NRGBA{0x2b, 0x3a, 0x42, 0xff}
	water   = color.NRGBA{0x1f, 0x7a, 0x9c, 0xff}
	foam    = color.NRGBA{0xff, 0xff, 0xff, 0xff}
)

// PNG draws the icon with sides of size pixels.
func PNG(size int) ([]byte, error) {
	picture := image.NewNRGBA(image.Rect(0, 0, size, size))
	for y := range size {
		for x := range size {
			picture.SetNRGBA(x, y, pixel(x, y, size))
		}
	}
	var b bytes.Buffer
	err := png.Encode(&b, picture)
	return b.Bytes(), err
}

// pixel is the mean of its samples, each weighed by how much covers it.
func pixel(x, y, size int) color.NRGBA {
	var r, g, b, cover float64
	for i := range samples * samples {
		c := at(point{
			(float64(x) + (float64(i%samples)+0.5)/samples) / float64(size),
			(float64(y) + (float64(i/samples)+0.5)/samples) / float64(size)})
		a := float64(c.A) / 0xff
		r, g, b, cover = r+a*float64(c.R), g+a*float64(c.G), b+a*float64(c.B), cover+a
	}
	if cover == 0 {
		return nothing
	}
	return color.NRGBA{uint8(r/cover + 0.5), uint8(g/cover + 0.5), uint8(b/cover + 0.5), uint8(cover/(samples*samples)*0xff + 0.5)}
}

func at(p point) color.NRGBA {
	wave := waterTop + 0.012*math.Sin(p.x*8*math.Pi)
	switch {
	case !onPlate(p):
		return nothing
	case p.y > wave+0.02:
		return water
	case p.y > wave-0.005:
		return foam
	case p.y > outline(p.x):
		return rock
	}
	return sky
}

func onPlate(p point) bool {
	const half = 0.5 - margin
	dx := math.Max(math.Abs(p.x-0.5)-(half-corner), 0)
	dy := math.Max(math.Abs(p.y-0.5)-(half-corner), 0)
	return math.Hypot(dx, dy) <= corner
}

// outline is how high the island reaches at x: 1, the bottom, beside it.
func outline(x float64) float64 {
	for i := 1; i < len(island); i++ {
		a, b := island[i-1], island[i]
		if x >= a.x && x < b.x {
			return a.y + (b.y-a.y)*(x-a.x)/(b.x-a.x)
		}
	}
	return 1
}

// appleSizes are the pictures that macOS looks for in an .icns file, by type.
var appleSizes = []struct {
	kind string
	size int
}{
	{"icp4", 16}, {"ic11", 32}, {"icp5", 32}, {"ic12", 64}, {"ic07", 128}, {"ic13", 256}, {"ic08", 256},
	{"ic14", 512}, {"ic09", 512}, {"ic10", 1024},
}

// WriteICNS writes the icon as macOS wants it: a header and a chunk for each
// size, each with its type and its length including these eight bytes.
func WriteICNS(w io.Writer) error {
	var chunks bytes.Buffer
	drawn := map[int][]byte{}
	for _, a := range appleSizes {
		if drawn[a.size] == nil {
			picture, err := PNG(a.size)
			if err != nil {
				return err
			}
			drawn[a.size] = picture
		}
		chunk(&chunks, a.kind, drawn[a.size])
	}
	var file bytes.Buffer
	chunk(&file, "icns", chunks.Bytes())
	_, err := w.Write(file.Bytes())
	return err
}

func chunk(b *bytes.Buffer, kind string, data []byte) {
	b.WriteString(kind)
	b.Write(binary.BigEndian.AppendUint32(nil, uint32(8+len(data))))
	b.Write(data)
}
