// Command benchext4 measures how much it takes to make an ext4 file system of
// image layers: the package ext4/layers against other ways to the same end, on
// a Debian system as one layer and as four. All run in turn, each several
// times; the figures are medians. The inputs are made once, which takes root
// and some minutes, and are kept.
//
//	benchext4 [-inputs DIRECTORY] [-runs N]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/skerry-app/skerry/ext4/layers"
)

// The commands that the program runs itself by.
const (
	writeCommand = "write" // IMAGE LAYER...: make the image with ext4/layers
	packCommand  = "pack"  // DIRECTORY: write the tree as an archive to standard output
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "benchext4:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	switch {
	case len(args) > 1 && args[0] == writeCommand:
		return write(ctx, args[1], args[2:])
	case len(args) == 2 && args[0] == packCommand:
		return pack(args[1], os.Stdout)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	inputs := flag.String("inputs", filepath.Join(cache, "skerry", "ext4-inputs"), "where the inputs are kept")
	runs := flag.Int("runs", 5, "runs of each")
	flag.Parse()
	in, err := prepare(ctx, *inputs)
	if err != nil {
		return err
	}
	return in.bench(ctx, *runs)
}

// write makes an image as a pull does.
func write(ctx context.Context, image string, paths []string) error {
	f, err := os.Create(image)
	if err != nil {
		return err
	}
	defer f.Close()
	var ls []layers.Layer
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		diffID, err := os.ReadFile(path + ".diffid")
		if err != nil {
			return err
		}
		ls = append(ls, layers.Layer{
			Open:   func(context.Context) (io.ReadCloser, error) { return os.Open(path) },
			Size:   info.Size(),
			DiffID: digest.Digest(diffID),
		})
	}
	_, err = layers.Write(ctx, f, ls, layers.Options{ID: digest.FromString(image)})
	return err
}

// inputs is the directory with the inputs, and the programs that measure them.
type inputs struct {
	dir       string
	self      string
	tar2ext4  string
	surviving int64 // bytes on disk of what the four layers leave
}

func prepare(ctx context.Context, dir string) (*inputs, error) {
	in := &inputs{dir: dir, tar2ext4: filepath.Join(dir, "tar2ext4")}
	var err error
	if in.self, err = os.Executable(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	done := filepath.Join(dir, "done")
	if _, err := os.Stat(done); err != nil {
		fmt.Fprintln(os.Stderr, "benchext4: making the inputs; this takes some minutes")
		if err := in.make(ctx); err != nil {
			return nil, fmt.Errorf("make inputs in %s: %w", dir, err)
		}
		if err := os.WriteFile(done, nil, 0o600); err != nil {
			return nil, err
		}
	}
	if in.surviving, err = allocated(filepath.Join(dir, "flat"), "*"); err != nil {
		return nil, err
	}
	build := exec.CommandContext(ctx, "go", "build", "-o", in.tar2ext4, ".")
	build.Dir, build.Stderr = "tests/benchext4/tar2ext4", os.Stderr
	return in, build.Run()
}

// make makes the trees and packs them.
func (in *inputs) make(ctx context.Context) error {
	script := exec.CommandContext(ctx, "tests/benchext4/inputs.sh", in.dir)
	script.Stderr = os.Stderr
	if err := script.Run(); err != nil {
		return fmt.Errorf("inputs.sh: %w", err)
	}
	for _, tree := range []string{"0", "1", "2", "3", "flat"} {
		path := filepath.Join(in.dir, tree)
		const shell = `set -e; "$0" pack "$1" >"$1.tar"; gzip -6 -kf "$1.tar"; zstd -3 -qkf "$1.tar"
			sum=$(sha256sum <"$1.tar"); for z in gz zst; do printf 'sha256:%s' "${sum%% *}" >"$1.tar.$z.diffid"; done`
		cmd := exec.CommandContext(ctx, "bash", "-c", shell, in.self, path)
		cmd.Stderr = os.Stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("pack %s: %w", tree, err)
		}
	}
	return in.makeWide(ctx)
}

