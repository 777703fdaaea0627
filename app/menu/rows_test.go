package menu

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// outline writes rows as lines, a tab for each level.
func outline(rows []Row) string {
	var b strings.Builder
	var write func(rows []Row, indent string)
	write = func(rows []Row, indent string) {
		for _, r := range rows {
			line := r.Title
			if line == "" {
				line = "---"
			}
			if r.Check == Checked {
				line += " [x]"
			}
			if r.Action != (Action{}) {
				line += " = " + strings.TrimSpace(string(r.Action.Verb)+" "+r.Action.Target)
				if r.Action.Line > 0 {
					line += fmt.Sprint(":", r.Action.Line)
				}
			}
			b.WriteString(indent + line + "\n")
			write(r.Children, indent+"\t")
		}
	}
	write(rows, "")
	return b.String()
}

func TestRows(t *testing.T) {
	web := Container{ID: "1", Name: "web", FullName: "shop-web", Status: "running", Health: "healthy", Used: 212 << 20, Memory: 512 << 20,
		Address: "10.0.0.2", URL: "http://localhost:8080"}
	db := Container{ID: "2", Name: "db", FullName: "shop-db", Status: "restarting", ExitCode: 1, RestartAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local)}
	shop := Project{Name: "shop", File: "/shop/skerry.toml", Containers: []Container{web, db, {Name: "new"}},
		Changes: []string{"restarts db", "adds new"}, StartAtLogin: true}
	broken := Project{Name: "blog", File: "/blog/skerry.toml", Problem: `unknown key "imgae"`, ProblemLine: 3, Problems: 2}
	alone := Container{ID: "3", Name: "scratch", FullName: "scratch", Status: "exited"}
	const (
		top  = "---\nOpen Project… = open project\nImages\n\tNo images\n\t---\n\tPull… = ask and pull\n---\nStart at Login = start at login\n"
		help = "Settings… = settings\nHelp\n\tDoctor = doctor\n\tCopy Diagnostics = copy diagnostics\n\tShow Log = show log\n"
	)
	for _, tc := range []struct {
		name string
		s    Snapshot
		want string
	}{
		{"empty", Snapshot{}, "No containers\n" + top + help + "Quit Skerry = quit\n"},
		{"Rosetta", Snapshot{WantsRosetta: true}, "No containers\n" + top + "Install Rosetta… = install Rosetta\n" + help + "Quit Skerry = quit\n"},
		{"projects", Snapshot{Projects: []Project{shop, broken}}, `blog, stopped
	! 2 problems: unknown key "imgae" = edit file /blog/skerry.toml:3
	Edit Project File = edit file /blog/skerry.toml
	Show Folder = show folder /blog/skerry.toml
	Start at Login = start project at login /blog/skerry.toml
	Remove Project…
		Take It off This Menu = remove project /blog/skerry.toml
shop, 1 of 3 running
	Open http://localhost:8080 = open url http://localhost:8080
	Start = start project /shop/skerry.toml
	Stop = stop project /shop/skerry.toml
	Restart = restart project /shop/skerry.toml
	---
	db, exited (1), starts again at 03:04:05
		View Logs = view logs 2
		Copy Name = copy shop-db
		---
		Stop = stop 2
		Start = start 2
	new, to be made
	web, healthy, 212 MB of 512 MB
		Open in Browser = open url http://localhost:8080
		Open Terminal = open terminal 1
		View Logs = view logs 1
		Copy Address = copy 10.0.0.2
		Copy Name = copy shop-web
		---
		Restart = restart 1
		Stop = stop 1
		Force Stop = force stop 1
	---
	Apply Changes (restarts db, adds new) = apply project /shop/skerry.toml
	Edit Project File = edit file /shop/skerry.toml
	Show Folder = show folder /shop/skerry.toml
	Start at Login [x] = do not start project at login /shop/skerry.toml
	Remove Project…
		Remove Its 2 Containers, Keep Its Volumes = remove project /shop/skerry.toml
---
! blog: 2 problems: unknown key "imgae" = edit file /blog/skerry.toml:3
` + top + help + "Quit Skerry (stops 1 container) = quit\n"},
		{"alone, with images and a pull", Snapshot{Containers: []Container{alone}, Images: []Image{{"alpine:3.22", 3 << 20}}, ImagesSize: 3 << 20, StartsAtLogin: true,
			Pulls: []Pull{{"postgres:17", 61 << 20, 142 << 20}, {"new:1", 0, 0}}, Unused: 1, UnusedSize: 3 << 20, Clipboard: "redis:8", NeedsApproval: true},
			`scratch, stopped
	View Logs = view logs 3
	Copy Name = copy scratch
	---
	Start = start 3
	Remove…
		Remove scratch and What It Wrote = remove 3
---
Pulling postgres:17, 42 % (61 MB of 142 MB)
	Cancel = cancel pull postgres:17
Pulling new:1
	Cancel = cancel pull new:1
---
Open Project… = open project
Images, 3 MB
	alpine:3.22, 3 MB
	---
	Pull… = ask and pull
	Pull redis:8 = pull redis:8
	Remove Unused (3 MB)…
		Remove 1 Image = remove unused images
---
Start at Login [x] = do not start at login
Allow Start at Login… = approve login item
` + help + "Quit Skerry = quit\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			rows := Rows(tc.s)
			if diff := cmp.Diff(tc.want, outline(rows)); diff != "" {
				t.Error(diff)
			}
			if d := depth(rows); d > 3 {
				t.Errorf("rows are %d deep", d)
			}
		})
	}
}

