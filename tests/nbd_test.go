package tests

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/volume"

	"github.com/skerry-app/skerry/engine/nbd/nbdtest"
	"github.com/skerry-app/skerry/ext4"
	"github.com/skerry-app/skerry/ext4/reader"
)

// ext4Image makes an image with an empty ext4 file system.
func ext4Image(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "image")
	f, err := os.Create(path)
	must(t, err)
	_, err = ext4.Create(f, ext4.Options{Size: 64 << 20, Journal: 4 << 20}, ext4.NewDir(0o755))
	must(t, err)
	must(t, f.Close())
	return path
}

// wantInImage looks into a file system that no machine has mounted any more.
func wantInImage(t *testing.T, image, name, want string) {
	t.Helper()
	f, err := os.Open(image)
	must(t, err)
	defer f.Close()
	st, err := f.Stat()
	must(t, err)
	files, err := reader.New(f, st.Size())
	must(t, err)
	if got, err := fs.ReadFile(files, name); err != nil || string(got) != want {
		t.Errorf("%s has %q (%v), want %q", name, got, err, want)
	}
}

// nbdVolume makes a volume of what a server serves, until the end of the test.
func (a *app) nbdVolume(t *testing.T, name, url string) {
	t.Helper()
	a.ok("skerry", "volume", "create", "-d", "nbd", "-o", "url="+url, name)
	t.Cleanup(func() { a.ok("skerry", "volume", "rm", name) })
}

