package callboard

import (
	"math"
	"time"

	"github.com/callboard-rpc/callboard/codec"
	"github.com/callboard-rpc/callboard/codec/frame"
	"github.com/callboard-rpc/callboard/conn"
	"github.com/callboard-rpc/callboard/internal/flow"
)

// Limits are what one connection may make this side do and hold. A field that
// is 0 takes its default, a negative one means no limit. docs/limits.md says
// what follows when a limit is reached.
//
// Limits with an option of their own (MaxConcurrentStreams, MaxHeaderListSize,
// ConnectionTimeout and its like) take that option's value if it is given.
type Limits struct {
	// Of requests and responses.
	MaxConcurrentStreams int // streams of a client, running handlers included; servers. Default 1000
	HeaderListSize       int // octets of a header list, as RFC 9113 6.5.2 counts. Default 16 KiB
	HeaderFields         int // fields of a header list. Default 128
	Continuations        int // CONTINUATION frames of a header block. Default 64
	SettingsEntries      int // entries of a SETTINGS frame. Default 32

	// Of time.
	HandshakeTime time.Duration // from accepting a socket to the client's first SETTINGS, TLS included; servers. Default 10 s
	HeaderTime    time.Duration // from a header block's first octet to its last. Default 10 s
	StreamStall   time.Duration // that a stream has something to send and the peer grants no window. Default 60 s
	WriteStall    time.Duration // that a write to the socket takes, and 5 s more at the most. Default 30 s

	// Of what is harmless once: RST_STREAM, PING, SETTINGS, PRIORITY, empty
	// frames, idle WINDOW_UPDATEs, unknown frames, GOAWAY, refused streams.
	GlitchBurst int // at once. Default 1000
	GlitchRate  int // per second, after that; no limit of its own. Default 100

	// Of memory.
	ReceiveBudget  int64 // octets received and not read yet, beyond the initial windows of streams. Default 16 MiB
	SendBudget     int64 // octets that wait to be sent, in messages that are not small. Default 16 MiB
	Decompressions int   // messages inflated at a time, of all connections. Default GOMAXPROCS, of the process
}

// WithLimits changes limits. f is given those in force, so it sets what it wants
// changed and leaves the others alone.
func WithLimits(f func(*Limits)) interface {
	DialOption
	ServerOption
} {
	return commonOption{
		client: func(o *dialOptions) { o.limits.change(f) },
		server: func(o *serverOptions) { o.limits.change(f) },
	}
}

// GRPCGoLimits loosens the limits to grpc-go's defaults: any number of
// concurrent streams, 16 MiB header lists, no flood budget, no memory budget.
func GRPCGoLimits() interface {
	DialOption
	ServerOption
} {
	return WithLimits(func(l *Limits) { *l = grpcGoLimits() })
}

// commonOption applies to clients and servers.
type commonOption struct {
	client func(*dialOptions)
	server func(*serverOptions)
}

func (c commonOption) applyClient(o *dialOptions)   { c.client(o) }
func (c commonOption) applyServer(o *serverOptions) { c.server(o) }

func safeLimits() Limits {
	return Limits{
		MaxConcurrentStreams: 1000, HeaderListSize: frame.DefaultMaxHeaderList, HeaderFields: frame.DefaultMaxHeaderFields,
		Continuations: frame.DefaultMaxContinuations, SettingsEntries: frame.DefaultMaxSettings,
		HandshakeTime: 10 * time.Second, HeaderTime: 10 * time.Second, StreamStall: time.Minute, WriteStall: 30 * time.Second,
		GlitchBurst: 1000, GlitchRate: 100,
		ReceiveBudget: 16 << 20, SendBudget: 16 << 20,
	}
}

func grpcGoLimits() Limits {
	return Limits{
		MaxConcurrentStreams: -1, HeaderListSize: 16 << 20, HeaderFields: -1, Continuations: -1, SettingsEntries: -1,
		HandshakeTime: 120 * time.Second, HeaderTime: -1, StreamStall: -1, WriteStall: -1,
		GlitchBurst: -1, GlitchRate: -1, ReceiveBudget: -1, SendBudget: -1, Decompressions: -1,
	}
}

