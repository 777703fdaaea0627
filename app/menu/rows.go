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
	StartProject          Verb = "start project"
	StopProject           Verb = "stop project"
	RestartProject        Verb = "restart project"
	ApplyProject          Verb = "apply project"
	RemoveProject         Verb = "remove project"
	StartProjectAtLogin   Verb = "start project at login"
	NoStartProjectAtLogin Verb = "do not start project at login"
	OpenProject           Verb = "open project"
	EditFile              Verb = "edit file"
	ShowFolder            Verb = "show folder"

	Start        Verb = "start"
	Stop         Verb = "stop"
	ForceStop    Verb = "force stop"
	Restart      Verb = "restart"
	Remove       Verb = "remove"
	OpenURL      Verb = "open url"
	OpenTerminal Verb = "open terminal"
	ViewLogs     Verb = "view logs"
	Copy         Verb = "copy"

	AskAndPull   Verb = "ask and pull"
	PullImage    Verb = "pull"
	CancelPull   Verb = "cancel pull"
	RemoveUnused Verb = "remove unused images"

	StartAtLogin   Verb = "start at login"
	NoStartAtLogin Verb = "do not start at login"
	ApproveLogin   Verb = "approve login item"
	InstallRosetta Verb = "install Rosetta"
	Settings       Verb = "settings"
	Doctor         Verb = "doctor"
	Diagnostics    Verb = "copy diagnostics"
	ShowLog        Verb = "show log"
	Quit           Verb = "quit"
)

// Action is what a click does, and with what.
type Action struct {
	Verb   Verb
	Target string // a container's ID, a project's file, an address, a text
	Line   int    // of a file to edit; 0: anywhere
}

// Rows is the menu for a snapshot. Rows keep their places while states change,
// because people learn by place. No row is deeper than two below the top, which
// is all that some desktops show.
func Rows(s Snapshot) []Row {
	var rows []Row
	projects := slices.Clone(s.Projects)
	slices.SortFunc(projects, func(a, b Project) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.File, b.File))
	})
	for _, p := range projects {
		rows = append(rows, projectRow(p))
	}
	alone := slices.Clone(s.Containers)
	slices.SortFunc(alone, byName)
	for _, c := range alone {
		rows = append(rows, containerRow(c, true))
	}
	if len(rows) == 0 {
		rows = append(rows, Row{Title: "No containers"})
	}
	if news := newsRows(s, projects); len(news) > 0 {
		rows = append(append(rows, Row{}), news...)
	}
	rows = append(rows, Row{}, Row{Title: "Open Project…", Action: Action{Verb: OpenProject}}, imagesRow(s), Row{}, loginRow(s))
	if s.NeedsApproval {
		rows = append(rows, Row{Title: "Allow Start at Login…", Action: Action{Verb: ApproveLogin}})
	}
	if s.WantsRosetta {
		rows = append(rows, Row{Title: "Install Rosetta…", Action: Action{Verb: InstallRosetta}})
	}
	return append(rows,
		Row{Title: "Settings…", Action: Action{Verb: Settings}},
		Row{Title: "Help", Children: []Row{
			{Title: "Doctor", Action: Action{Verb: Doctor}},
			{Title: "Copy Diagnostics", Action: Action{Verb: Diagnostics}},
			{Title: "Show Log", Action: Action{Verb: ShowLog}},
		}},
		Row{Title: quitTitle(running(s.all())), Action: Action{Verb: Quit}},
	)
}

func byName(a, b Container) int {
	return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.ID, b.ID))
}

// newsRows are there only while there is something to tell.
func newsRows(s Snapshot, projects []Project) (rows []Row) {
	for _, p := range s.Pulls {
		text := "Pulling " + p.Image
		if p.Expected > 0 {
			text = fmt.Sprintf("%s, %d %% (%s of %s)", shortened(text, maxTitle-30), p.Received*100/p.Expected, size(p.Received), size(p.Expected))
		}
		rows = append(rows, Row{Title: title(text), Children: []Row{{Title: "Cancel", Action: Action{Verb: CancelPull, Target: p.Image}}}})
	}
	for _, p := range projects {
		if p.Problem != "" {
			rows = append(rows, problemRow(p, p.Name+": "))
		}
	}
	return rows
}

// problemRow opens the file where it is wrong.
func problemRow(p Project, prefix string) Row {
	text := prefix + p.Problem
	if p.Problems > 1 {
		text = fmt.Sprintf("%s%d problems: %s", prefix, p.Problems, p.Problem)
	}
	return Row{Title: title("! " + text), Action: Action{EditFile, p.File, p.ProblemLine}}
}

