package menu

import "time"

// Snapshot is all that the menu shows of the app, at one moment.
type Snapshot struct {
	Projects   []Project
	Containers []Container // those outside of projects
	Pulls      []Pull
	Images     []Image
	ImagesSize int64 // on disk, bytes; images share layers
	Unused     int   // images that no container was made from
	UnusedSize int64
	Clipboard  string // the image that the clipboard's text names; empty: none

	StartsAtLogin bool
	NeedsApproval bool // of the system's settings, for starting at login
	WantsRosetta  bool // containers would be faster with it
}

// Project is what the menu shows of one project.
type Project struct {
	Name, File   string
	Containers   []Container
	Problem      string // of the file; empty: none
	ProblemLine  int    // where
	Problems     int
	Changes      []string // what applying the file does: "restarts db"
	StartAtLogin bool
}

// Container is what the menu shows of one container.
type Container struct {
	ID        string // empty: it is still to be made
	Name      string // in its project
	FullName  string // by which others reach it
	Status    string // in Docker's words
	Health    string // in Docker's words; empty: not checked
	Streak    int    // failed checks in a row
	Retries   int    // of them until it is unhealthy
	ExitCode  int
	Error     string    // why the last start or run failed
	RestartAt time.Time // zero: no restart is waited for
	Used      int64     // bytes of memory; 0: not known
	Memory    int64     // bytes that it may use
	Address   string    // empty while it has no machine
	URL       string    // of its web page; empty: none is published
}

// Pull is an image on its way.
type Pull struct {
	Image              string
	Received, Expected int64
}

// Image is what the menu shows of one image.
type Image struct {
	Name string
	Size int64
}

func (c Container) running() bool { return c.Status == "running" || c.Status == "paused" }

// working tells of a container that is on its way to somewhere.
func (c Container) working() bool {
	return c.Status == "restarting" || c.running() && c.Health == "starting"
}

// failed tells of a container that has not ended by itself or by its user.
func (c Container) failed() bool {
	return c.Error != "" && !c.running() || c.Status == "dead" || c.running() && c.Health == "unhealthy"
}

// all are the containers, of projects and outside of them.
func (s Snapshot) all() []Container {
	all := append([]Container{}, s.Containers...)
	for _, p := range s.Projects {
		all = append(all, p.Containers...)
	}
	return all
}

// running counts the containers that run.
func running(containers []Container) int {
	n := 0
	for _, c := range containers {
		if c.running() {
			n++
		}
	}
	return n
}
