package menu

import "embed"

//go:generate go run ./icons

// icons are of black, which macOS paints as its menu bar wants it, and of a grey
// that can be seen on light and dark panels.
//
//go:embed icons/*.png
var icons embed.FS

// iconName is the shape for a snapshot.
func iconName(s Snapshot) string {
	on := 0
	for _, c := range s.Containers {
		switch {
		case c.failed():
			return "attention"
		case c.Status == "removing":
			return "working"
		case c.running():
			on++
		}
	}
	if on > 0 {
		return "running"
	}
	return "idle"
}

// icon is the picture of a shape, in "black" or "grey".
func icon(name, colour string) []byte {
	data, err := icons.ReadFile("icons/" + name + "-" + colour + ".png")
	if err != nil {
		panic(err) // it is part of the program
	}
	return data
}