// depth is 1 for rows that have none below them.
func depth(rows []Row) int {
	deepest := 0
	for _, r := range rows {
		deepest = max(deepest, depth(r.Children))
	}
	if len(rows) == 0 {
		return 0
	}
	return deepest + 1
}

func TestStates(t *testing.T) {
	for want, c := range map[string]Container{
		"running, up to 512 MB":                       {ID: "1", Status: "running", Memory: 512 << 20},
		"starting (check 2 of 10 failed), up to 1 GB": {ID: "1", Status: "running", Health: "starting", Streak: 2, Retries: 10, Memory: 1 << 30},
		"unhealthy, 100 MB of 1 GB":                   {ID: "1", Status: "running", Health: "unhealthy", Used: 100 << 20, Memory: 1 << 30},
		"paused":                                      {ID: "1", Status: "paused"},
		"stopped":                                     {ID: "1", Status: "exited"},
		"failed: crash loop":                          {ID: "1", Status: "exited", ExitCode: 1, Error: "crash loop"},
		"exited (137)":                                {ID: "1", Status: "exited", ExitCode: 137},
		"to be made":                                  {},
	} {
		if got := state(c); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestTitleIsOneShortLine(t *testing.T) {
	got := title("web, failed: a\nb\t" + strings.Repeat("ö", 1000))
	if n := utf8.RuneCountInString(got); n > maxTitle || strings.ContainsAny(got, "\n\t") || !strings.HasPrefix(got, "web, failed: a b") {
		t.Errorf("%q has %d characters", got, n)
	}
}

func TestSameShape(t *testing.T) {
	of := func(c Container) []Row { return Rows(Snapshot{Containers: []Container{c}}) }
	stopped := Container{ID: "1", Name: "web", Status: "exited"}
	failed, started := stopped, stopped
	failed.ExitCode, started.Status = 1, "running"
	if !sameShape(of(stopped), of(failed)) {
		t.Error("another text makes another menu")
	}
	if sameShape(of(stopped), of(started)) {
		t.Error("other actions make no other menu")
	}
}

func TestIcons(t *testing.T) {
	for want, containers := range map[string][]Container{
		"idle":      {{Status: "exited", ExitCode: 1}},
		"running":   {{Status: "running"}, {Status: "exited"}},
		"working":   {{Status: "restarting"}, {Status: "running"}},
		"attention": {{Status: "running"}, {Status: "exited", Error: "no such file"}},
	} {
		if got := iconName(Snapshot{Containers: containers}); got != want {
			t.Errorf("%v: %s, want %s", containers, got, want)
		}
		if len(icon(want, "black")) == 0 || len(icon(want, "grey")) == 0 {
			t.Errorf("%s has no picture", want)
		}
	}
}
