package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// cost is what a run has taken.
type cost struct {
	cpu, wall time.Duration // cpu is user and system time, of children as well
	memory    int64         // bytes, of the largest process
	disk      int64         // bytes that the output takes
}

// measure runs commands one after the other and adds up what they take. The
// output is a directory that is empty at the start.
func measure(ctx context.Context, dir string, commands [][]string) (c cost, err error) {
	if err := os.RemoveAll(dir); err != nil {
		return c, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	syscall.Sync() // what earlier runs have left to write is not this one's
	for _, args := range commands {
		cmd := exec.CommandContext(ctx, args[0], args[1:]...)
		var stderr bytes.Buffer
		cmd.Dir, cmd.Stderr = dir, &stderr
		start := time.Now()
		if err := cmd.Run(); err != nil {
			return c, fmt.Errorf("%q: %w\n%.2000s", args, err, &stderr)
		}
		c.wall += time.Since(start)
		c.cpu += cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
		c.memory = max(c.memory, cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss<<10)
	}
	c.disk, err = allocated(dir, "*.img")
	return c, err
}

// allocated returns the bytes on disk of the files below dir whose names match.
// Files with several names count once.
func allocated(dir, pattern string) (n int64, err error) {
	seen := map[uint64]bool{}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		st := info.Sys().(*syscall.Stat_t)
		if ok, err := filepath.Match(pattern, d.Name()); err != nil || !ok || seen[st.Ino] {
			return err
		}
		seen[st.Ino] = true
		n += st.Blocks * 512
		return nil
	})
	return n, err
}

// median is the middle of some runs, for each figure by itself.
func median(runs []cost) cost {
	middle := func(figure func(cost) int64) int64 {
		var all []int64
		for _, r := range runs {
			all = append(all, figure(r))
		}
		slices.Sort(all)
		return all[len(all)/2]
	}
	return cost{
		cpu:    time.Duration(middle(func(c cost) int64 { return int64(c.cpu) })),
		wall:   time.Duration(middle(func(c cost) int64 { return int64(c.wall) })),
		memory: middle(func(c cost) int64 { return c.memory }),
		disk:   middle(func(c cost) int64 { return c.disk }),
	}
}
