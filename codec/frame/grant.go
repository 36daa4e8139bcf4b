package frame

// Grant is a WINDOW_UPDATE of the peer on its way to loopy, which owns the
// send windows: the same value under a name that tells it from a
// WINDOW_UPDATE to be written.
type Grant WindowUpdate

// Free gives g back.
func (g *Grant) Free() { (*WindowUpdate)(g).Free() }
