package skerryfile

import (
	"fmt"
	"io"
	"strings"
)

// Reference writes a page, in Markdown, that lists all keys.
func Reference(w io.Writer) error {
	p := &page{w: w}
	p.line("# %s", Name)
	p.line("")
	p.line("A project is one file, `%s`, found in the working directory or above it. What is only this computer's goes into", Name)
	p.line("`%s` beside it, which is laid over. `skerry check` finds mistakes and says what `skerry up` would change;", OverlayName)
	p.line("`skerry schema` prints the JSON schema for editors. Sizes are such as \"512m\" and \"2g\", durations such as \"1m30s\".")
	p.line("")
	p.line("`${NAME}` in a value stands for a variable of the environment or, where that does not have it, of `%s`; one that is not", dotenvName)
	p.line("set is an error, unless it is written `${NAME:-default}`. `${NAME:?message}` says what to do about it. `$$` is a dollar sign.")
	keysOf(p, "At the top of the file", topKeys)
	keysOf(p, "[containers.name] and [defaults]", containerKeys)
	keysOf(p, "healthcheck", healthKeys)
	keysOf(p, "volumes, as tables", mountKeys)
	keysOf(p, "[volumes.name]", volumeKeys)
	p.line("")
	p.line("# %s", SettingsName)
	p.line("")
	p.line("What the user wants of the app stands in `%s` in its state directory (`skerry env` tells where). It is read when the app", SettingsName)
	p.line("starts; a mistake is shown with its place, and what is wrong there is as usual.")
	keysOf(p, "Keys", settingsKeys)
	return p.err
}

// page writes lines until one fails.
type page struct {
	w   io.Writer
	err error
}

func (p *page) line(format string, a ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", a...)
	}
}

func keysOf[T any](p *page, title string, keys []key[T]) {
	p.line("")
	p.line("## %s", title)
	p.line("")
	p.line("| key | value | without it | |")
	p.line("|---|---|---|---|")
	var later []string
	for _, k := range keys {
		if k.read == nil {
			later = append(later, "`"+k.name+"`")
			continue
		}
		p.line("| `%s` | %s | %s | %s |", k.name, cell(k.typ), cell(k.def), cell(k.doc))
	}
	if later != nil {
		p.line("")
		p.line("Not supported yet: %s.", strings.Join(later, ", "))
	}
}

func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