// TestNBD has a container for each of what a volume of the driver nbd can do.
// Numbers are those of Apple's scenarios.
func TestNBD(t *testing.T) {
	a := shared(t)
	image := ext4Image(t)
	server := nbdtest.Serve(t, image)
	a.nbdVolume(t, "nbd-data", server.URL)
	t.Run("a mount 142", func(t *testing.T) {
		a := a.with(t)
		out := a.ok("skerry", "run", "--rm", "-v", "nbd-data:/data", testImage, "sh", "-c", "echo hello > /data/file; cat /data/file; grep ' /data ' /proc/mounts")
		if !strings.HasPrefix(out, "hello\n/dev/vd") || !strings.Contains(out, " ext4 rw,") {
			t.Errorf("%q", out)
		}
		wantInImage(t, image, "file", "hello\n")
	})
	t.Run("read-only 143", func(t *testing.T) {
		a := a.with(t)
		if out := a.ok("docker", "run", "--rm", "-v", "nbd-data:/data:ro", testImage, "cat", "/data/file"); out != "hello\n" {
			t.Errorf("%q", out)
		}
		a.fails(1, "Read-only file system", "docker", "run", "--rm", "-v", "nbd-data:/data:ro", testImage, "sh", "-c", "echo more > /data/file")
		wantInImage(t, image, "file", "hello\n")
	})
	t.Run("raw 144", func(t *testing.T) {
		a := a.with(t)
		image := filepath.Join(t.TempDir(), "raw")
		write(t, image, "")
		must(t, os.Truncate(image, 1<<20))
		a.nbdVolume(t, "nbd-raw", nbdtest.Serve(t, image).URL)
		out := a.ok("docker", "run", "--rm", "--device", "nbd-raw:/dev/my-disk", testImage, "sh", "-ec",
			"test -b /dev/my-disk; printf raw-block-works | dd of=/dev/my-disk conv=notrunc 2>/dev/null; dd if=/dev/my-disk bs=15 count=1 2>/dev/null")
		if out != "raw-block-works" {
			t.Errorf("%q", out)
		}
		if data, err := os.ReadFile(image); err != nil || !strings.HasPrefix(string(data), "raw-block-works\x00") || len(data) != 1<<20 {
			t.Errorf("the image has %.20q, %v", data, err)
		}
		a.fails(1, "Operation not permitted", "skerry", "run", "--rm", "--device", "nbd-raw:/dev/my-disk:r", testImage, "sh", "-c", "echo x > /dev/my-disk")
		a.ok("skerry", "create", "--name", "nbd-raw", "--device", "nbd-raw:/dev/my-disk:r", testImage, "true")
		defer a.ok("skerry", "rm", "nbd-raw")
		if out := a.ok("docker", "inspect", "-f", "{{json .HostConfig.Devices}}", "nbd-raw"); out != `[{"PathOnHost":"nbd-raw","PathInContainer":"/dev/my-disk","CgroupPermissions":"r"}]`+"\n" {
			t.Errorf("%q", out)
		}
		a.fails(1, "volume is in use", "skerry", "volume", "rm", "nbd-raw")
		a.fails(1, "there is no volume nbd-none", "docker", "create", "--device", "nbd-none:/dev/x", testImage, "true")
	})
	t.Run("which is which 145", func(t *testing.T) {
		a := a.with(t)
		args, script := []string{"run", "--rm"}, "set -e"
		var images []string
		for i := range 5 {
			images = append(images, ext4Image(t))
			name := fmt.Sprintf("nbd-%d", i)
			a.nbdVolume(t, name, nbdtest.Serve(t, images[i]).URL)
			args = append(args, "-v", fmt.Sprintf("%s:/mnt%d", name, i))
			script += fmt.Sprintf("; echo container-id-%d > /mnt%d/id.txt", i, i)
		}
		a.ok("skerry", append(args, testImage, "sh", "-c", script)...)
		for i, image := range images {
			wantInImage(t, image, "id.txt", fmt.Sprintf("container-id-%d\n", i))
		}
		if out := a.ok("skerry", append(args, testImage, "sh", "-c", "cat /mnt*/id.txt")...); out != "container-id-0\ncontainer-id-1\ncontainer-id-2\ncontainer-id-3\ncontainer-id-4\n" {
			t.Errorf("%q", out)
		}
	})
	t.Run("over TCP, by two who read", func(t *testing.T) {
		a := a.with(t)
		image := ext4Image(t)
		a.nbdVolume(t, "nbd-tcp", nbdtest.ServeTCP(t, image).URL)
		a.ok("skerry", "run", "--rm", "-v", "nbd-tcp:/data", testImage, "sh", "-c", "echo content > /data/file")
		a.ok("skerry", "run", "-d", "--name", "nbd-reader", "-v", "nbd-tcp:/data:ro", testImage, "sleep", "1000")
		defer a.ok("skerry", "rm", "-f", "nbd-reader")
		if out := a.ok("skerry", "run", "--rm", "-v", "nbd-tcp:/data:ro", testImage, "cat", "/data/file"); out != "content\n" {
			t.Errorf("%q", out)
		}
		a.fails(125, "volume nbd-tcp is in use by 1 containers that read it", "skerry", "run", "--rm", "-v", "nbd-tcp:/data", testImage, "true")
		if out := a.ok("docker", "inspect", "-f", "{{range .Mounts}}{{.Name}} {{.Driver}}{{end}}", "nbd-reader"); out != "nbd-tcp nbd\n" {
			t.Errorf("%q", out)
		}
	})
}

