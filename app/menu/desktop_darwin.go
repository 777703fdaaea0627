package menu

// FindDesktop has nothing to look for: there is always a menu bar.
func FindDesktop() error { return nil }
