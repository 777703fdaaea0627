package wake

import (
	"context"
	"log/slog"
)

// watch does not notice: the engine compares the clocks every half a minute, and
// Virtualization.framework lets machines sleep with the computer.
func watch(context.Context, func(), *slog.Logger) {}
