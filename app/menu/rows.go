package menu

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/docker/go-units"
)

const (
	maxTitle  = 60 // characters; hosts cut longer ones or grow without bounds
	maxImages = 30
)

// Row is a row of the menu. One without a title is a separator.
type Row struct {
	Title    string
	Check    Check
	Action   Action // none: the row tells something and cannot be clicked
	Children []Row
}

// Check says whether a row is a checkbox.
type Check int

const (
	NoCheck Check = iota
	Unchecked
	Checked
)

// Verb is what a click does.
type Verb string

const (
	StartProject   Verb = "start project"
	StopProject    Verb = "stop project"
	EditFile       Verb = "edit file"
	Start          Verb = "start"
	Stop           Verb = "stop"
	Restart        Verb = "restart"
	OpenURL        Verb = "open url"
	OpenTerminal   Verb = "open terminal"
	ViewLogs       Verb = "view logs"
	Copy           Verb = "copy"
	StartAtLogin   Verb = "start at login"
	NoStartAtLogin Verb = "do not start at login"
	Doctor         Verb = "doctor"
	ShowLog        Verb = "show log"
	Quit           Verb = "quit"
)

// Action is what a click does, and with what.
type Action struct {
	Verb   Verb
	Target string // a container's ID, a project's file, an address, a text
}

// Rows is the menu for a snapshot. Rows keep their places while states change,
// because people learn by place. No row is deeper than two below the top, which
// is all that some desktops show.
func Rows(s Snapshot) []Row {
	var rows []Row
	projects := map[string][]Container{}
	var alone []Container
	for _, c := range s.Containers {
		if c.Project == "" {
			alone = append(alone, c)
			continue
		}
		projects[c.File] = append(projects[c.File], c)
	}
	groups := make([][]Container, 0, len(projects))
	for _, members := range projects {
		slices.SortFunc(members, byName)
		groups = append(groups, members)
	}
	slices.SortFunc(groups, func(a, b []Container) int {
		return cmp.Or(strings.Compare(a[0].Project, b[0].Project), strings.Compare(a[0].File, b[0].File))
	})
	for _, members := range groups {
		rows = append(rows, projectRow(members))
	}
	slices.SortFunc(alone, byName)
	for _, c := range alone {
		rows = append(rows, containerRow(c))
	}
	if len(rows) == 0 {
		rows = append(rows, Row{Title: "No containers"})
	}
	login := Row{Title: "Start at Login", Check: Unchecked, Action: Action{Verb: StartAtLogin}}
	if s.StartsAtLogin {
		login.Check, login.Action.Verb = Checked, NoStartAtLogin
	}
	return append(rows,
		Row{},
		imagesRow(s),
		Row{},
		login,
		Row{Title: "Help", Children: []Row{
			{Title: "Doctor", Action: Action{Verb: Doctor}},
			{Title: "Show Log", Action: Action{Verb: ShowLog}},
		}},
		Row{Title: quitTitle(running(s.Containers)), Action: Action{Verb: Quit}},
	)
}

func byName(a, b Container) int {
	return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.ID, b.ID))
}

func projectRow(members []Container) Row {
	p := members[0]
	on := running(members)
	row := Row{Title: title(fmt.Sprintf("%s, %d of %d running", p.Project, on, len(members)))}
	if on == 0 {
		row.Title = title(p.Project + ", stopped")
	}
	for _, c := range members {
		if c.running() && c.URL != "" {
			row.Children = append(row.Children, Row{Title: title("Open " + c.URL), Action: Action{OpenURL, c.URL}})
			break
		}
	}
	if on < len(members) {
		row.Children = append(row.Children, Row{Title: "Start", Action: Action{StartProject, p.File}})
	}
	if on > 0 {
		row.Children = append(row.Children, Row{Title: "Stop", Action: Action{StopProject, p.File}})
	}
	row.Children = append(row.Children, Row{})
	for _, c := range members {
		row.Children = append(row.Children, containerRow(c))
	}
	row.Children = append(row.Children, Row{}, Row{Title: "Edit Project File", Action: Action{EditFile, p.File}})
	return row
}

func containerRow(c Container) Row {
	row := Row{Title: title(c.Name + ", " + state(c))}
	add := func(title string, verb Verb, target string) {
		row.Children = append(row.Children, Row{Title: title, Action: Action{verb, target}})
	}
	if c.running() {
		if c.URL != "" {
			add("Open in Browser", OpenURL, c.URL)
		}
		add("Open Terminal", OpenTerminal, c.ID)
	}
	add("View Logs", ViewLogs, c.ID)
	if c.Address != "" {
		add("Copy Address", Copy, c.Address)
	}
	add("Copy Name", Copy, c.Name)
	row.Children = append(row.Children, Row{})
	if c.running() {
		add("Stop", Stop, c.ID)
		add("Restart", Restart, c.ID)
	} else {
		add("Start", Start, c.ID)
	}
	return row
}

// state says in words how a container is, to be understood when read alone.
func state(c Container) string {
	switch {
	case c.Status == "running":
		return "running, up to " + size(c.Memory)
	case c.Error != "":
		return "failed: " + c.Error
	case c.Status == "exited" && c.ExitCode != 0:
		return fmt.Sprintf("exited (%d)", c.ExitCode)
	case c.Status == "exited":
		return "stopped"
	}
	return c.Status
}

func imagesRow(s Snapshot) Row {
	row := Row{Title: fmt.Sprintf("Images, %s", size(s.ImagesSize))}
	if len(s.Images) == 0 {
		return Row{Title: "Images", Children: []Row{{Title: "No images"}}}
	}
	for i, image := range s.Images {
		if i == maxImages {
			row.Children = append(row.Children, Row{Title: fmt.Sprintf("and %d more", len(s.Images)-maxImages)})
			break
		}
		row.Children = append(row.Children, Row{Title: title(image.Name) + ", " + size(image.Size)})
	}
	return row
}

func quitTitle(stops int) string {
	switch stops {
	case 0:
		return "Quit Skerry"
	case 1:
		return "Quit Skerry (stops 1 container)"
	}
	return fmt.Sprintf("Quit Skerry (stops %d containers)", stops)
}

func size(bytes int64) string {
	return units.CustomSize("%.4g %s", float64(bytes), 1024, []string{"B", "KB", "MB", "GB", "TB"})
}

// title makes a row's text of one that may come from anywhere: a single line
// whose middle is left out when it is long.
func title(text string) string {
	runes := []rune(strings.Join(strings.Fields(text), " "))
	if len(runes) > maxTitle {
		half := (maxTitle - 1) / 2
		runes = slices.Concat(runes[:half], []rune("…"), runes[len(runes)-half:])
	}
	return string(runes)
}