func projectRow(p Project) Row {
	members := slices.Clone(p.Containers)
	slices.SortFunc(members, byName)
	on := running(members)
	row := Row{Title: title(fmt.Sprintf("%s, %d of %d running", p.Name, on, len(members)))}
	if on == 0 {
		row.Title = title(p.Name + ", stopped")
	}
	add := func(title string, verb Verb, target string) {
		row.Children = append(row.Children, Row{Title: title, Action: Action{Verb: verb, Target: target}})
	}
	for _, c := range members {
		if c.running() && c.URL != "" {
			add(title("Open "+c.URL), OpenURL, c.URL)
			break
		}
	}
	if on < len(members) || len(members) == 0 && p.Problem == "" {
		add("Start", StartProject, p.File)
	}
	if on > 0 {
		add("Stop", StopProject, p.File)
		add("Restart", RestartProject, p.File)
	}
	if len(row.Children) > 0 {
		row.Children = append(row.Children, Row{})
	}
	for _, c := range members {
		row.Children = append(row.Children, containerRow(c, false))
	}
	if len(members) > 0 {
		row.Children = append(row.Children, Row{})
	}
	if len(p.Changes) > 0 {
		add(title("Apply Changes ("+strings.Join(p.Changes, ", ")+")"), ApplyProject, p.File)
	}
	if p.Problem != "" {
		row.Children = append(row.Children, problemRow(p, ""))
	}
	add("Edit Project File", EditFile, p.File)
	add("Show Folder", ShowFolder, p.File)
	login := Row{Title: "Start at Login", Check: Unchecked, Action: Action{Verb: StartProjectAtLogin, Target: p.File}}
	if p.StartAtLogin {
		login.Check, login.Action.Verb = Checked, NoStartProjectAtLogin
	}
	remove := Row{Title: "Remove Project…", Children: []Row{{Title: removeTitle(members), Action: Action{Verb: RemoveProject, Target: p.File}}}}
	row.Children = append(row.Children, login, remove)
	return row
}

// removeTitle says what a second click does away with.
func removeTitle(members []Container) string {
	made := 0
	for _, c := range members {
		if c.ID != "" {
			made++
		}
	}
	switch made {
	case 0:
		return "Take It off This Menu"
	case 1:
		return "Remove Its Container, Keep Its Volumes"
	}
	return fmt.Sprintf("Remove Its %d Containers, Keep Its Volumes", made)
}

func containerRow(c Container, removable bool) Row {
	row := Row{Title: title(c.Name + ", " + state(c))}
	if c.ID == "" {
		return row
	}
	add := func(title string, verb Verb, target string) {
		row.Children = append(row.Children, Row{Title: title, Action: Action{Verb: verb, Target: target}})
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
	add("Copy Name", Copy, c.FullName)
	row.Children = append(row.Children, Row{})
	switch {
	case c.running():
		add("Restart", Restart, c.ID)
		add("Stop", Stop, c.ID)
		add("Force Stop", ForceStop, c.ID)
	case c.Status == "restarting":
		add("Stop", Stop, c.ID)
		add("Start", Start, c.ID)
	default:
		add("Start", Start, c.ID)
		if removable {
			row.Children = append(row.Children, Row{Title: "Remove…", Children: []Row{{Title: "Remove " + title(c.Name) + " and What It Wrote", Action: Action{Verb: Remove, Target: c.ID}}}})
		}
	}
	return row
}

// state says in words how a container is, to be understood when read alone.
func state(c Container) string {
	switch {
	case c.ID == "":
		return "to be made"
	case c.Status == "running":
		word := "running"
		switch {
		case c.Health == "starting" && c.Streak > 0:
			word = fmt.Sprintf("starting (check %d of %d failed)", c.Streak, c.Retries)
		case c.Health != "":
			word = c.Health
		}
		if c.Used > 0 {
			return fmt.Sprintf("%s, %s of %s", word, size(c.Used), size(c.Memory))
		}
		return word + ", up to " + size(c.Memory)
	case c.Status == "restarting":
		return fmt.Sprintf("exited (%d), starts again at %s", c.ExitCode, c.RestartAt.Format("15:04:05"))
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
	row := Row{Title: "Images"}
	if len(s.Images) > 0 {
		row.Title = "Images, " + size(s.ImagesSize)
	} else {
		row.Children = append(row.Children, Row{Title: "No images"})
	}
	for i, image := range s.Images {
		if i == maxImages {
			row.Children = append(row.Children, Row{Title: fmt.Sprintf("and %d more", len(s.Images)-maxImages)})
			break
		}
		row.Children = append(row.Children, Row{Title: title(image.Name) + ", " + size(image.Size)})
	}
	row.Children = append(row.Children, Row{}, Row{Title: "Pull…", Action: Action{Verb: AskAndPull}})
	if s.Clipboard != "" {
		row.Children = append(row.Children, Row{Title: title("Pull " + s.Clipboard), Action: Action{Verb: PullImage, Target: s.Clipboard}})
	}
	if s.Unused > 0 {
		confirm := fmt.Sprintf("Remove %d Images", s.Unused)
		if s.Unused == 1 {
			confirm = "Remove 1 Image"
		}
		row.Children = append(row.Children, Row{Title: fmt.Sprintf("Remove Unused (%s)…", size(s.UnusedSize)),
			Children: []Row{{Title: confirm, Action: Action{Verb: RemoveUnused}}}})
	}
	return row
}

func loginRow(s Snapshot) Row {
	if s.StartsAtLogin {
		return Row{Title: "Start at Login", Check: Checked, Action: Action{Verb: NoStartAtLogin}}
	}
	return Row{Title: "Start at Login", Check: Unchecked, Action: Action{Verb: StartAtLogin}}
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
func title(text string) string { return shortened(text, maxTitle) }

func shortened(text string, most int) string {
	runes := []rune(strings.Join(strings.Fields(text), " "))
	if len(runes) > most {
		half := (most - 1) / 2
		runes = slices.Concat(runes[:half], []rune("…"), runes[len(runes)-half:])
	}
	return string(runes)
}
