// Command icons draws the tray's icons, four shapes in two colours.
package main

import (
	"image"
	"image/color"
	"image/png"
	"log"
	"math"
	"os"
)

const (
	size    = 32 // pixels, for 16 points at double density
	samples = 4  // a pixel's side, for smooth edges
)

// shapes tell whether a point belongs to them; both coordinates are of -1 to 1.
var shapes = map[string]func(x, y float64) bool{
	"idle":      func(x, y float64) bool { return hull(x, y, 0.85) && !hull(x, y, 0.62) },
	"running":   func(x, y float64) bool { return hull(x, y, 0.85) },
	"working":   func(x, y float64) bool { return hull(x, y, 0.85) && math.Abs(x-y) > 0.22 },
	"attention": func(x, y float64) bool { return hull(x, y, 0.85) && !mark(x, y) },
}

// hull is a square with round corners.
func hull(x, y, half float64) bool {
	const radius = 0.3
	dx := math.Max(math.Abs(x)-half+radius, 0)
	dy := math.Max(math.Abs(y)-half+radius, 0)
	return math.Hypot(dx, dy) < radius
}

// mark is an exclamation mark.
func mark(x, y float64) bool {
	return math.Abs(x) < 0.12 && (y > -0.6 && y < 0.15 || y > 0.33 && y < 0.57)
}

func main() {
	colours := map[string]color.NRGBA{"black": {}, "grey": {R: 140, G: 140, B: 140}}
	for shape, inside := range shapes {
		for name, colour := range colours {
			if err := write("icons/"+shape+"-"+name+".png", draw(inside, colour)); err != nil {
				log.Fatal(err)
			}
		}
	}
}

func draw(inside func(x, y float64) bool, colour color.NRGBA) image.Image {
	picture := image.NewNRGBA(image.Rect(0, 0, size, size))
	at := func(i int) float64 { return (float64(i)+0.5)/(size*samples)*2 - 1 }
	for y := range size {
		for x := range size {
			hits := 0
			for i := range samples * samples {
				if inside(at(x*samples+i%samples), at(y*samples+i/samples)) {
					hits++
				}
			}
			colour.A = uint8(hits * 255 / (samples * samples))
			picture.SetNRGBA(x, y, colour)
		}
	}
	return picture
}

func write(path string, picture image.Image) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := png.Encode(f, picture); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
