package engine

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"

	"github.com/containerd/errdefs"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/skerry-app/skerry/engine/translate"
	"github.com/skerry-app/skerry/engine/vm"
	"github.com/skerry-app/skerry/guest/api"
	"github.com/skerry-app/skerry/registry"
)

// arch is the architecture of the machines.
func (e *Engine) arch() string {
	if e.options.Arch == "" {
		return runtime.GOARCH
	}
	return e.options.Arch
}

// translationsSize is the memory for Rosetta's translations, in bytes, which a
// machine has beyond what its containers ask for.
const translationsSize = 256 << 20

// rosetta is a driver whose host may translate programs for amd64. Rosetta
// gives nil, or what is in the way and what to do about it.
type rosetta interface{ Rosetta() error }

// rosettaInstaller is a driver that can bring Rosetta to the host, where that is
// what is missing.
type rosettaInstaller interface {
	RosettaInstallable() bool
	InstallRosetta(context.Context) error
}

// RosettaWanted tells whether a container would run faster if Rosetta were
// installed, which InstallRosetta does.
func (e *Engine) RosettaWanted() bool {
	d, ok := e.options.Driver.(rosettaInstaller)
	return ok && d.RosettaInstallable() && slices.ContainsFunc(e.Containers(), func(c *Container) bool {
		t := c.Translator()
		return t != nil && t.Better != nil
	})
}

// InstallRosetta asks the user, and installs it.
func (e *Engine) InstallRosetta(ctx context.Context) error {
	d, ok := e.options.Driver.(rosettaInstaller)
	if !ok {
		return errdefs.ErrNotImplemented.WithMessage("Rosetta is for Macs")
	}
	return d.InstallRosetta(ctx)
}

// translator returns what runs an architecture's programs in machines; nil
// where they do so by themselves.
func (e *Engine) translator(arch string) (*translate.Translator, error) {
	if arch == "" || translate.Native(e.arch(), arch) {
		return nil, nil
	}
	var missing error
	if d, ok := e.options.Driver.(rosetta); ok && arch == "amd64" {
		if missing = d.Rosetta(); missing == nil {
			t := translate.Rosetta(e.options.RosettaCache)
			return &t, nil
		}
	}
	t, err := translate.QEMU(e.arch(), arch, e.options.Translators)
	if err == nil {
		t.Better = missing
		return &t, nil
	}
	return nil, errdefs.ErrNotImplemented.WithMessage(fmt.Sprintf("its programs are for %s, machines here are %s, and nothing translates: %v",
		arch, e.arch(), errors.Join(missing, err)))
}

// otherPlatforms are those whose images run here translated and are taken where
// there is nothing better. Rarer ones have to be asked for.
func (e *Engine) otherPlatforms() (list []string) {
	for _, arch := range []string{"amd64", "arm64"} {
		if t, err := e.translator(arch); err == nil && t != nil {
			list = append(list, "linux/"+arch)
		}
	}
	return list
}

// checkPlatform wants an image to be what was asked for, and to run here. An
// image of the name that is for another platform counts as not there, so that
// the right one is pulled.
func (e *Engine) checkPlatform(s Spec, p ocispec.Platform) error {
	if s.Platform != "" {
		fits, err := registry.Fits(s.Platform, p)
		if err != nil {
			return err
		}
		if !fits {
			return errdefs.ErrNotFound.WithMessage(fmt.Sprintf("No such image: %s for %s: the one that is here is for %s/%s", s.Image, s.Platform, p.OS, p.Architecture))
		}
	}
	if _, err := e.translator(p.Architecture); err != nil {
		return fmt.Errorf("image %s: %w", s.Image, err)
	}
	return nil
}

// Translator is what runs the container's programs; nil where the machine does so
// by itself.
func (c *Container) Translator() *translate.Translator {
	t, err := c.engine.translator(c.rec.Arch)
	if err != nil {
		return nil
	}
	return t
}

// addTranslator has the machine run an architecture's programs, unless it does.
func (s *sources) addTranslator(t *translate.Translator) error {
	if t == nil || slices.ContainsFunc(s.translators, func(a *api.Translator) bool { return a.Name == t.Name }) {
		return nil
	}
	a := &api.Translator{Name: t.Name, Magic: t.Magic, Mask: t.Mask, Flags: t.Flags}
	if t.Program == "" {
		a.ShareTag, a.Path, s.rosetta = vm.RosettaTag, translate.RosettaName, true
		if t.Cache != nil {
			s.cacheSocket = t.Cache.Socket
			a.Cache = &api.TranslationCache{Path: t.Cache.Program, Socket: t.Cache.Socket, Bytes: translationsSize}
		}
	} else {
		m := Mount{Type: MountBind, Source: t.Program, ReadOnly: true}
		var err error
		if a.Path, err = s.addShare(m); err != nil {
			return err
		}
	}
	s.translators = append(s.translators, a)
	return nil
}
