package cli

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/client"
	"github.com/spf13/cobra"
)

func (c *CLI) eventsCommand() *cobra.Command {
	var since, until, format string
	var filters []string
	cmd := &cobra.Command{
		Use:   "events [flags]",
		Short: "Print what happens, as it happens",
		Args:  args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			chosen, err := parseFilters(filters)
			if err != nil {
				return usageError{cmd, err}
			}
			show := func(m events.Message) error {
				_, err := fmt.Fprintln(c.out, eventText(m))
				return err
			}
			if format == "json" {
				format = "{{json .}}"
			}
			if format != "" {
				t, err := parseTemplate(cmd, format)
				if err != nil {
					return err
				}
				show = func(m events.Message) error {
					var line strings.Builder
					if err := t.Execute(&line, m); err != nil {
						return usagef(cmd, "--format: %w", err)
					}
					_, err := fmt.Fprintln(c.out, line.String())
					return err
				}
			}
			api, err := c.client()
			if err != nil {
				return err
			}
			return printEvents(api.Events(cmd.Context(), client.EventsListOptions{Since: since, Until: until, Filters: chosen}), show)
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&since, "since", "", "begin with what is newer: a time (RFC 3339), or a duration such as 10m")
	fs.StringVar(&until, "until", "", "end at a time")
	fs.StringVar(&format, "format", "", `"json", or a Go template`)
	fs.StringArrayVarP(&filters, "filter", "f", nil, "only those for which key=value holds, such as type=container")
	return cmd
}

func printEvents(stream client.EventsResult, show func(events.Message) error) error {
	for {
		select {
		case m := <-stream.Messages:
			if err := show(m); err != nil {
				return err
			}
		case err := <-stream.Err:
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
	}
}

// eventText is docker's line: time, type, action, ID and (key=value, ...).
func eventText(m events.Message) string {
	when := time.Unix(m.Time, 0)
	if m.TimeNano != 0 {
		when = time.Unix(0, m.TimeNano)
	}
	var pairs []string
	for key, value := range m.Actor.Attributes {
		pairs = append(pairs, key+"="+value)
	}
	slices.Sort(pairs)
	text := fmt.Sprintf("%s %s %s %s", when.Format("2006-01-02T15:04:05.000000000Z07:00"), m.Type, m.Action, m.Actor.ID)
	if len(pairs) > 0 {
		text += " (" + strings.Join(pairs, ", ") + ")"
	}
	return printable(text)
}
