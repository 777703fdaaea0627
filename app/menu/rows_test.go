package menu

import (
	"strings"
	"testing"
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
			}
			b.WriteString(indent + line + "\n")
			write(r.Children, indent+"\t")
		}
	}
	write(rows, "")
	return b.String()
}

func TestRows(t *testing.T) {
	web := Container{ID: "1", Name: "web", Project: "shop", File: "/shop/skerry.toml", Status: "running", Memory: 512 << 20,
		Address: "10.0.0.2", URL: "http://localhost:8080"}
	db := Container{ID: "2", Name: "db", Project: "shop", File: "/shop/skerry.toml", Status: "exited", ExitCode: 1}
	alone := Container{ID: "3", Name: "scratch", Status: "exited"}
	const end = "---\nImages\n\tNo images\n---\nStart at Login = start at login\nHelp\n\tDoctor = doctor\n\tShow Log = show log\n"
	for _, tc := range []struct {
		name string
		s    Snapshot
		want string
	}{
		{"empty", Snapshot{}, "No containers\n" + end + "Quit Skerry = quit\n"},
		{"a project", Snapshot{Containers: []Container{web, db}}, `shop, 1 of 2 running
	Open http://localhost:8080 = open url http://localhost:8080
	Start = start project /shop/skerry.toml
	Stop = stop project /shop/skerry.toml
	---
	db, exited (1)
		View Logs = view logs 2
		Copy Name = copy db
		---
		Start = start 2
	web, running, up to 512 MB
		Open in Browser = open url http://localhost:8080
		Open Terminal = open terminal 1
		View Logs = view logs 1
		Copy Address = copy 10.0.0.2
		Copy Name = copy web
		---
		Stop = stop 1
		Restart = restart 1
	---
	Edit Project File = edit file /shop/skerry.toml
` + end + "Quit Skerry (stops 1 container) = quit\n"},
		{"alone, with an image", Snapshot{Containers: []Container{alone}, Images: []Image{{"alpine:3.22", 3 << 20}}, ImagesSize: 3 << 20, StartsAtLogin: true},
			`scratch, stopped
	View Logs = view logs 3
	Copy Name = copy scratch
	---
	Start = start 3
---
Images, 3 MB
	alpine:3.22, 3 MB
---
Start at Login [x] = do not start at login
Help
	Doctor = doctor
	Show Log = show log
Quit Skerry = quit
`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, outline(Rows(tc.s))); diff != "" {
				t.Error(diff)
			}
		})
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
		"working":   {{Status: "removing"}},
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
