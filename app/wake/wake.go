// Package wake notices that the computer has slept: the clocks of machines stand
// still meanwhile.
package wake

import (
	"context"
	"log/slog"
)

// Watch calls woken each time the computer has woken, until ctx ends. Where that
// cannot be noticed it returns at once.
func Watch(ctx context.Context, woken func(), log *slog.Logger) { watch(ctx, woken, log) }
