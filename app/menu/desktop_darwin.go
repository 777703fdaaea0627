package menu

// findDesktop has nothing to look for: there is always a menu bar.
func findDesktop() error { return nil }
