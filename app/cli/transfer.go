package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"

	"github.com/distribution/reference"
	"github.com/moby/moby/api/pkg/authconfig"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/api/types/registry"
	"github.com/moby/moby/client"
	"github.com/spf13/cobra"
)

func (c *CLI) pushCommand() *cobra.Command {
	var quiet bool
	cmd := &cobra.Command{
		Use:   "push [flags] IMAGE",
		Short: "Bring an image to its registry",
		Args:  args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			named, err := reference.ParseNormalizedNamed(args[0])
			if err != nil {
				return usagef(cmd, "%q is no image name: %w", args[0], err)
			}
			api, err := c.client()
			if err != nil {
				return err
			}
			// What the app knows of the registry is used.
			nobody, err := authconfig.Encode(registry.AuthConfig{})
			if err != nil {
				return err
			}
			response, err := api.ImagePush(cmd.Context(), args[0], client.ImagePushOptions{RegistryAuth: nobody})
			if err != nil {
				return err
			}
			defer response.Close()
			if err := c.showTransfer(cmd.Context(), "push "+args[0], response.JSONMessages(cmd.Context()), quiet); err != nil {
				return err
			}
			fmt.Fprintln(c.out, reference.TagNameOnly(named))
			return nil
		},
	}
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "no progress")
	return cmd
}

// showTransfer shows on stderr how a pull or push goes on, to its end.
func (c *CLI) showTransfer(ctx context.Context, what string, messages iter.Seq2[jsonstream.Message, error], quiet bool) error {
	show := c.newProgress(quiet)
	defer show.end()
	for message, err := range messages {
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		if message.Error != nil {
			return message.Error
		}
		show.message(message)
	}
	return ctx.Err()
}

func (c *CLI) saveCommand() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "save [flags] IMAGE...",
		Short: "Write images to a tar archive",
		Args:  args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if _, onTerminal := terminal(c.out); onTerminal && output == "" {
				return usagef(cmd, "an archive is nothing for a terminal: give a file with -o, or redirect the output")
			}
			api, err := c.client()
			if err != nil {
				return err
			}
			archive, err := api.ImageSave(cmd.Context(), args)
			if err != nil {
				return err
			}
			defer archive.Close()
			if output == "" {
				_, err = io.Copy(c.out, archive)
				return err
			}
			return writeWhole(output, archive)
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "file to write to, instead of stdout")
	return cmd
}

// writeWhole writes a file that is there whole or not at all.
func writeWhole(path string, from io.Reader) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".skerry-save-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if _, err := io.Copy(f, from); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return os.Rename(f.Name(), path)
}

func (c *CLI) loadCommand() *cobra.Command {
	var input string
	var quiet bool
	cmd := &cobra.Command{
		Use:   "load [flags]",
		Short: "Bring in the images of a tar archive",
		Args:  args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			from := c.in
			if input != "" {
				f, err := os.Open(input)
				if err != nil {
					return err
				}
				defer f.Close()
				from = f
			} else if _, onTerminal := terminal(c.in); onTerminal {
				return usagef(cmd, "an archive does not come from a terminal: give a file with -i, or redirect the input")
			}
			api, err := c.client()
			if err != nil {
				return err
			}
			answer, err := api.ImageLoad(cmd.Context(), from, client.ImageLoadWithQuiet(quiet))
			if err != nil {
				return err
			}
			defer answer.Close()
			return c.printLoaded(answer)
		},
	}
	cmd.Flags().StringVarP(&input, "input", "i", "", "file to read, instead of stdin")
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "no progress")
	return cmd
}

// printLoaded prints what the app says that it has loaded.
func (c *CLI) printLoaded(answer io.Reader) error {
	messages := json.NewDecoder(answer)
	for {
		var m jsonstream.Message
		if err := messages.Decode(&m); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read what was loaded: %w", err)
		}
		if m.Error != nil {
			return m.Error
		}
		fmt.Fprintln(c.out, printable(strings.TrimSuffix(m.Stream, "\n")))
	}
}
