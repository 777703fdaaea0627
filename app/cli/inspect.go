package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"
	"github.com/spf13/cobra"
)

// inspectable is what is known of an object: as the server sent it, and with
// Go's names for templates.
type inspectable struct {
	raw   json.RawMessage
	typed any
}

func (c *CLI) inspectCommand() *cobra.Command {
	var format, kind string
	cmd := &cobra.Command{
		Use:   "inspect [flags] NAME...",
		Short: "Print all that is known of containers or images, as JSON",
		Args:  args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch kind {
			case "", "container", "image":
			default:
				return usagef(cmd, `--type must be "container" or "image", not %q`, kind)
			}
			var found []inspectable
			var failures []error
			api, err := c.client()
			if err != nil {
				return err
			}
			for _, name := range args {
				object, err := inspect(cmd, api, name, kind)
				if err != nil {
					failures = append(failures, err)
					continue
				}
				found = append(found, object)
			}
			return errors.Join(append(failures, c.printInspected(cmd, found, format))...)
		},
	}
	cmd.Flags().StringVarP(&format, "format", "f", "", `"json", or a Go template such as "{{.State.Status}}"`)
	cmd.Flags().StringVar(&kind, "type", "", `"container" or "image"`)
	return cmd
}

func inspect(cmd *cobra.Command, api client.APIClient, name, kind string) (inspectable, error) {
	if kind != "image" {
		found, err := api.ContainerInspect(cmd.Context(), name, client.ContainerInspectOptions{})
		if err == nil {
			return inspectable{found.Raw, found.Container}, nil
		}
		if kind != "" || !errdefs.IsNotFound(err) {
			return inspectable{}, err
		}
	}
	var raw bytes.Buffer
	found, err := api.ImageInspect(cmd.Context(), name, client.ImageInspectWithRawResponse(&raw))
	if errdefs.IsNotFound(err) && kind == "" {
		return inspectable{}, fmt.Errorf("no such container or image: %s", name)
	}
	if err != nil {
		return inspectable{}, err
	}
	return inspectable{raw.Bytes(), found.InspectResponse}, nil
}

func (c *CLI) printInspected(cmd *cobra.Command, found []inspectable, format string) error {
	if format == "" || format == "json" {
		raw := make([]json.RawMessage, len(found))
		for i, object := range found {
			raw[i] = object.raw
		}
		encoder := json.NewEncoder(c.out)
		encoder.SetEscapeHTML(false)
		if format == "" {
			encoder.SetIndent("", "    ")
		}
		return encoder.Encode(raw)
	}
	t, err := parseTemplate(cmd, format)
	if err != nil {
		return err
	}
	for _, object := range found {
		var line strings.Builder
		if err := t.Execute(&line, object.typed); err != nil {
			// The server may know fields that our types do not have.
			var untyped any
			line.Reset()
			if json.Unmarshal(object.raw, &untyped) != nil || t.Execute(&line, untyped) != nil {
				return usagef(cmd, "--format: %w", err)
			}
		}
		fmt.Fprintln(c.out, line.String())
	}
	return nil
}
