package outbound

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/callboard-rpc/callboard/codec/buffer"
	"github.com/callboard-rpc/callboard/codec/frame"
)

// failer is what *testing.T, *testing.B and *rapid.T have in common.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// peer reads what a Queue wrote, with x/net's framer: it is also the proof that
// the frames are well-formed and CONTINUATIONs in place.
type peer struct {
	in  bytes.Buffer
	fr  *http2.Framer
	dec *hpack.Decoder
}

func newPeer() *peer {
	p := &peer{dec: hpack.NewDecoder(frame.DefaultTableSize, nil)}
	p.fr = http2.NewFramer(nil, &p.in)
	p.fr.ReadMetaHeaders = p.dec
	return p
}

// arrival is one frame as the peer saw it.
type arrival struct {
	kind string
	id   frame.StreamID
	n    int
	end  bool
	data []byte // DATA
	note string
}

func (a arrival) String() string {
	s := a.kind
	if a.id != 0 {
		s += fmt.Sprintf(" %d", a.id)
	}
	if a.kind == "DATA" {
		s += fmt.Sprintf(" [%d]", a.n)
	}
	if a.note != "" {
		s += " " + a.note
	}
	if a.end {
		s += " END"
	}
	return s
}

// read takes everything w carries.
func (p *peer) read(t failer, w *Writes) []arrival {
	t.Helper()
	if len(w.Segments) == 0 {
		p.in.Write(w.Head)
	}
	for _, s := range w.Segments {
		p.in.Write(s)
	}
	if p.in.Len() != w.N {
		t.Fatalf("%d octets in the write, N says %d", p.in.Len(), w.N)
	}
	var out []arrival
	data := 0
	for p.in.Len() > 0 {
		f, err := p.fr.ReadFrame()
		if err != nil {
			t.Fatalf("after %v: %v", out, err)
		}
		a := arrival{kind: f.Header().Type.String(), id: frame.StreamID(f.Header().StreamID)}
		switch f := f.(type) {
		case *http2.MetaHeadersFrame:
			var kv []string
			for _, h := range f.Fields {
				kv = append(kv, h.Name+"="+h.Value)
			}
			a.note, a.end = strings.Join(kv, ","), f.StreamEnded()
		case *http2.DataFrame:
			data++
			a.n, a.data, a.end = len(f.Data()), bytes.Clone(f.Data()), f.StreamEnded()
		case *http2.RSTStreamFrame:
			a.note = f.ErrCode.String()
		case *http2.SettingsFrame:
			if f.IsAck() {
				a.note = "ACK"
			}
		case *http2.PingFrame:
			a.note = string(f.Data[:])
		case *http2.GoAwayFrame:
			a.note = f.ErrCode.String()
		case *http2.WindowUpdateFrame:
			a.note = fmt.Sprint(f.Increment)
		}
		out = append(out, a)
	}
	if data != w.DataFrames {
		t.Fatalf("%d DATA frames in the write, DataFrames says %d", data, w.DataFrames)
	}
	return out
}

// block is a header block of one field.
type block string

func (b block) AppendFields(dst []frame.Field) []frame.Field {
	return append(dst, frame.Field{Name: "x", Value: string(b)})
}

// ledger keeps a second reference to every payload, to see afterwards that the
// queue has dropped its own, once.
type ledger struct{ payloads []*buffer.Buffer }

func (l *ledger) payload(p []byte) *buffer.Buffer {
	b := buffer.Wrap(p)
	l.payloads = append(l.payloads, b.Retain())
	return b
}

func (l *ledger) check(t failer) {
	t.Helper()
	for i, b := range l.payloads {
		b.Release() // panics when the queue has released twice
		if b.B != nil {
			t.Fatalf("payload %d of %d was not released", i, len(l.payloads))
		}
	}
	l.payloads = nil
}

// all is a limit that no Fill reaches.
const all = 1 << 30

// rig is a Queue with its peer.
type rig struct {
	t testing.TB
	q *Queue
	p *peer
	ledger
	finished []Ended
	rejected []Rejected
}

func newRig(t testing.TB, client bool) *rig {
	return &rig{t: t, q: New(Config{Client: client}, frame.NewEncoder()), p: newPeer()}
}

func (r *rig) step(ev any) {
	r.t.Helper()
	if err := r.q.Step(ev); err != nil {
		r.t.Fatalf("%T: %v", ev, err)
	}
}

// post steps a copy of o with n octets of payload.
func (r *rig) post(o frame.Outgoing, n int) {
	r.t.Helper()
	c := frame.NewOutgoing()
	*c = o
	if n >= 0 {
		c.Payload = r.payload(make([]byte, n))
	}
	r.step(c)
}

// fill lets the peer read one Fill.
func (r *rig) fill(limit int) (got []string) {
	r.t.Helper()
	var w Writes
	r.q.Fill(&w, limit)
	for _, a := range r.p.read(r.t, &w) {
		got = append(got, a.String())
	}
	r.finished = append(r.finished, w.Finished...)
	r.rejected = append(r.rejected, w.Rejected...)
	w.Reset()
	return got
}

func grant(id frame.StreamID, slot frame.SlotIndex, n uint32) *frame.Grant {
	return (*frame.Grant)(frame.NewWindowUpdate(id, slot, n))
}
