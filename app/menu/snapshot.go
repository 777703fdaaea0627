package menu

// Snapshot is all that the menu shows of the app, at one moment.
type Snapshot struct {
	Containers    []Container
	Images        []Image
	ImagesSize    int64 // on disk; images share layers
	StartsAtLogin bool
}

// Container is what the menu shows of one container.
type Container struct {
	ID       string
	Name     string // in its project
	Project  string // empty: none
	File     string // of the project
	Status   string // in Docker's words
	ExitCode int
	Error    string // why the last start or run failed
	Memory   int64  // bytes that it may use
	Address  string // empty while it has no machine
	URL      string // of its web page; empty: none is published
}

// Image is what the menu shows of one image.
type Image struct {
	Name string
	Size int64
}

func (c Container) running() bool { return c.Status == "running" || c.Status == "paused" }

// failed tells of a container that has not ended by itself or by its user.
func (c Container) failed() bool {
	return c.Error != "" || c.Status == "dead"
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
