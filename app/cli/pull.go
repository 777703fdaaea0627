package cli

import (
	"context"
	"fmt"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/moby/moby/client"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/spf13/cobra"
)

// What run and create do about the image.
const (
	pullMissing = "missing"
	pullAlways  = "always"
	pullNever   = "never"
)

func (c *CLI) pullCommand() *cobra.Command {
	var platform string
	var quiet bool
	cmd := &cobra.Command{
		Use:   "pull [flags] IMAGE",
		Short: "Fetch an image from its registry",
		Args:  args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := parsePlatform(platform)
			if err != nil {
				return usageError{cmd, err}
			}
			named, err := reference.ParseNormalizedNamed(args[0])
			if err != nil {
				return usagef(cmd, "%q is no image name: %w", args[0], err)
			}
			api, err := c.client()
			if err != nil {
				return err
			}
			if err := c.pull(cmd.Context(), api, args[0], p, quiet); err != nil {
				return err
			}
			fmt.Fprintln(c.out, reference.TagNameOnly(named))
			return nil
		},
	}
	cmd.Flags().StringVar(&platform, "platform", "", "platform of the image, such as linux/amd64")
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "no progress")
	return cmd
}

// pull fetches an image with progress on stderr.
func (c *CLI) pull(ctx context.Context, api client.APIClient, image string, platform *ocispec.Platform, quiet bool) error {
	var options client.ImagePullOptions
	if platform != nil {
		options.Platforms = []ocispec.Platform{*platform}
	}
	response, err := api.ImagePull(ctx, image, options)
	if err != nil {
		return err // says what was pulled
	}
	defer response.Close()
	return c.showTransfer(ctx, "pull "+image, response.JSONMessages(ctx), quiet)
}

// create makes a container and, as policy says, fetches its image.
func (c *CLI) create(ctx context.Context, api client.APIClient, o client.ContainerCreateOptions, policy string) (string, error) {
	if policy == pullAlways {
		if err := c.pull(ctx, api, o.Config.Image, o.Platform, false); err != nil {
			return "", err
		}
	}
	result, err := api.ContainerCreate(ctx, o)
	if errdefs.IsNotFound(err) && policy == pullMissing {
		fmt.Fprintf(c.err, "%s is not here yet; pulling it\n", o.Config.Image)
		if err := c.pull(ctx, api, o.Config.Image, o.Platform, false); err != nil {
			return "", err
		}
		result, err = api.ContainerCreate(ctx, o)
	}
	if err != nil {
		return "", err
	}
	for _, warning := range result.Warnings {
		fmt.Fprintln(c.err, "warning:", warning)
	}
	return result.ID, nil
}
