// Command bundle lays out Skerry.app, on any system: signing it is what needs a
// Mac. One bundle is for one architecture, because the kernel and the init image
// in it are. It runs in the source's root.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"

	"howett.net/plist"

	"github.com/skerry-app/skerry/packaging/icon"
	"github.com/skerry-app/skerry/packaging/licences"
	"github.com/skerry-app/skerry/packaging/tree"
)

// kernelName is what the program looks for, by its architecture.
var kernelName = map[string]string{"amd64": "bzImage", "arm64": "Image"}

type options struct {
	program, kernel, init string
	translators           string // directory with emulators for other processors' programs
	runnable              string // a skerry that runs here
	arch, version, output string
}

func main() {
	var o options
	flag.StringVar(&o.program, "program", "", "`path` of skerry, built for macOS")
	flag.StringVar(&o.runnable, "run", "", "`path` of a skerry that runs here, to print the completions (default -program)")
	flag.StringVar(&o.kernel, "kernel", "", "`path` of the guest kernel")
	flag.StringVar(&o.init, "init", "", "`path` of the init image")
	flag.StringVar(&o.translators, "translators", "", "`directory` with static user mode emulators of QEMU, for Linux on the architecture")
	flag.StringVar(&o.arch, "arch", "arm64", "`architecture` of them: arm64 or amd64")
	flag.StringVar(&o.version, "version", "dev", "`version`, as git describe tells it")
	flag.StringVar(&o.output, "o", "bin/Skerry.app", "`directory` to make")
	flag.Parse()
	if o.runnable == "" {
		o.runnable = o.program
	}
	if err := layOut(o); err != nil {
		fmt.Fprintln(os.Stderr, "bundle:", err)
		os.Exit(1)
	}
}

func layOut(o options) error {
	kernel, ok := kernelName[o.arch]
	if !ok {
		return fmt.Errorf("no Mac has the architecture %q: arm64 or amd64", o.arch)
	}
	emulators, err := filepath.Glob(filepath.Join(o.translators, "qemu-*"))
	if err != nil || o.translators == "" || len(emulators) == 0 {
		return fmt.Errorf("there is no emulator in %q: take it from a Linux machine, as the kernel (make mac-files)", o.translators)
	}
	modules, err := licences.Modules("darwin", o.arch, "./app")
	if err != nil {
		return err
	}
	info, err := stampedInfo(o.version)
	if err != nil {
		return err
	}
	var picture bytes.Buffer
	if err := icon.WriteICNS(&picture); err != nil {
		return err
	}

	t := tree.New(filepath.Join(o.output, "Contents"))
	t.Write("Info.plist", info)
	t.Write("PkgInfo", []byte("APPL????"))
	t.Copy("MacOS/skerry", o.program, 0o755)
	t.Copy("Resources/"+kernel, o.kernel, 0o644)
	t.Copy("Resources/init.ext4", o.init, 0o644)
	for _, emulator := range emulators {
		t.Copy("Resources/translators/"+filepath.Base(emulator), emulator, 0o755)
	}
	t.Write("Resources/Skerry.icns", picture.Bytes())
	t.Link("Resources/bin/skerry", "../../MacOS/skerry")
	t.Completions(o.runnable, map[string]string{
		"bash": "Resources/completions/skerry.bash", "zsh": "Resources/completions/_skerry", "fish": "Resources/completions/skerry.fish"})
	if err := licences.QEMU(t, "Resources/licences", emulators); err != nil {
		return err
	}
	return licences.LayOut(t, "Resources/licences", o.kernel, modules)
}

// numbers are those at the beginning of what git describe tells.
var numbers = regexp.MustCompile(`^v?([0-9]+\.[0-9]+\.[0-9]+)([-+].*)?$`)

// stampedInfo is Info.plist with the version in it. macOS wants three numbers;
// the whole name has a key of its own.
func stampedInfo(version string) ([]byte, error) {
	text, err := os.ReadFile("Info.plist")
	if err != nil {
		return nil, err
	}
	info := map[string]any{}
	if _, err := plist.Unmarshal(text, &info); err != nil {
		return nil, fmt.Errorf("read Info.plist: %w", err)
	}
	short := "0.0.0"
	if found := numbers.FindStringSubmatch(version); found != nil {
		short = found[1]
	}
	info["CFBundleShortVersionString"], info["CFBundleVersion"], info["SkerryVersion"] = short, short, version
	return plist.MarshalIndent(info, plist.XMLFormat, "\t")
}