// TestNBDVolumes looks at the volumes themselves.
func TestNBDVolumes(t *testing.T) {
	a := shared(t)
	const url = "nbd://127.0.0.1:1/disk"
	a.fails(1, "needs the option url=", "docker", "volume", "create", "-d", "nbd", "nbd-bad")
	a.fails(1, "it belongs to the driver nbd", "docker", "volume", "create", "-o", "url="+url, "nbd-bad")
	a.fails(1, "its server's to say", "docker", "volume", "create", "-d", "nbd", "-o", "url="+url, "-o", "size=1g", "nbd-bad")
	a.fails(1, `has the scheme "http"`, "docker", "volume", "create", "-d", "nbd", "-o", "url=http://host/x", "nbd-bad")
	r := a.do(nil, "docker", "volume", "create", "-d", "nbd", "-o", "url=nbd://me:secret@host/x", "nbd-bad")
	if r.code != 1 || strings.Contains(r.stderr, "secret") {
		t.Errorf("a password: %d, %q", r.code, r.stderr)
	}
	a.ok("docker", "volume", "create", "-d", "nbd", "-o", "url="+url, "--label", "mine", "nbd-made")
	a.ok("docker", "volume", "create", "-d", "nbd", "-o", "url="+url, "nbd-made")
	a.fails(1, "volume nbd-made is there already and is the network block device "+url, "docker", "volume", "create", "-d", "nbd", "-o", "url=nbd://other/", "nbd-made")
	a.fails(1, "is the network block device", "skerry", "volume", "create", "nbd-made")
	var inspected []volume.Volume
	must(t, json.Unmarshal([]byte(a.ok("docker", "volume", "inspect", "nbd-made")), &inspected))
	if v := inspected[0]; v.Driver != "nbd" || v.Options["url"] != url || len(v.Options) != 1 || v.Mountpoint != "" {
		t.Errorf("inspect shows %+v", v)
	}
	if out := a.ok("docker", "volume", "ls", "-q", "-f", "driver=nbd"); out != "nbd-made\n" {
		t.Errorf("%q", out)
	}
	fails := func(mount, words string) {
		t.Helper()
		a.ok("skerry", "create", "--name", "nbd-fails", "-v", mount, testImage, "true")
		a.fails(1, words, "skerry", "start", "nbd-fails")
		a.ok("skerry", "rm", "nbd-fails")
	}
	fails("nbd-made:/data", `volume "nbd-made": `+url+": Failed to connect to '127.0.0.1:1': Connection refused")
	a.ok("skerry", "volume", "prune", "--force", "--all", "--filter", "label=mine")
	a.fails(1, "no such volume", "skerry", "volume", "inspect", "nbd-made")

	empty := filepath.Join(t.TempDir(), "empty")
	write(t, empty, "")
	must(t, os.Truncate(empty, 8<<20))
	a.nbdVolume(t, "nbd-empty", nbdtest.Serve(t, empty).URL)
	fails("nbd-empty:/data", `volume "nbd-empty": there is no ext4 file system on it: make one where the disk is kept`)
	fixed := nbdtest.ServeReadOnly(t, ext4Image(t))
	a.nbdVolume(t, "nbd-fixed", fixed.URL)
	fails("nbd-fixed:/data", "gives it out for reading only: use it read-only")
	a.ok("skerry", "run", "--rm", "-v", "nbd-fixed:/data:ro", testImage, "ls", "/data")
	a.nbdVolume(t, "nbd-unknown", strings.Replace(fixed.URL, nbdtest.Export, "unknown", 1))
	fails("nbd-unknown:/data:ro", "export 'unknown' not present")
}

// TestNBDServerDies kills the server under a running container.
func TestNBDServerDies(t *testing.T) {
	a := shared(t)
	image := ext4Image(t)
	server := nbdtest.Serve(t, image)
	a.nbdVolume(t, "nbd-mortal", server.URL)
	for _, name := range []string{"nbd-dies", "nbd-returns"} {
		a.ok("skerry", "run", "-d", "--name", name, "-v", "nbd-mortal:/data", testImage, "sleep", "1000")
		overwrite := "dd if=/dev/zero of=/data/lost bs=64k count=1 conv=notrunc,fsync"
		a.in(name, "echo kept > /data/kept; sync; "+overwrite)
		server.Kill()
		a.fails(1, "Input/output error", "skerry", "exec", name, "sh", "-c", overwrite)
		a.in(name, "echo the container lives")
		if name == "nbd-returns" {
			server.Start(t)
		}
		a.ok("skerry", "stop", "-t", "0", name)
		a.ok("skerry", "rm", name)
		if name == "nbd-dies" {
			server.Start(t)
		}
		// ext4 replays its journal.
		if out := a.ok("skerry", "run", "--rm", "-v", "nbd-mortal:/data", testImage, "cat", "/data/kept"); out != "kept\n" {
			t.Errorf("%q", out)
		}
	}
}

