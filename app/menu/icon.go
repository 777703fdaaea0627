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
	name := "idle"
	for _, p := range s.Projects {
		if p.Problem != "" && running(p.Containers) > 0 {
			return "attention"
		}
	}
	for _, c := range s.all() {
		switch {
		case c.failed():
			return "attention"
		case c.working():
			name = "working"
		case c.running() && name == "idle":
			name = "running"
		}
	}
	if len(s.Pulls) > 0 {
		return "working"
	}
	return name
}

// icon is the picture of a shape, in "black" or "grey".
func icon(name, colour string) []byte {
	data, err := icons.ReadFile("icons/" + name + "-" + colour + ".png")
	if err != nil {
		panic(err) // it is part of the program
	}
	return data
}