// makeWide packs a directory of 50,000 files.
func (in *inputs) makeWide(ctx context.Context) error {
	const shell = `set -e; mkdir -p wide/d; seq -f wide/d/file-%g 50000 | xargs touch; "$0" pack wide >wide.tar
		gzip -6 -kf wide.tar; sum=$(sha256sum <wide.tar); printf 'sha256:%s' "${sum%% *}" >wide.tar.gz.diffid`
	cmd := exec.CommandContext(ctx, "bash", "-c", shell, in.self)
	cmd.Dir, cmd.Stderr = in.dir, os.Stderr
	return cmd.Run()
}

// way is a way to make an image.
type way struct {
	name     string
	commands [][]string
}

// trial is an input and the ways that are compared on it.
type trial struct {
	title string
	ways  []way // ours is the first
}

func (in *inputs) trials() []trial {
	return []trial{
		{"one layer, small, gzip", in.ways("0.tar.gz")},
		{"one layer, large, gzip", in.ways("flat.tar.gz")},
		{"one layer, large, zstd", in.ways("flat.tar.zst")},
		{"four layers, gzip", in.ways("0.tar.gz", "1.tar.gz", "2.tar.gz", "3.tar.gz")},
		{"directory of 50,000 files", in.ways("wide.tar.gz")},
	}
}

// ways returns the ways to make an image of layers. Those that know nothing of
// several layers make an image, or a tree, of each.
func (in *inputs) ways(names ...string) []way {
	ours := way{"ext4/layers", [][]string{{in.self, writeCommand, "ours.img"}}}
	hcsshim, tree, floor := way{name: "hcsshim tar2ext4"}, way{name: "tar x, mke2fs -d"}, way{name: "floor: inflate, write"}
	for i, name := range names {
		path := filepath.Join(in.dir, name)
		ours.commands[0] = append(ours.commands[0], path)
		hcsshim.commands = append(hcsshim.commands, []string{in.tar2ext4, fmt.Sprintf("%d.img", i), path})
		tree.commands = append(tree.commands, []string{"sh", "-c", `mkdir -p tree && tar -xf "$0" -C tree`, path})
		if strings.HasSuffix(name, ".zst") {
			floor.commands = append(floor.commands, []string{"zstd", "-q", "-d", "-o", fmt.Sprintf("%d.img", i), path})
		} else {
			floor.commands = append(floor.commands, []string{"igzip", "-q", "-d", "-k", "-o", fmt.Sprintf("%d.img", i), path})
		}
	}
	tree.commands = append(tree.commands, []string{"mke2fs", "-q", "-d", "tree", "tree.img", "4G"})
	return []way{ours, hcsshim, tree, floor}
}

// bench runs all trials and prints their tables.
func (in *inputs) bench(ctx context.Context, runs int) error {
	out := filepath.Join(in.dir, "out")
	for _, t := range in.trials() {
		costs := make([][]cost, len(t.ways))
		for range runs {
			for i, w := range t.ways {
				c, err := measure(ctx, out, w.commands)
				if err != nil {
					return errors.Join(fmt.Errorf("%s: %s: %w", t.title, w.name, err), ctx.Err())
				}
				costs[i] = append(costs[i], c)
			}
		}
		fmt.Printf("\n%-26s %9s %9s %9s %9s %9s %9s\n", t.title, "CPU s", "ours/it", "wall s", "ours/it", "RSS MiB", "disk MiB")
		ours := median(costs[0])
		for i, w := range t.ways {
			c := median(costs[i])
			fmt.Printf("  %-24s %9.2f %9.2f %9.2f %9.2f %9d %9d\n", w.name, c.cpu.Seconds(), ratio(ours.cpu, c.cpu),
				c.wall.Seconds(), ratio(ours.wall, c.wall), c.memory>>20, c.disk>>20)
		}
	}
	fmt.Printf("\nwhat the four layers leave takes %d MiB as files\n", in.surviving>>20)
	return nil
}

func ratio(a, b time.Duration) float64 { return a.Seconds() / b.Seconds() }
