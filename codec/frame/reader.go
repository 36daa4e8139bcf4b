package frame

import (
	"errors"
	"io"
	"sync/atomic"

	"golang.org/x/net/http2"

	"github.com/callboard-rpc/callboard/internal/shared"
)

// Defaults of a ReaderConfig.
const (
	DefaultMaxHeaderList    = 16 << 10
	DefaultMaxHeaderFields  = 128
	DefaultMaxContinuations = 64
	DefaultMaxSettings      = 32
	DefaultMaxMessage       = 4 << 20
	DefaultBufferSize       = 32 << 10
	DefaultFirstPart        = 64 << 10
)

// ReaderConfig bounds what a Reader accepts. Zero fields take the defaults.
type ReaderConfig struct {
	MaxFrameSize     uint32 // payload octets, as announced in SETTINGS; default MinMaxFrameSize
	MaxHeaderList    int    // decoded size by the rule of RFC 9113 6.5.2; twice as much ends the connection
	MaxHeaderFields  int    // twice as many end the connection
	MaxContinuations int    // CONTINUATION frames of one block
	MaxSettings      int    // entries of one SETTINGS
	HeaderTableSize  uint32 // HPACK table as announced in SETTINGS; default DefaultTableSize
	MaxMessage       int    // octets of one gRPC message
	BufferSize       int    // octets of the read buffer

	// Limit, if set, is asked for the limit of a stream on which a message
	// larger than MaxMessage is announced.
	Limit func(StreamID) int

	// FirstPart is how much of a message gets its memory on announcement: what
	// the peer may send before the stream's window has grown for the rest.
	FirstPart int

	// Room, if set, is asked before memory is taken for a message. A message that
	// is whole in the read buffer is handed over at once and needs none.
	Room Room
}

// Room bounds the memory of messages that are being put together.
type Room interface {
	// Announce asks for the first n octets of a message of which only the prefix
	// has arrived. A refusal makes its memory grow as it arrives.
	Announce(n int) bool
	// Extend asks for n more octets for what arrives of a message that has been
	// given own so far. A refusal fails the message with NoBudget.
	Extend(n, own int) bool
	// Cover asks for the n octets beyond the first part: they arrive because the
	// stream's window has grown. A refusal makes its memory grow as they arrive.
	Cover(n int) bool
	// Release gives back what Announce and Extend, and what Cover granted, when
	// the message is complete and handed over, or dropped.
	Release(charged, covered int)
}

// boundless is the Room of a Reader that has none.
type boundless struct{}

func (boundless) Announce(int) bool    { return true }
func (boundless) Extend(_, _ int) bool { return true }
func (boundless) Cover(int) bool       { return true }
func (boundless) Release(_, _ int)     {}

// Reader turns the octets of one connection into frames. It owns the HPACK
// decoder and the messages that are being put together.
//
// It judges everything that can be judged without knowing the state of
// streams: form, sizes, order of a header block's frames, HPACK, limits. The
// other rules of RFC 9113 are the machines' business.
//
// A Reader belongs to one goroutine, except for OpenBlock.
type Reader struct {
	cfg  *limits            // shared by Readers with the same ones
	ask  func(StreamID) int // ReaderConfig.Limit
	room Room
	in   input
	dec  blockDecoder
	asm  assemblies
	out  *Batch // what the current ReadBatch fills
	base int    // where in out it began
	err  error  // why there is nothing more to read

	// Where in the stream of octets we are. At most one of these is active.
	fh      http2.FrameHeader // a frame whose payload is not read yet, if pending
	pending bool
	data    dataFrame // a DATA frame whose payload is being read, if active
	discard int       // octets to skip
	need    int       // octets that must be buffered to go on

	block    headerBlock // a header block that waits for CONTINUATION
	blockSeq uint64
	waiting  atomic.Uint64 // blockSeq while ReadBatch waits for the rest of a block, else 0
}

// NewReader makes a Reader for a connection that begins, after the preface,
// with the HPACK table empty.
func NewReader(src Source, cfg ReaderConfig) *Reader {
	setDefault(&cfg.MaxFrameSize, MinMaxFrameSize)
	setDefault(&cfg.MaxHeaderList, DefaultMaxHeaderList)
	setDefault(&cfg.MaxHeaderFields, DefaultMaxHeaderFields)
	setDefault(&cfg.MaxContinuations, DefaultMaxContinuations)
	setDefault(&cfg.MaxSettings, DefaultMaxSettings)
	setDefault(&cfg.HeaderTableSize, DefaultTableSize)
	setDefault(&cfg.MaxMessage, DefaultMaxMessage)
	setDefault(&cfg.BufferSize, DefaultBufferSize)
	setDefault(&cfg.FirstPart, DefaultFirstPart)
	if cfg.Room == nil {
		cfg.Room = boundless{}
	}
	r := &Reader{
		ask: cfg.Limit, room: cfg.Room,
		in: input{src: src, size: cfg.BufferSize},
		cfg: allLimits.Of(limits{
			MaxFrameSize: cfg.MaxFrameSize, MaxHeaderList: cfg.MaxHeaderList, MaxHeaderFields: cfg.MaxHeaderFields,
			MaxContinuations: cfg.MaxContinuations, MaxSettings: cfg.MaxSettings, HeaderTableSize: cfg.HeaderTableSize,
			MaxMessage: cfg.MaxMessage, FirstPart: cfg.FirstPart,
		}),
	}
	r.dec.init(r.cfg)
	return r
}

