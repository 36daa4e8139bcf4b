package frame

// Drop tells loopy that a stream is over without a word of ours (the peer has
// reset it): what it has queued is dropped and nothing is written in answer
// (RFC 9113 5.4.2).
type Drop struct {
	StreamID StreamID
	Slot     SlotIndex
}
