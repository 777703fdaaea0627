package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"text/template"

	"github.com/spf13/cobra"
)

// column is one thing that a listing can show: its name in templates and JSON,
// and its heading in a table.
type column struct{ name, heading string }

// row has a value for each column's name.
type row map[string]string

// listing prints rows as docker does: --format is empty or "table" for a
// table, "json" for an object a line, "table <template>" for own columns, or a
// Go template for each row.
type listing struct {
	columns []column // all there are
	table   []string // names of those in the table, in order
	format  string
}

const formatUsage = `"table", "json", or a Go template such as "{{.%s}}"`

func (l *listing) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&l.format, "format", "", fmt.Sprintf(formatUsage, l.columns[0].name))
}

// templateFunctions are docker's.
var templateFunctions = template.FuncMap{
	"json": func(v any) (string, error) {
		text, err := json.Marshal(v)
		return string(text), err
	},
	"join":  strings.Join,
	"split": strings.Split,
	"lower": strings.ToLower,
	"upper": strings.ToUpper,
	"truncate": func(s string, n int) string {
		if runes := []rune(s); n >= 0 && len(runes) > n {
			return string(runes[:n])
		}
		return s
	},
}

// parseTemplate reads a --format; what is wrong with it is a usage error. \t
// and \n may be written out, because shells pass them on as they are.
func parseTemplate(cmd *cobra.Command, text string) (*template.Template, error) {
	text = strings.NewReplacer(`\t`, "\t", `\n`, "\n").Replace(text)
	t, err := template.New("format").Option("missingkey=error").Funcs(templateFunctions).Parse(text)
	if err != nil {
		return nil, usagef(cmd, "--format: %w", err)
	}
	return t, nil
}

// check finds mistakes in --format before anything is asked.
func (l *listing) check(cmd *cobra.Command) error {
	_, err := parseTemplate(cmd, l.format)
	return err
}

func (l *listing) print(cmd *cobra.Command, out io.Writer, rows []row) error {
	switch text, isTable := strings.CutPrefix(l.format, "table "); {
	case l.format == "" || l.format == "table":
		return l.printTable(cmd, out, rows, l.defaultTemplate())
	case isTable:
		return l.printTable(cmd, out, rows, text)
	case l.format == "json":
		return printJSON(out, rows)
	default:
		return printTemplate(cmd, out, rows, l.format)
	}
}

func (l *listing) defaultTemplate() string {
	cells := make([]string, len(l.table))
	for i, name := range l.table {
		cells[i] = "{{." + name + "}}"
	}
	return strings.Join(cells, "\t")
}

func (l *listing) printTable(cmd *cobra.Command, out io.Writer, rows []row, text string) error {
	headings := row{}
	for _, c := range l.columns {
		headings[c.name] = c.heading
	}
	const minWidth, tabWidth, padding = 10, 1, 3 // docker's
	table := tabwriter.NewWriter(out, minWidth, tabWidth, padding, ' ', 0)
	if err := printTemplate(cmd, table, append([]row{headings}, rows...), text); err != nil {
		return err
	}
	return table.Flush()
}

func printTemplate(cmd *cobra.Command, out io.Writer, rows []row, text string) error {
	t, err := parseTemplate(cmd, text)
	if err != nil {
		return err
	}
	for _, r := range rows {
		var line strings.Builder
		if err := t.Execute(&line, r); err != nil {
			return usagef(cmd, "--format: %w", err)
		}
		if _, err := fmt.Fprintln(out, line.String()); err != nil {
			return err
		}
	}
	return nil
}

func printJSON(out io.Writer, rows []row) error {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	for _, r := range rows {
		if err := encoder.Encode(r); err != nil {
			return err
		}
	}
	return nil
}

// shortID is docker's twelve digits, or all of them.
func shortID(id string, full bool) string {
	digits := strings.TrimPrefix(id, "sha256:")
	if full || len(digits) <= shortIDLength {
		return id
	}
	return digits[:shortIDLength]
}

const shortIDLength = 12