// TestNBDServerHangs has the server answer nothing more: what waits for it goes
// with the container.
func TestNBDServerHangs(t *testing.T) {
	a := shared(t)
	image := ext4Image(t)
	server := nbdtest.ServeTCP(t, image)
	a.nbdVolume(t, "nbd-hangs", server.URL)
	a.ok("skerry", "run", "-d", "--name", "nbd-waits", "-v", "nbd-hangs:/data", testImage, "sleep", "1000")
	a.in("nbd-waits", "echo kept > /data/kept; sync")
	out := filepath.Join(t.TempDir(), "kept")
	server.Hang(t)
	a.ok("skerry", "exec", "-d", "nbd-waits", "sh", "-c", "echo lost > /data/lost; sync")
	a.in("nbd-waits", "echo the container lives")
	a.ok("skerry", "stop", "-t", "0", "nbd-waits")
	server.Kill()
	server.Start(t)
	if out := a.ok("skerry", "run", "--rm", "-v", "nbd-hangs:/data", testImage, "cat", "/data/kept"); out != "kept\n" {
		t.Errorf("%q", out)
	}
	// A stopped container's files are looked at in a machine of their own.
	a.ok("skerry", "cp", "nbd-waits:/data/kept", out)
	wantFile(t, out, "kept\n")
	a.ok("skerry", "rm", "nbd-waits")
}

// TestNBDPod has the containers of a pod share network block devices.
func TestNBDPod(t *testing.T) {
	a := shared(t)
	var images, one, two []string
	for i := range 6 {
		images = append(images, ext4Image(t))
		name := fmt.Sprintf("nbd-pod-%d", i)
		a.nbdVolume(t, name, nbdtest.Serve(t, images[i]).URL)
		if i == 5 {
			break // nobody uses it
		}
		one = append(one, "-v", fmt.Sprintf("%s:/data%d", name, i))
		two = append(two, "-v", fmt.Sprintf("%s:/shared%d", name, i))
	}
	command := []string{testImage, "sleep", "1000"}
	pod(t, a, "n", append(append([]string{"one"}, one...), command...), append(append([]string{"two"}, two...), command...), append([]string{"three"}, command...))
	a.in("n-one", "echo -n shared-content > /data0/file; for i in 0 1 2 3 4; do echo -n identity-$i > /data$i/id; done")
	a.in("n-three", "true")
	for i := range 5 {
		if out := a.in("n-two", fmt.Sprintf("cat /shared%d/id", i)); out != fmt.Sprintf("identity-%d", i) {
			t.Errorf("%q", out)
		}
	}
	if out := a.in("n-two", "cat /shared0/file"); out != "shared-content" {
		t.Errorf("%q", out)
	}
	writers := make(chan result, 2)
	for name, dir := range map[string]string{"one": "/data0", "two": "/shared0"} {
		go func() {
			writers <- a.do(nil, "skerry", "exec", "n-"+name, "sh", "-ec", "for i in $(seq 50); do echo $i >> "+dir+"/by-"+name+"; sync; done")
		}()
	}
	for range 2 {
		if r := <-writers; r.code != 0 {
			t.Errorf("a writer: %d, %q", r.code, r.stderr)
		}
	}
	if out := a.in("n-one", "wc -l < /data0/by-two; wc -l < /data0/by-one"); out != "50\n50\n" {
		t.Errorf("%q", out)
	}
	a.ok("skerry", "stop", "-t", "0", "n-one")
	if out := a.in("n-two", "cat /shared0/file"); out != "shared-content" {
		t.Errorf("after the writer has stopped: %q", out)
	}
	a.ok("skerry", "stop", "-t", "0", "n-two", "n-three")
	wantInImage(t, images[0], "file", "shared-content")
	for i := range 5 {
		wantInImage(t, images[i], "id", fmt.Sprintf("identity-%d", i))
	}
	covers(t, 146, 147, 148, 149, 150, 151)
}
