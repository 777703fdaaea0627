#!/usr/bin/env bash
# Shows the app in a real panel, with a project running, and takes pictures of its menu: shoot.sh SKERRY DIRECTORY.
# Everything is private: the X server, the bus, the home and the app's state.
set -euo pipefail
skerry=$(realpath "$1")
out=$(realpath "$2")
here=$(realpath "$(dirname "$0")")

if [ -z "${IN_SESSION:-}" ]; then # the bus starts xfconfd, which must find this home
	home=$(mktemp -d)
	trap 'rm -rf "$home"' EXIT
	mkdir -p "$home/.config/xfce4/xfconf/xfce-perchannel-xml" "$home/run"
	chmod 700 "$home/run"
	cp "$here/panel.xml" "$home/.config/xfce4/xfconf/xfce-perchannel-xml/xfce4-panel.xml"
	IN_SESSION=1 SKERRY_HOME=$home/skerry XDG_CONFIG_HOME=$home/.config XDG_RUNTIME_DIR=$home/run \
		NO_AT_BRIDGE=1 GTK_THEME=Adwaita dbus-run-session -- "$0" "$skerry" "$out"
	exit
fi

trap 'kill $(jobs -p) 2>/dev/null; wait' EXIT
Xvfb -displayfd 3 -screen 0 760x420x24 -nolisten tcp -noreset 3>"$XDG_RUNTIME_DIR/display" 2>/dev/null &
for _ in $(seq 300); do
	[ ! -s "$XDG_RUNTIME_DIR/display" ] || break
	sleep 0.1
done
DISPLAY=:$(cat "$XDG_RUNTIME_DIR/display")
export DISPLAY
xsetroot -solid '#406080'
xfce4-panel --disable-wm-check >/dev/null 2>&1 &
owner=(dbus-send --session --print-reply --dest=org.freedesktop.DBus / org.freedesktop.DBus.NameHasOwner string:org.kde.StatusNotifierWatcher)
for _ in $(seq 300); do
	"${owner[@]}" 2>/dev/null | grep -q 'boolean true' && break
	sleep 0.1
done
"$skerry" app >"$SKERRY_HOME.log" 2>&1 &
app=$!
(cd "$here/../.." && go run ./tests/demo -skerry "$skerry" app/examples/hello/skerry.toml >&2)

shot() {
	sleep 1.5 # for the menu's own changes, and the panel's
	import -window root "$out/$1.png"
}
click() { xdotool mousemove 16 16 sleep 0.3 click 1; }
shot panel
click
shot menu
xdotool key Down sleep 0.3 key Right
shot project
xdotool key Down Down Down sleep 0.3 key Right
shot container
xdotool key Escape Escape Escape
"$skerry" app quit
wait $app
