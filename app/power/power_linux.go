package power

import (
	"context"
	"log/slog"

	"github.com/godbus/dbus/v5"
)

// watch follows systemd-logind (org.freedesktop.login1(5)), which says true before
// the computer sleeps and false after it has woken.
func watch(ctx context.Context, h Handler, log *slog.Logger) {
	bus, err := dbus.ConnectSystemBus(dbus.WithContext(ctx))
	if err != nil {
		log.Debug("waking from sleep is not noticed at once", "error", err)
		return
	}
	defer bus.Close()
	err = bus.AddMatchSignal(dbus.WithMatchInterface("org.freedesktop.login1.Manager"), dbus.WithMatchMember("PrepareForSleep"))
	if err != nil {
		log.Debug("waking from sleep is not noticed at once", "error", err)
		return
	}
	signals := make(chan *dbus.Signal, 4)
	bus.Signal(signals)
	for {
		select {
		case <-ctx.Done():
			return
		case s, ok := <-signals:
			if !ok {
				return
			}
			if len(s.Body) == 1 && s.Body[0] == false {
				log.Info("the computer has woken")
				h.Wake()
			}
		}
	}
}
