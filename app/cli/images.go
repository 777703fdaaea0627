package cli

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/distribution/reference"
	"github.com/docker/go-units"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/client"
	"github.com/spf13/cobra"
)

func (c *CLI) imagesCommand() *cobra.Command {
	var all, quiet, full, digests bool
	var filters []string
	list := &listing{columns: []column{
		{"Repository", "REPOSITORY"}, {"Tag", "TAG"}, {"Digest", "DIGEST"}, {"ID", "IMAGE ID"},
		{"CreatedSince", "CREATED"}, {"Size", "SIZE"}, {"CreatedAt", "CREATED AT"},
	}}
	cmd := &cobra.Command{
		Use:   "images [flags] [NAME]",
		Short: "List images",
		Args:  args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := list.check(cmd); err != nil {
				return err
			}
			chosen, err := parseFilters(filters)
			if err != nil {
				return usageError{cmd, err}
			}
			if len(args) == 1 {
				chosen.Add("reference", args[0])
			}
			api, err := c.client()
			if err != nil {
				return err
			}
			found, err := api.ImageList(cmd.Context(), client.ImageListOptions{All: all, Filters: chosen})
			if err != nil {
				return err
			}
			if list.table = []string{"Repository", "Tag", "ID", "CreatedSince", "Size"}; digests {
				list.table = slices.Insert(list.table, 2, "Digest")
			}
			rows := imageRows(found.Items, full, digests, time.Now())
			if !quiet {
				return list.print(cmd, c.out, rows)
			}
			seen := map[string]bool{}
			for _, r := range rows {
				if !seen[r["ID"]] {
					fmt.Fprintln(c.out, r["ID"])
				}
				seen[r["ID"]] = true
			}
			return nil
		},
	}
	fs := cmd.Flags()
	fs.BoolVarP(&all, "all", "a", false, "intermediate ones as well")
	fs.BoolVarP(&quiet, "quiet", "q", false, "IDs only")
	fs.BoolVar(&full, "no-trunc", false, "nothing is shortened")
	fs.BoolVar(&digests, "digests", false, "show digests")
	fs.StringArrayVarP(&filters, "filter", "f", nil, "only those for which key=value holds, such as dangling=true")
	list.register(cmd)
	return cmd
}

const noName = "<none>"

// imageRows has a row for each name of each image, newest first, and one for
// an image without a name.
func imageRows(images []image.Summary, full, digests bool, now time.Time) []row {
	images = slices.Clone(images)
	slices.SortStableFunc(images, func(a, b image.Summary) int { return cmp.Compare(b.Created, a.Created) })
	var rows []row
	for _, summary := range images {
		created := time.Unix(summary.Created, 0)
		for _, name := range imageNames(summary, digests) {
			rows = append(rows, row{
				"Repository": name.repository, "Tag": name.tag, "Digest": name.digest,
				"ID":           shortID(summary.ID, full),
				"CreatedSince": units.HumanDuration(now.Sub(created)) + " ago",
				"CreatedAt":    created.Format("2006-01-02 15:04:05 -0700 MST"),
				"Size":         units.HumanSizeWithPrecision(float64(summary.Size), 3),
			})
		}
	}
	return rows
}

type imageName struct{ repository, tag, digest string }

func imageNames(summary image.Summary, digests bool) []imageName {
	byRepository := map[string]string{}
	var names []imageName
	for _, text := range summary.RepoDigests {
		repository, digest, _ := strings.Cut(text, "@")
		byRepository[familiar(repository)] = digest
	}
	tagged := map[string]bool{}
	for _, text := range summary.RepoTags {
		i := strings.LastIndex(text, ":")
		if i < 0 || text == noName+":"+noName {
			continue
		}
		name := imageName{familiar(text[:i]), text[i+1:], noName}
		if digest, ok := byRepository[name.repository]; ok {
			name.digest = digest
		}
		tagged[name.repository] = true
		names = append(names, name)
	}
	for _, text := range summary.RepoDigests {
		repository, digest, _ := strings.Cut(text, "@")
		if name := familiar(repository); !tagged[name] && (digests || len(names) == 0) {
			names = append(names, imageName{name, noName, digest})
		}
	}
	if len(names) == 0 {
		names = append(names, imageName{noName, noName, noName})
	}
	return names
}

// familiar is a repository's name as people write it: without docker.io/library.
func familiar(repository string) string {
	named, err := reference.ParseNormalizedNamed(repository)
	if err != nil {
		return repository
	}
	return reference.FamiliarName(named)
}

func (c *CLI) rmiCommand() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "rmi [flags] IMAGE...",
		Short: "Remove images",
		Args:  args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := c.client()
			if err != nil {
				return err
			}
			var failures []error
			for _, name := range args {
				removed, err := api.ImageRemove(cmd.Context(), name, client.ImageRemoveOptions{Force: force, PruneChildren: true})
				if err != nil {
					failures = append(failures, err)
					continue
				}
				for _, item := range removed.Items {
					if item.Untagged != "" {
						fmt.Fprintln(c.out, "Untagged:", item.Untagged)
					}
					if item.Deleted != "" {
						fmt.Fprintln(c.out, "Deleted:", item.Deleted)
					}
				}
			}
			return errors.Join(failures...)
		},
	}
	cmd.Flags().BoolVarP(&force, "force", "f", false, "remove all names of the image")
	return cmd
}

func (c *CLI) tagCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "tag IMAGE NAME",
		Short: "Give an image another name",
		Args:  args(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := c.client()
			if err != nil {
				return err
			}
			_, err = api.ImageTag(cmd.Context(), client.ImageTagOptions{Source: args[0], Target: args[1]})
			return err
		},
	}
}
