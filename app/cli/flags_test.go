package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/api/types/container"
)

// compact is what a request says, without the fields that say nothing.
func compact(t *testing.T, body string) string {
	t.Helper()
	var r container.CreateRequest
	if err := json.Unmarshal([]byte(body), &r); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	var fields map[string]any
	if err := json.Unmarshal([]byte(body), &fields); err != nil {
		t.Fatal(err)
	}
	var prune func(m map[string]any)
	prune = func(m map[string]any) {
		for name, value := range m {
			switch v := value.(type) {
			case map[string]any:
				if prune(v); len(v) == 0 && name != "80/tcp" && name != "/d" {
					delete(m, name)
				}
			case []any:
				if len(v) == 0 || name == "ConsoleSize" {
					delete(m, name)
				}
			case nil:
				delete(m, name)
			default:
				if v == "" || v == 0.0 || v == false {
					delete(m, name)
				}
			}
		}
	}
	prune(fields)
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(fields); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out.String())
}

func TestCreateRequest(t *testing.T) {
	t.Setenv("FROM_SHELL", "shell's")
	os.Unsetenv("NOT_SET")
	envFile := filepath.Join(t.TempDir(), "env")
	if err := os.WriteFile(envFile, []byte("\ufeff# comment\nA=file\nQUOTED=\"as it is\"\nFROM_SHELL\r\nNOT_SET\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	profile := filepath.Join(t.TempDir(), "profile.json")
	if err := os.WriteFile(profile, []byte("{\n\t\"a\": 1\n}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ args, want string }{
		{"alpine", `{"AttachStderr":true,"AttachStdout":true,"Image":"alpine"}`},
		{"alpine ls -l --name x", `{"AttachStderr":true,"AttachStdout":true,"Cmd":["ls","-l","--name","x"],"Image":"alpine"}`},
		{"-it alpine", `{"AttachStderr":true,"AttachStdin":true,"AttachStdout":true,"Image":"alpine","OpenStdin":true,"StdinOnce":true,"Tty":true}`},
		{"-e A=1 -e FROM_SHELL -e NOT_SET --env-file " + envFile + " x",
			`{"AttachStderr":true,"AttachStdout":true,"Env":["A=file","QUOTED=\"as it is\"","FROM_SHELL=shell's","A=1","FROM_SHELL=shell's"],"Image":"x"}`},
		{"-w /w -u 1:2 --hostname h --entrypoint /e -l a=b -l c --stop-signal INT --stop-timeout 3 x",
			`{"AttachStderr":true,"AttachStdout":true,"Entrypoint":["/e"],"Hostname":"h","Image":"x","Labels":{"a":"b"},"StopSignal":"INT","StopTimeout":3,"User":"1:2","WorkingDir":"/w"}`},
		{"--restart on-failure:3 x", `{"AttachStderr":true,"AttachStdout":true,"HostConfig":{"RestartPolicy":{"MaximumRetryCount":3,"Name":"on-failure"}},"Image":"x"}`},
		{"--rm --cpus 1.5 -m 1g --privileged --read-only --add-host a:1.2.3.4 --network n x",
			`{"AttachStderr":true,"AttachStdout":true,"HostConfig":{"AutoRemove":true,"ExtraHosts":["a:1.2.3.4"],"Memory":1073741824,"NanoCpus":1500000000,"NetworkMode":"n","Privileged":true,"ReadonlyRootfs":true},"Image":"x"}`},
		{"--cap-add NET_ADMIN --cap-drop ALL --group-add 7 --init --domainname d --oom-score-adj 5 --pids-limit -1 x",
			`{"AttachStderr":true,"AttachStdout":true,"Domainname":"d","HostConfig":{"CapAdd":["CAP_NET_ADMIN"],"CapDrop":["ALL"],"GroupAdd":["7"],"Init":true,"OomScoreAdj":5,"PidsLimit":-1},"Image":"x"}`},
		{"--ulimit nofile=1:2 --ulimit core=-1 --sysctl a.b=c --tmpfs /t --tmpfs /u:size=1m,exec --shm-size 1m x",
			`{"AttachStderr":true,"AttachStdout":true,"HostConfig":{"ShmSize":1048576,"Sysctls":{"a.b":"c"},"Tmpfs":{"/u":"size=1m,exec"},"Ulimits":[{"Hard":2,"Name":"nofile","Soft":1},{"Hard":-1,"Name":"core","Soft":-1}]},"Image":"x"}`},
		{"--device /dev/fuse --device /dev/a:/dev/b:r --device /dev/rw:w --device-cgroup-rule c --dns 1.1.1.1 --dns-search s --dns-opt o x",
			`{"AttachStderr":true,"AttachStdout":true,"HostConfig":{"DeviceCgroupRules":["c"],"Devices":[{"CgroupPermissions":"rwm","PathInContainer":"/dev/fuse","PathOnHost":"/dev/fuse"},{"CgroupPermissions":"r","PathInContainer":"/dev/b","PathOnHost":"/dev/a"},{"CgroupPermissions":"w","PathInContainer":"/dev/rw","PathOnHost":"/dev/rw"}],"Dns":["1.1.1.1"],"DnsOptions":["o"],"DnsSearch":["s"]},"Image":"x"}`},
		{"--device disk:/dev/d:r x",
			`{"AttachStderr":true,"AttachStdout":true,"HostConfig":{"Devices":[{"CgroupPermissions":"r","PathInContainer":"/dev/d","PathOnHost":"disk"}]},"Image":"x"}`},
		{"-c 512 --cpu-quota 5 --cpu-period 7 --cpuset-cpus 0 --cpuset-mems 0 --memory-swap -1 --memory-reservation 4k --device-read-bps /dev/vdc:1mb --device-write-iops /dev/vdc:9 x",
			`{"AttachStderr":true,"AttachStdout":true,"HostConfig":{"BlkioDeviceReadBps":[{"Path":"/dev/vdc","Rate":1048576}],"BlkioDeviceWriteIOps":[{"Path":"/dev/vdc","Rate":9}],"CpuPeriod":7,"CpuQuota":5,"CpuShares":512,"CpusetCpus":"0","CpusetMems":"0","MemoryReservation":4096,"MemorySwap":-1},"Image":"x"}`},
		{"--security-opt no-new-privileges --security-opt seccomp=unconfined --security-opt seccomp=" + profile + " x",
			`{"AttachStderr":true,"AttachStdout":true,"HostConfig":{"SecurityOpt":["no-new-privileges","seccomp=unconfined","seccomp={\"a\":1}"]},"Image":"x"}`},
		{"-v /a:/b:ro -v named:/c -v /d --mount type=bind,src=/e,dst=/f,readonly x",
			`{"AttachStderr":true,"AttachStdout":true,"HostConfig":{"Binds":["/a:/b:ro","named:/c"],"Mounts":[{"ReadOnly":true,"Source":"/e","Target":"/f","Type":"bind"}]},"Image":"x","Volumes":{"/d":{}}}`},
		{"--mount dst=/t,type=tmpfs,tmpfs-size=64m,tmpfs-mode=1770 --mount target=/v,volume-nocopy,volume-label=a=b x",
			`{"AttachStderr":true,"AttachStdout":true,"HostConfig":{"Mounts":[{"Target":"/t","TmpfsOptions":{"Mode":1016,"SizeBytes":67108864},"Type":"tmpfs"},{"Target":"/v","Type":"volume","VolumeOptions":{"Labels":{"a":"b"},"NoCopy":true}}]},"Image":"x"}`},
		{"-p 8080:80 x", `{"AttachStderr":true,"AttachStdout":true,"ExposedPorts":{"80/tcp":{}},"HostConfig":{"PortBindings":{"80/tcp":[{"HostIp":"","HostPort":"8080"}]}},"Image":"x"}`},
		{"-p 127.0.0.1:8080:80 -p [::1]:8081:80 -p 80 x",
			`{"AttachStderr":true,"AttachStdout":true,"ExposedPorts":{"80/tcp":{}},"HostConfig":{"PortBindings":{"80/tcp":[{"HostIp":"127.0.0.1","HostPort":"8080"},{"HostIp":"::1","HostPort":"8081"},{"HostIp":"","HostPort":""}]}},"Image":"x"}`},
	} {
		a := newApp(t)
		a.on("POST /containers/create", 201, `{"Id":"c1"}`)
		got := skerry(t, "", append([]string{"create"}, strings.Fields(test.args)...)...)
		if got.status != 0 || got.out != "c1\n" {
			t.Errorf("%s: %+v", test.args, got)
		}
		if diff := cmp.Diff(test.want, compact(t, a.body("POST /containers/create"))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.args, diff)
		}
	}
}

// TestStopTimeoutZero: no time at all is not the same as nothing said.
func TestStopTimeoutZero(t *testing.T) {
	a := newApp(t)
	a.on("POST /containers/create", 201, `{"Id":"c1"}`)
	skerry(t, "", "create", "--stop-timeout", "0", "--entrypoint", "", "x").want(t, 0, "c1\n", "")
	if body := a.body("POST /containers/create"); !strings.Contains(body, `"StopTimeout":0`) || !strings.Contains(body, `"Entrypoint":[""]`) {
		t.Error(body)
	}
}

func TestUsageErrors(t *testing.T) {
	a := newApp(t)
	for line, want := range map[string]string{
		"bogus":                                 `unknown command "bogus"`,
		"rnu":                                   `unknown command "rnu"; did you mean "run"?`,
		"volume bogus":                          `unknown command "bogus"`,
		"volume prune":                          `say --force`,
		"cp a b":                                `one of the two must be CONTAINER:PATH`,
		"cp a:/x b:/y":                          `one of the two must be CONTAINER:PATH`,
		"run":                                   `requires at least 1 arg(s)`,
		"run --bogus x":                         `unknown flag: --bogus`,
		"run -v : x":                            `--volume must be [source:]target[:options], not ":"`,
		"run --mount type=bind,dst=/x x":        `a bind mount needs a source`,
		"run --mount source=v x":                `it has no target`,
		"run --mount dst=/x,ro=perhaps x":       `ro must be true or false`,
		"run --mount dst=/x,size=1 x":           `"size" is nothing that a mount has`,
		"run --mount dst=/x,tmpfs-size=1m x":    `a volume mount has no options of a tmpfs`,
		"run -P x":                              `publishing all ports is not supported yet`,
		"run --restart sometimes x":             `--restart must be no, always, unless-stopped or on-failure[:retries], not "sometimes"`,
		"run --restart on-failure:x y":          `--restart on-failure:x: "x" is no number of retries`,
		"run --pull often x":                    `--pull must be "always", "missing" or "never", not "often"`,
		"run -m lots x":                         `--memory must be a size such as 512m or 2g, not "lots"`,
		"run --cpus -1 x":                       `--cpus must be a number above 0 such as 2 or 0.5, not "-1"`,
		"run -p x x":                            `--publish x: invalid containerPort: x`,
		"run -p 1-2:3-5 x":                      `--publish 1-2:3-5: invalid ranges`,
		"run --platform arm x":                  `--platform must be like linux/amd64`,
		"run -e =x x":                           `environment variable "=x" has no name`,
		"run --env-file /nope x":                `read the environment file: open /nope`,
		"run --detach-keys ctrl-pp x":           `"ctrl-pp" is neither a character nor`,
		"exec web":                              `requires at least 2 arg(s)`,
		"ps x":                                  `unknown command "x"`,
		"ps --format {{":                        `--format: template`,
		"ps -f status":                          `--filter must be key=value, not "status"`,
		"inspect --type network x":              `--type must be "container" or "image"`,
		"doctor --format yaml":                  `--format must be "table" or "json"`,
		"stop -t soon x":                        `invalid argument "soon"`,
		"pull UPPER/CASE:":                      `is no image name`,
		"attach --detach-keys ,, x":             `"" is neither`,
		"run --ulimit nofile x":                 `--ulimit must be name=soft`,
		"run --sysctl a x":                      `--sysctl must be name=value`,
		"run --device fuse x":                   `--device must be path`,
		"run --device a/b:/dev/c x":             `--device must be path`,
		"run --device volume:dev/c x":           `volume:path in the container`,
		"run --dns one x":                       `--dns must be an address`,
		"run --shm-size big x":                  `--shm-size must be a size such as 64m, not "big"`,
		"run --security-opt seccomp=/no/such x": `read the seccomp profile: open /no/such`,
		"run --device-read-bps /dev/vdc x":      `--device-read-bps must be /dev/path:rate`,
	} {
		got := skerry(t, "", strings.Fields(line)...)
		if got.status != exitUsage || got.out != "" || !strings.Contains(got.err, want) || !strings.Contains(got.err, "usage: skerry") {
			t.Errorf("%s: %+v", line, got)
		}
	}
	if asked := a.asked(); len(asked) > 0 {
		t.Errorf("asked %q", asked)
	}
}

func TestHelp(t *testing.T) {
	newApp(t)
	for _, args := range [][]string{nil, {"--help"}, {"help"}, {"run", "--help"}, {"app", "--help"}, {"completion", "bash"}} {
		if got := skerry(t, "", args...); got.status != 0 || got.out == "" || got.err != "" {
			t.Errorf("%q: %+v", args, got)
		}
	}
	skerry(t, "", "--version").want(t, 0, "skerry 1.2.3\n", "")
	if got := skerry(t, "", "run", "--help"); strings.Contains(got.out, "--gpus") {
		t.Error("help shows what is not there")
	}
}

func TestParseKeys(t *testing.T) {
	for text, want := range map[string][]byte{
		defaultDetachKeys: {16, 17}, "a": {'a'}, "ctrl-@,ctrl-[,ctrl-_": {0, 27, 31}, "ctrl-A": {1},
	} {
		if got, err := parseKeys(text); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "ctrl-", "ctrl-1", "ab", "a,,b"} {
		if got, err := parseKeys(text); err == nil {
			t.Errorf("%q: %v", text, got)
		}
	}
}
