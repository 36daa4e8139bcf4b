package connfsm

import (
	"github.com/callboard-rpc/callboard/codec/frame"
	"github.com/callboard-rpc/callboard/internal/flow"
)

// GlitchCause is one of the things that are harmless in themselves and that
// floods are made of.
type GlitchCause uint8

// Causes of glitches.
const (
	GlitchGotReset     GlitchCause = iota // RST_STREAM received
	GlitchSentReset                       // RST_STREAM we had to send, or a request answered without a handler
	GlitchPing                            // PING that no data of ours explains, or an unknown acknowledgement
	GlitchSettings                        // SETTINGS after the first, or an acknowledgement too many
	GlitchPriority                        // PRIORITY
	GlitchEmpty                           // empty DATA, empty or tiny CONTINUATION
	GlitchWindowUpdate                    // WINDOW_UPDATE beyond two per DATA frame of ours
	GlitchUnknown                         // a frame of unknown type
	GlitchGoAway                          // GOAWAY
	GlitchRefused                         // a stream beyond the limit we announced
	glitchCauses
)

var glitchNames = [glitchCauses]string{
	"RST_STREAM received", "RST_STREAM sent", "PING", "SETTINGS", "PRIORITY", "empty frame",
	"WINDOW_UPDATE", "unknown frame", "GOAWAY", "refused stream",
}

func (g GlitchCause) String() string { return glitchNames[g] }

// glitches counts, and runs out.
type glitches struct {
	bucket flow.Bucket
	off    bool
	counts *[glitchCauses]uint64 // nil: none
}

func newGlitches(cfg *Config) glitches {
	if cfg.GlitchBurst < 0 {
		return glitches{off: true}
	}
	return glitches{bucket: flow.NewBucket(cfg.GlitchBurst, max(cfg.GlitchRate, 0))}
}

// glitch counts one. Too many of them in a short time end the connection.
func (m *Machine) glitch(c GlitchCause) *frame.ConnError {
	if m.glitches.counts == nil {
		m.glitches.counts = new([glitchCauses]uint64)
	}
	m.glitches.counts[c]++
	if m.glitches.off || m.glitches.bucket.Take(m.now, 1) {
		return nil
	}
	return &frame.ConnError{Code: frame.EnhanceYourCalm, Blame: frame.Remote, Reason: "flood, lastly of " + c.String()}
}

// weReset counts a reset that a stream of ours was driven to.
func (m *Machine) weReset() *frame.ConnError {
	if m.state.over() {
		return nil
	}
	return m.glitch(GlitchSentReset)
}
