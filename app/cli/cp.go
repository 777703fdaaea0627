package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/go-archive"
	"github.com/moby/moby/client"
	"github.com/spf13/cobra"
)

func (c *CLI) cpCommand() *cobra.Command {
	var follow, owners bool
	cmd := &cobra.Command{
		Use:   "cp [flags] CONTAINER:PATH PATH|- or PATH|- CONTAINER:PATH",
		Short: "Copy files between a container and this host",
		Long: "Copy files between a container and this host. As with docker, what is copied into a directory that is there keeps its name, " +
			"what is copied to a name that is not there takes that, and of a source that ends in /. the content is copied. " +
			"A path of - is a tar archive on the standard streams.",
		Args: args(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			from, source := splitPlace(args[0])
			to, target := splitPlace(args[1])
			if (from == "") == (to == "") {
				return usagef(cmd, "one of the two must be CONTAINER:PATH, the other a path of this host")
			}
			api, err := c.client()
			if err != nil {
				return err
			}
			if from != "" {
				return c.copyOut(cmd.Context(), api, from, source, target, follow)
			}
			return c.copyIn(cmd.Context(), api, source, to, target, follow, owners)
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow-link", "L", false, "copy what a link as the source leads to")
	cmd.Flags().BoolVarP(&owners, "archive", "a", false, "keep owners (they always are)")
	cmd.Flags().BoolP("quiet", "q", true, "")
	_ = cmd.Flags().MarkHidden("quiet")
	return cmd
}

// splitPlace reads CONTAINER:PATH; without a container it is a path of this
// host, as is what begins with a slash or dot.
func splitPlace(text string) (container, name string) {
	if filepath.IsAbs(text) || strings.HasPrefix(text, ".") {
		return "", text
	}
	container, name, ok := strings.Cut(text, ":")
	if !ok {
		return "", text
	}
	return container, name
}

// keepEnd cleans a path and keeps what makes a directory of it.
func keepEnd(clean, name string) string { return archive.PreserveTrailingDotOrSeparator(clean, name) }

// inContainer is a path as seen from the container's root.
func inContainer(name string) string { return keepEnd(path.Join("/", name), name) }

func (c *CLI) copyOut(ctx context.Context, api client.APIClient, container, source, target string, follow bool) error {
	source = inContainer(source)
	renamed := ""
	if follow {
		found, err := api.ContainerStatPath(ctx, container, client.ContainerStatPathOptions{Path: source})
		if err == nil && found.Stat.Mode&os.ModeSymlink != 0 {
			source, renamed = archive.GetRebaseName(source, found.Stat.LinkTarget)
		}
	}
	got, err := api.CopyFromContainer(ctx, container, client.CopyFromContainerOptions{SourcePath: source})
	if err != nil {
		return err
	}
	defer got.Content.Close()
	if target == "-" {
		_, err := io.Copy(c.out, got.Content)
		return err
	}
	absolute, err := filepath.Abs(target)
	if err != nil {
		return err
	}
	info := archive.CopyInfo{Path: source, Exists: true, IsDir: got.Stat.Mode.IsDir(), RebaseName: renamed}
	content := io.Reader(got.Content)
	if info.RebaseName != "" {
		_, base := archive.SplitPathDirEntry(info.Path)
		content = archive.RebaseArchiveEntries(content, base, info.RebaseName)
	}
	return archive.CopyTo(content, info, keepEnd(absolute, target))
}

func (c *CLI) copyIn(ctx context.Context, api client.APIClient, source, container, target string, follow, owners bool) error {
	to, err := destination(ctx, api, container, inContainer(target))
	if err != nil {
		return err
	}
	put := func(dir string, content io.Reader) error {
		_, err := api.CopyToContainer(ctx, container, client.CopyToContainerOptions{DestinationPath: dir, Content: content, CopyUIDGID: owners})
		return err
	}
	if source == "-" {
		if !to.IsDir {
			return fmt.Errorf("%s of %s is not a directory: an archive is unpacked into one", to.Path, container)
		}
		return put(to.Path, c.in)
	}
	absolute, err := filepath.Abs(source)
	if err != nil {
		return err
	}
	info, err := archive.CopyInfoSourcePath(keepEnd(absolute, source), follow)
	if err != nil {
		return err
	}
	packed, err := archive.TarResource(info)
	if err != nil {
		return err
	}
	defer packed.Close()
	dir, content, err := archive.PrepareArchiveCopy(packed, info, to)
	if err != nil {
		return err
	}
	defer content.Close()
	return put(dir, content)
}

// destination looks at the place in a container to copy to. A link there stands
// for what it leads to, which need not be there.
func destination(ctx context.Context, api client.APIClient, container, target string) (archive.CopyInfo, error) {
	info := archive.CopyInfo{Path: target}
	found, err := api.ContainerStatPath(ctx, container, client.ContainerStatPathOptions{Path: target})
	if err == nil && found.Stat.Mode&os.ModeSymlink != 0 {
		info.Path = found.Stat.LinkTarget
		found, err = api.ContainerStatPath(ctx, container, client.ContainerStatPathOptions{Path: info.Path})
	}
	switch {
	case err == nil:
		info.Exists, info.IsDir = true, found.Stat.Mode.IsDir()
		return info, nil
	case !errdefs.IsNotFound(err):
		return info, err
	}
	// There must be a directory for it, and the container itself.
	parent, _ := archive.SplitPathDirEntry(info.Path)
	found, err = api.ContainerStatPath(ctx, container, client.ContainerStatPathOptions{Path: parent})
	if err == nil && !found.Stat.Mode.IsDir() && found.Stat.Mode&os.ModeSymlink == 0 {
		err = errors.New("it is not a directory")
	}
	if err != nil {
		return info, fmt.Errorf("%s of %s: %w", parent, container, err)
	}
	return info, nil
}