// limits are Limits in use.
type limits struct {
	Limits
	inflations codec.Inflations
}

func newLimits() limits {
	return limits{Limits: safeLimits(), inflations: codec.SharedInflations()}
}

func (l *limits) change(f func(*Limits)) {
	places := l.Decompressions
	f(&l.Limits)
	l.fill()
	switch l.Decompressions {
	case places:
	case 0:
		l.inflations = codec.SharedInflations()
	default:
		l.inflations = codec.NewInflations(l.Decompressions)
	}
}

// fill puts the defaults where there is nothing.
func (l *Limits) fill() {
	d := safeLimits()
	for _, f := range []struct {
		field *int
		value int
	}{
		{&l.MaxConcurrentStreams, d.MaxConcurrentStreams},
		{&l.HeaderListSize, d.HeaderListSize},
		{&l.HeaderFields, d.HeaderFields},
		{&l.Continuations, d.Continuations},
		{&l.SettingsEntries, d.SettingsEntries},
		{&l.GlitchBurst, d.GlitchBurst},
		{&l.GlitchRate, d.GlitchRate},
	} {
		*f.field = orElse(*f.field, f.value)
	}
	l.HandshakeTime = orElse(l.HandshakeTime, d.HandshakeTime)
	l.HeaderTime = orElse(l.HeaderTime, d.HeaderTime)
	l.StreamStall = orElse(l.StreamStall, d.StreamStall)
	l.WriteStall = orElse(l.WriteStall, d.WriteStall)
	l.ReceiveBudget = orElse(l.ReceiveBudget, d.ReceiveBudget)
	l.SendBudget = orElse(l.SendBudget, d.SendBudget)
}

// streams is MAX_CONCURRENT_STREAMS; an option of its own comes first.
func (l *Limits) streams(option uint32) uint32 {
	return orElse(option, setting(l.MaxConcurrentStreams))
}

// headerList is MAX_HEADER_LIST_SIZE; an option of its own comes first.
func (l *Limits) headerList(option uint32) uint32 {
	return orElse(option, setting(l.HeaderListSize))
}

// setting is n as HTTP/2 announces it: no limit is the largest one.
func setting(n int) uint32 {
	if n < 0 {
		return math.MaxUint32
	}
	return uint32(min(uint64(n), math.MaxUint32))
}

// capped is n, or most if that is less or n means no limit.
func capped(n, most int) int {
	if n < 0 {
		return most
	}
	return min(n, most)
}

// most is a number that no peer reaches, doubled neither.
const most = math.MaxInt32

// reader is what the frame reader has to know.
func (l *Limits) reader(headerList uint32, bufferSize, maxMessage int, limit func(frame.StreamID) int, window uint32, room frame.Room) frame.ReaderConfig {
	return frame.ReaderConfig{
		MaxFrameSize: frame.MinMaxFrameSize, MaxHeaderList: int(headerList), MaxHeaderFields: capped(l.HeaderFields, most),
		MaxContinuations: capped(l.Continuations, most), MaxSettings: capped(l.SettingsEntries, most), HeaderTableSize: frame.DefaultTableSize,
		MaxMessage: maxMessage, Limit: limit, BufferSize: bufferSize, FirstPart: int(window), Room: room,
	}
}

// conn sets the limits that are the connection's own.
func (l *Limits) conn(cfg *conn.Config, m *memory, window, streams uint32) {
	received, growth := l.receiving(m, window, streams)
	cfg.Machine.Budget, cfg.Machine.Growth, cfg.Stream.Growth = received, growth, growth
	cfg.Reader.Room = flow.NewRoom(received, growth)
	cfg.SendBudget = l.sending(m)
	cfg.Machine.GlitchBurst, cfg.Machine.GlitchRate = l.GlitchBurst, capped(l.GlitchRate, most)
	cfg.HeaderTime, cfg.StreamStall, cfg.WriteStall = l.HeaderTime, l.StreamStall, l.WriteStall
}
