// Package menu shows the app in the desktop's tray. What it shows is a function
// of a Snapshot, and a click is an Action that the caller carries out: nothing
// here knows the engine, and the engine never waits for the desktop.
package menu

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"fyne.io/systray"
)

// updateInterval is the least time between two changes of the menu.
const updateInterval = 500 * time.Millisecond

// Options says what the menu shows and does.
type Options struct {
	Snapshot func() Snapshot
	// Changed has a token whenever the snapshot may have become another.
	Changed <-chan struct{}
	// Opened is called when the menu is opened: what costs to find out is looked
	// at then, and not before.
	Opened func()
	// Do carries out a click, in a goroutine of its own.
	Do func(context.Context, Action) error
	// Terminate is called when the desktop ends the program, by logging out for
	// example. On macOS the process is gone when it returns.
	Terminate func()
	Log       *slog.Logger
}

// Run shows the menu until ctx ends, once in a process and on macOS in the main
// goroutine. There must be a desktop (FindDesktop); where it has no tray, the
// menu shows when a tray appears.
func Run(ctx context.Context, o Options) {
	t := &tray{options: o}
	var work sync.WaitGroup
	work.Go(stayRegistered(ctx, o.Log))
	systray.SetTitle("Skerry") // on Linux the identity of the item, when it is set first
	systray.Run(func() {
		// The first menu waits for this function to return.
		work.Go(func() {
			defer systray.Quit()
			t.follow(ctx)
		})
		work.Go(func() { t.watchOpening(ctx) })
	}, func() {
		if ctx.Err() == nil { // else the program ends by itself
			o.Terminate()
		}
	})
	work.Wait()
	t.actions.Wait()
}

// tray is the menu as it is shown.
type tray struct {
	options Options
	actions sync.WaitGroup

	icon      string
	tooltip   string
	rows      []Row
	items     []*systray.MenuItem // of rows and their children, in the order of a walk; nil for separators
	endClicks context.CancelFunc  // ends the goroutines of the items
}

// follow shows each snapshot until ctx ends.
func (t *tray) follow(ctx context.Context) {
	rest := time.NewTimer(0)
	defer rest.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-rest.C:
		}
		t.show(ctx, t.options.Snapshot())
		rest.Reset(updateInterval)
		select {
		case <-ctx.Done():
			return
		case <-t.options.Changed:
		}
	}
}

func (t *tray) watchOpening(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-systray.TrayOpenedCh:
			t.options.Opened()
		}
	}
}

// tooltip is the whole state in one sentence, for those who cannot see the icon.
func tooltip(s Snapshot) string {
	words := []string{"Skerry"}
	for _, p := range s.Projects {
		words = append(words, projectRow(p).Title)
	}
	if n := running(s.Containers); n > 0 {
		words = append(words, fmt.Sprintf("%d other containers running", n))
	}
	return strings.Join(words, "; ")
}

func (t *tray) show(ctx context.Context, s Snapshot) {
	if name := iconName(s); name != t.icon {
		t.icon = name
		systray.SetTemplateIcon(icon(name, "black"), icon(name, "grey"))
	}
	if text := tooltip(s); text != t.tooltip {
		t.tooltip = text
		systray.SetTooltip(text)
	}
	rows := Rows(s)
	if t.rows != nil && sameShape(t.rows, rows) {
		t.retitle(rows)
	} else {
		t.rebuild(ctx, rows)
	}
	t.rows = rows
}

// sameShape tells whether only what rows say differs, and not what they do.
func sameShape(a, b []Row) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if (a[i].Title == "") != (b[i].Title == "") || a[i].Check != b[i].Check || a[i].Action != b[i].Action ||
			!sameShape(a[i].Children, b[i].Children) {
			return false
		}
	}
	return true
}

// retitle changes the texts that differ, in place, which an open menu shows.
func (t *tray) retitle(rows []Row) {
	items := t.items
	var walk func(old, now []Row)
	walk = func(old, now []Row) {
		for i := range now {
			if old[i].Title != now[i].Title {
				items[0].SetTitle(now[i].Title)
			}
			items = items[1:]
			walk(old[i].Children, now[i].Children)
		}
	}
	walk(t.rows, rows)
}

// rebuild makes the whole menu: rows can neither be inserted nor, when they are
// separators, be taken away.
func (t *tray) rebuild(ctx context.Context, rows []Row) {
	if t.endClicks != nil {
		t.endClicks()
	}
	for _, item := range t.items {
		if item != nil {
			item.ClickedCh = nil // or it is closed, and a click at that moment brings the app down
		}
	}
	systray.ResetMenu()
	t.items = nil
	built, end := context.WithCancel(ctx)
	t.endClicks = end
	for _, row := range rows {
		if row.Title == "" {
			systray.AddSeparator()
			t.items = append(t.items, nil)
			continue
		}
		if row.Check == NoCheck {
			t.fill(ctx, built, systray.AddMenuItem(row.Title, ""), row)
		} else {
			t.fill(ctx, built, systray.AddMenuItemCheckbox(row.Title, "", row.Check == Checked), row)
		}
	}
}

// fill adds what is below a row, and has its clicks carried out for as long as
// it is part of the menu that was built.
func (t *tray) fill(ctx, built context.Context, item *systray.MenuItem, row Row) {
	t.items = append(t.items, item)
	for _, child := range row.Children {
		switch {
		case child.Title == "":
			item.AddSeparator()
			t.items = append(t.items, nil)
		case child.Check == NoCheck:
			t.fill(ctx, built, item.AddSubMenuItem(child.Title, ""), child)
		default:
			t.fill(ctx, built, item.AddSubMenuItemCheckbox(child.Title, "", child.Check == Checked), child)
		}
	}
	if row.Action == (Action{}) {
		if len(row.Children) == 0 {
			item.Disable()
		}
		return
	}
	// A click that nobody waits for is lost, so this one only hands it on.
	clicks := item.ClickedCh
	go func() {
		for {
			select {
			case <-built.Done():
				return
			case <-clicks:
				t.actions.Go(func() { t.do(ctx, row.Action) })
			}
		}
	}()
}

func (t *tray) do(ctx context.Context, a Action) {
	if err := t.options.Do(ctx, a); err != nil && ctx.Err() == nil {
		t.options.Log.Warn("menu", "action", a.Verb, "target", a.Target, "error", err)
	}
}
