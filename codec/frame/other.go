package frame

// Priority is deprecated advice (RFC 9113 6.3): checked, counted, otherwise
// ignored.
type Priority struct {
	StreamID  StreamID
	DependsOn StreamID
}

func (*Priority) frame() {}

// PushPromise is refused: gRPC has no server push (RFC 9113 6.6).
type PushPromise struct{ StreamID StreamID }

func (*PushPromise) frame() {}

// Unknown is a frame of a type we do not know (RFC 9113 5.5): counted,
// otherwise ignored.
type Unknown struct {
	StreamID StreamID
	Type     uint8
}

func (*Unknown) frame() {}

// Glitch reports something harmless in itself that a flood is made of: an
// empty or tiny CONTINUATION, an empty DATA.
type Glitch struct {
	StreamID StreamID
	What     string
}

func (*Glitch) frame() {}

// Malformed reports a frame whose defect concerns one stream only (a
// WINDOW_UPDATE of 0, a PRIORITY of the wrong length): the stream is reset, the
// connection lives.
type Malformed struct{ Err *StreamError }

func (*Malformed) frame() {}