// limits is the part of a ReaderConfig that many Readers have alike. They share
// it: a connection that is idle should not be much more than its socket.
type limits struct {
	MaxFrameSize     uint32
	HeaderTableSize  uint32
	MaxHeaderList    int
	MaxHeaderFields  int
	MaxContinuations int
	MaxSettings      int
	MaxMessage       int
	FirstPart        int
}

var allLimits shared.Values[limits]

func setDefault[T int | uint32](p *T, v T) {
	if *p == 0 {
		*p = v
	}
}

// ReadBatch blocks until there is a frame, then takes every further one that
// has already arrived, up to BatchCap, and appends them to b. With an error, b
// holds the good frames before it. Violations that end the connection are
// *ConnError; errors of the Source come as they are, except that io.EOF inside
// a frame is io.ErrUnexpectedEOF. Every error is final.
func (r *Reader) ReadBatch(b *Batch) error {
	r.out, r.base = b, len(b.Frames)
	for r.err == nil {
		if r.err = r.parse(); r.err != nil || len(b.Frames) > r.base {
			break
		}
		r.err = r.fill()
	}
	r.out = nil
	return r.err
}

// Forget drops what is known of a stream: its partial message, and with it
// the wish for later ones. DATA that still arrives for it only counts as
// Size. Streams that end with END_STREAM or an RST_STREAM of the peer are
// forgotten on their own; a stream that ends any other way must be, and again
// when a header block arrives for a stream that is gone already, because that
// block made it known anew.
func (r *Reader) Forget(id StreamID) { r.dropAssembly(id) }

// SetHeaderTableSize changes the HPACK table that the peer may use, once it
// has acknowledged the SETTINGS that said so.
func (r *Reader) SetHeaderTableSize(n uint32) { r.dec.hp.SetAllowedMaxDynamicTableSize(n) }

// OpenBlock returns a number for the header block that has begun to arrive
// and is not complete, 0 if there is none. Somebody who sees the same number
// again after a while knows a peer that does not finish its header blocks. It
// may be called from any goroutine.
func (r *Reader) OpenBlock() uint64 { return r.waiting.Load() }

// Pause gives the read buffer back, for somebody who waits in the Source's stead.
// It says false, and does nothing, unless what was read so far ends with a frame
// and, if that was a header block's, with the block.
func (r *Reader) Pause() bool {
	if r.err != nil || r.midFrame() {
		return false
	}
	r.in.release()
	return true
}

// Rest gives back what is only of use while octets come in.
func (r *Reader) Rest() { r.in.carry = nil }

// Close gives back all buffers and charges. Nothing can be read afterwards.
func (r *Reader) Close() {
	if r.err == nil {
		r.err = io.ErrClosedPipe
	}
	r.asm.each(r.abandon)
	r.asm = assemblies{}
	r.data = dataFrame{}
	r.block.free()
	r.in.release()
}

// parse takes frames from what is buffered until that is used up or the batch
// is full.
func (r *Reader) parse() error {
	for len(r.out.Frames)-r.base < BatchCap {
		switch {
		case r.discard > 0:
			n := min(r.discard, r.in.buffered())
			r.in.skip(n)
			if r.discard -= n; r.discard > 0 {
				r.need = 1
				return nil
			}
		case r.data.active:
			if !r.readData() {
				r.need = 1
				return nil
			}
		case r.pending:
			n := r.payloadWanted()
			if r.in.buffered() < n {
				r.need = n
				return nil
			}
			r.pending = false
			if err := r.payload(r.in.unread()[:n]); err != nil {
				return err
			}
		default:
			if r.in.buffered() < HeaderLen {
				r.need = HeaderLen
				return nil
			}
			if err := r.frameHeader(); err != nil {
				return err
			}
		}
	}
	return nil
}

// fill blocks for more octets: into the message that waits for them if that
// is worth a read of its own, else into the buffer.
func (r *Reader) fill() error {
	if r.block.open || r.pending && r.fh.Type == typeHeaders {
		r.waiting.Store(r.blockSeq)
	}
	mid := r.midFrame()
	var err error
	if room := r.directRoom(); room != nil {
		r.in.release()
		var n int
		n, err = r.in.read(room)
		r.arrived(n)
	} else {
		err = r.in.fill(r.need)
	}
	if mid && errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// midFrame says that the octets so far end inside a frame or header block.
func (r *Reader) midFrame() bool {
	return r.in.buffered() > 0 || r.pending || r.data.active || r.discard > 0 || r.block.open
}

// emit adds a frame to the batch.
func (r *Reader) emit(f Frame) { r.out.Frames = append(r.out.Frames, f) }
