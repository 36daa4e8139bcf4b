package connfsm

import (
	"time"

	"github.com/callboard-rpc/callboard/codec/frame"
	"github.com/callboard-rpc/callboard/internal/flow"
)

// Config describes one connection. A zero field takes the default named beside
// it; where a negative value is mentioned, it switches the rule off.
type Config struct {
	Role Role

	// What we announce (RFC 9113 6.5.2).
	InitialWindow        uint32 // of each stream, octets; 65,535
	MaxFrameSize         uint32 // octets; 16,384
	HeaderTableSize      uint32 // octets; 4,096
	MaxHeaderListSize    uint32 // octets; 16 KiB
	MaxConcurrentStreams uint32 // servers; 1000

	// Leaving, if set, says how many live streams have had their last frame
	// written, or are having it written now: the peer may know of their end
	// before their Done comes, and is free to begin others in their place.
	Leaving interface{ Leaving() int }

	// The connection's receive window: it doubles from ConnWindow to
	// MaxConnWindow each time a whole window was read, while Budget has room
	// for the larger one.
	ConnWindow    int          // octets; 1 MiB, and 65,535 at least
	MaxConnWindow int          // octets; 16 MiB, and ConnWindow at least
	Budget        *flow.Budget // for received octets; may be nil: room for everything

	// Growth is what the windows of streams may be larger than InitialWindow by,
	// together.
	Growth *flow.Budget // may be nil: streams grow unasked

	HandshakeTimeout time.Duration // Start to the peer's first SETTINGS; 10 s, negative: none
	SettingsTimeout  time.Duration // our SETTINGS to their acknowledgement; 10 s, negative: none
	DrainTimeout     time.Duration // a server's first GOAWAY to its second if the PING stays unanswered; 5 s

	Keepalive   Keepalive
	Enforcement Enforcement // servers

	// Limits on a connection's life. The caller has applied jitter. Zero: none.
	MaxIdle  time.Duration // without a stream
	MaxAge   time.Duration // since Start
	AgeGrace time.Duration // for streams in flight after MaxAge

	// The flood budget: a burst of glitches at once, then a steady rate.
	GlitchBurst int // 1000; negative: unlimited
	GlitchRate  int // per second; 100

	// LastID is the stream id at which a client connection drains in favour of a
	// new one; three quarters of the id space.
	LastID frame.StreamID
}

// Keepalive says when a silent peer is asked for a sign of life (gRFC A8, A9).
type Keepalive struct {
	Time                time.Duration // silence before a PING; clients: zero for never, servers: 2 h, negative for never
	Timeout             time.Duration // silence after it; 20 s
	PermitWithoutStream bool          // clients: also while there is no stream; servers always do
}

// Enforcement is what a server lets clients do with PING (gRFC A8). A PING that
// follows DATA or HEADERS of ours is always allowed.
type Enforcement struct {
	MinTime             time.Duration // between PINGs; 5 min, negative: no enforcement
	PermitWithoutStream bool          // apply MinTime also while there is no stream; otherwise 2 h
}

const (
	defaultWindow          = 1 << 20
	defaultMaxWindow       = 16 << 20
	defaultStreams         = 1000
	defaultHeaderList      = 16 << 10
	defaultHandshake       = 10 * time.Second
	defaultSettingsTimeout = 10 * time.Second
	defaultDrainTimeout    = 5 * time.Second
	defaultPingTime        = 2 * time.Hour // servers' keepalive, and clients' pause while they have no stream
	defaultPingTimeout     = 20 * time.Second
	defaultMinPingTime     = 5 * time.Minute
	defaultGlitchBurst     = 1000
	defaultGlitchRate      = 100
	defaultLastID          = frame.MaxStreamID / 4 * 3

	errorLinger = 100 * time.Millisecond // for GOAWAY to leave before the socket closes
	drainLinger = time.Second
)

func (c *Config) fill() {
	orDefault(&c.InitialWindow, frame.DefaultWindow)
	orDefault(&c.MaxFrameSize, frame.MinMaxFrameSize)
	orDefault(&c.HeaderTableSize, frame.DefaultTableSize)
	orDefault(&c.MaxHeaderListSize, defaultHeaderList)
	orDefault(&c.MaxConcurrentStreams, defaultStreams)
	orDefault(&c.ConnWindow, defaultWindow)
	orDefault(&c.MaxConnWindow, defaultMaxWindow)
	c.ConnWindow = min(max(c.ConnWindow, frame.DefaultWindow), frame.MaxWindow)
	c.MaxConnWindow = min(max(c.MaxConnWindow, c.ConnWindow), frame.MaxWindow)
	orDefault(&c.HandshakeTimeout, defaultHandshake)
	orDefault(&c.SettingsTimeout, defaultSettingsTimeout)
	orDefault(&c.DrainTimeout, defaultDrainTimeout)
	if c.Role == Server {
		orDefault(&c.Keepalive.Time, defaultPingTime)
		c.Keepalive.PermitWithoutStream = true
	}
	orDefault(&c.Keepalive.Timeout, defaultPingTimeout)
	orDefault(&c.Enforcement.MinTime, defaultMinPingTime)
	orDefault(&c.GlitchBurst, defaultGlitchBurst)
	orDefault(&c.GlitchRate, defaultGlitchRate)
	orDefault(&c.LastID, defaultLastID)
	c.LastID = min(c.LastID, frame.MaxStreamID)
}

func orDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
