package testpeer

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

const (
	// A peer accepts whatever HTTP/2 can carry: limits are for those under test.
	maxFrame      = 1<<24 - 1
	maxHeaderList = 64 << 20
	maxTable      = 1 << 20
)

// Frame is one received frame as a value. A header block with its CONTINUATION
// frames is one Frame.
type Frame struct {
	Type     http2.FrameType
	Flags    http2.Flags
	StreamID uint32
	Fields   Fields          // HEADERS
	Data     []byte          // payload of DATA, PING and unknown frames, debug data of GOAWAY
	Settings []http2.Setting // SETTINGS
	Code     http2.ErrCode   // RST_STREAM, GOAWAY
	Last     uint32          // GOAWAY: the last stream id
}

// Ends says whether the frame ended its sender's half of the stream.
func (f *Frame) Ends() bool {
	return (f.Type == http2.FrameData || f.Type == http2.FrameHeaders) && f.Flags.Has(http2.FlagDataEndStream)
}

// lane is where a received frame waits for its expectation: frames of a stream
// share one lane, those of the connection have one for each kind.
type lane struct {
	id   uint32
	kind http2.FrameType
	ack  bool
}

func laneOf(f *Frame) lane {
	if f.StreamID != 0 {
		return lane{id: f.StreamID}
	}
	return lane{kind: f.Type, ack: f.Flags.Has(http2.FlagPingAck)}
}

// inbox is the reading side of a peer.
type inbox struct {
	p    *Peer
	gate *gate
	owed chan struct{} // a signal for the writer of ACKs; closed by the reader
	done sync.WaitGroup

	mu      sync.Mutex
	changed chan struct{} // closed and replaced whenever something below changes
	preface []byte
	lanes   map[lane][]*Frame
	opened  []uint32         // streams in the order of their first HEADERS
	seen    map[uint32]bool  // streams that have had HEADERS
	credit  map[uint32]int64 // window granted to us beyond the initial one
	err     error            // why reading ended
}

func newInbox(p *Peer, deaf bool) *inbox {
	return &inbox{
		p: p, gate: newGate(p.nc, deaf), owed: make(chan struct{}, 1), changed: make(chan struct{}),
		lanes: map[lane][]*Frame{}, seen: map[uint32]bool{}, credit: map[uint32]int64{},
	}
}

// start begins reading. The peer must be complete: the reader answers.
func (in *inbox) start() {
	in.done.Go(in.run)
	in.done.Go(func() {
		for range in.owed {
			in.p.settle()
		}
	})
}

func (in *inbox) join() {
	in.gate.open()
	in.done.Wait()
}

func (in *inbox) run() {
	defer close(in.owed)
	err := in.read()
	in.p.log.note("<- closed: %v", err)
	in.update(func() { in.err = err })
}

func (in *inbox) read() error {
	br := bufio.NewReaderSize(in.gate, 64<<10)
	if in.p.role == ServerRole {
		preface := make([]byte, len(http2.ClientPreface))
		n, err := io.ReadFull(br, preface)
		in.update(func() { in.preface = preface[:n] })
		if err != nil {
			return err
		}
		if string(preface) != http2.ClientPreface {
			return fmt.Errorf("not a client preface: %s", clip(string(preface)))
		}
		in.p.log.note("<- preface")
	}
	fr := http2.NewFramer(io.Discard, br)
	fr.SetMaxReadFrameSize(maxFrame)
	fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	fr.ReadMetaHeaders.SetAllowedMaxDynamicTableSize(maxTable)
	fr.MaxHeaderListSize = maxHeaderList
	for {
		raw, err := fr.ReadFrame()
		if err != nil {
			if detail := fr.ErrorDetail(); detail != nil {
				err = fmt.Errorf("%w (%w)", err, detail)
			}
			return err
		}
		in.take(raw)
	}
}

// take files one frame and answers it where good manners ask for it.
func (in *inbox) take(raw http2.Frame) {
	h := raw.Header()
	f := &Frame{Type: h.Type, Flags: h.Flags, StreamID: h.StreamID}
	grant := int64(0)
	switch raw := raw.(type) {
	case *http2.MetaHeadersFrame:
		f.Fields = slices.Clone(raw.Fields)
	case *http2.DataFrame:
		f.Data = slices.Clone(raw.Data())
	case *http2.SettingsFrame:
		_ = raw.ForeachSetting(func(s http2.Setting) error {
			f.Settings = append(f.Settings, s)
			return nil
		})
	case *http2.PingFrame:
		f.Data = slices.Clone(raw.Data[:])
	case *http2.GoAwayFrame:
		f.Code, f.Last, f.Data = raw.ErrCode, raw.LastStreamID, slices.Clone(raw.DebugData())
	case *http2.RSTStreamFrame:
		f.Code = raw.ErrCode
	case *http2.WindowUpdateFrame:
		grant = int64(raw.Increment)
	case *http2.UnknownFrame:
		f.Data = slices.Clone(raw.Payload())
	}
	in.p.log.note("<- %s", describe(f, grant))
	in.p.acknowledge(f) // before an expectation can see f
	in.update(func() {
		switch {
		case grant > 0:
			in.credit[f.StreamID] += grant
		case f.Type == http2.FramePriority:
		default:
			if f.Type == http2.FrameHeaders && !in.seen[f.StreamID] {
				in.seen[f.StreamID] = true
				in.opened = append(in.opened, f.StreamID)
			}
			k := laneOf(f)
			in.lanes[k] = append(in.lanes[k], f)
		}
	})
}

func (in *inbox) update(f func()) {
	in.mu.Lock()
	f()
	close(in.changed)
	in.changed = make(chan struct{})
	in.mu.Unlock()
}

// until waits for cond, which runs under the lock, and reports whether it came
// true. It gives up early when reading has ended.
func (in *inbox) until(d time.Duration, cond func() bool) bool {
	timeout := time.NewTimer(d)
	defer timeout.Stop()
	for {
		in.mu.Lock()
		ok, over, changed := cond(), in.err != nil, in.changed
		in.mu.Unlock()
		if ok || over {
			return ok
		}
		select {
		case <-changed:
		case <-timeout.C:
			return false
		}
	}
}

// end is why reading ended, nil while it has not.
func (in *inbox) end() error {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.err
}

// gate is a reader that can be held shut without losing bytes.
type gate struct {
	nc net.Conn

	mu   sync.Mutex
	shut chan struct{} // closed when the gate opens; nil while it is open
}

func newGate(nc net.Conn, shut bool) *gate {
	g := &gate{nc: nc}
	if shut {
		g.shut = make(chan struct{})
	}
	return g
}

func (g *gate) Read(b []byte) (int, error) {
	for {
		g.mu.Lock()
		wait := g.shut
		g.mu.Unlock()
		if wait != nil {
			<-wait
		}
		n, err := g.nc.Read(b)
		if n == 0 && errors.Is(err, os.ErrDeadlineExceeded) {
			continue // woken by close: wait at the gate
		}
		return n, err
	}
}

func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut == nil {
		g.shut = make(chan struct{})
		_ = g.nc.SetReadDeadline(time.Unix(1, 0))
	}
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut != nil {
		_ = g.nc.SetReadDeadline(time.Time{})
		close(g.shut)
		g.shut = nil
	}
}
