package cli

import (
	"fmt"
	"io"
	"sync"

	"github.com/moby/moby/api/types/jsonstream"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// progress shows what a pull does: bars on a terminal, else a line for each
// thing that came to an end, without control characters.
type progress interface {
	message(m jsonstream.Message)
	line(text string) // a note beside what message shows
	end()
}

func (c *CLI) newProgress(quiet bool) progress {
	if quiet {
		return silence{}
	}
	if _, ok := terminal(c.err); ok {
		return &bars{container: mpb.New(mpb.WithOutput(c.err), mpb.WithWidth(barWidth)), layers: map[string]*layerBar{}}
	}
	return &progressLines{out: c.err, last: map[string]string{}}
}

type silence struct{}

func (silence) message(jsonstream.Message) {}
func (silence) line(string)                {}
func (silence) end()                       {}

// progressLines prints a layer's status when it changes, and never how far it is.
type progressLines struct {
	out  io.Writer
	last map[string]string // status by layer
}

func (p *progressLines) message(m jsonstream.Message) {
	if m.Status == "" || p.last[m.ID] == m.Status {
		return
	}
	p.last[m.ID] = m.Status
	if m.ID == "" {
		fmt.Fprintln(p.out, printable(m.Status))
		return
	}
	fmt.Fprintf(p.out, "%s: %s\n", printable(m.ID), printable(m.Status))
}

func (p *progressLines) line(text string) { fmt.Fprintln(p.out, printable(text)) }
func (*progressLines) end()               {}

const barWidth = 64

// bars has one bar for each layer.
type bars struct {
	container *mpb.Progress
	layers    map[string]*layerBar
}

// layerBar is one layer's bar; its status is read by mpb's own goroutine.
type layerBar struct {
	bar    *mpb.Bar
	mu     sync.Mutex
	status string
}

func (b *bars) message(m jsonstream.Message) {
	if m.ID == "" {
		b.line(m.Status)
		return
	}
	layer, ok := b.layers[m.ID]
	moves := m.Progress != nil && m.Progress.Total > 0
	if !ok && !moves {
		return // nothing to draw yet, or a heading; the bars say enough
	}
	if !ok {
		layer = b.add(printable(m.ID))
		b.layers[m.ID] = layer
	}
	layer.set(printable(m.Status))
	if moves {
		layer.bar.SetTotal(m.Progress.Total, false)
		layer.bar.SetCurrent(m.Progress.Current)
	}
}

func (b *bars) add(id string) *layerBar {
	layer := &layerBar{}
	layer.bar = b.container.AddBar(0,
		mpb.BarFillerClearOnComplete(),
		mpb.PrependDecorators(
			decor.Name(id, decor.WCSyncSpaceR),
			decor.Any(func(decor.Statistics) string { return layer.get() }, decor.WCSyncSpaceR)),
		mpb.AppendDecorators(decor.OnComplete(decor.Counters(decor.SizeB1000(0), "% .1f / % .1f"), "")))
	return layer
}

// line goes above the bars.
func (b *bars) line(text string) { fmt.Fprintln(b.container, printable(text)) }

// end leaves the bars as they are; those that have no end by now get one,
// because mpb waits for it.
func (b *bars) end() {
	for _, layer := range b.layers {
		layer.bar.SetTotal(-1, true)
	}
	b.container.Wait()
}

func (l *layerBar) set(status string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.status = status
}

func (l *layerBar) get() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.status
}

// printable replaces control characters: what a registry or an image says must
// not drive the terminal.
func printable(text string) string {
	clean := []rune(text)
	for i, r := range clean {
		if r < ' ' || (r >= 0x7f && r < 0xa0) {
			clean[i] = '?'
		}
	}
	return string(clean)
}
