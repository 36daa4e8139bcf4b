package streamfsm

import (
	"encoding/binary"

	"github.com/callboard-rpc/callboard/codec/frame"
)

// What a stream has put on the wire, from its writer's view.
const (
	nothingSent = iota
	headSent
	endSent
	rstSent
)

// write puts on the wire what is queued, as far as the window goes.
func (s *side) write() {
	for len(s.queue) > 0 {
		o := s.queue[0]
		if o.Header != nil {
			s.must(s.phase == nothingSent, "second header block in phase %d", s.phase)
			end := o.EndStream && o.Payload == nil && o.Trailer == nil
			s.put(packet{fields: o.Header.AppendFields(nil), end: end})
			o.Header = nil
			if end {
				o.EndStream = false
			}
		}
		if o.Payload != nil && !s.writePayload(o) {
			return
		}
		if o.EndStream {
			s.put(packet{isData: true, end: true})
		}
		if o.Trailer != nil {
			s.put(packet{fields: o.Trailer.AppendFields(nil), end: true})
		}
		if o.Reset {
			s.put(packet{rst: true, code: o.Code})
		}
		s.queue = s.queue[1:]
		o.Free()
	}
}

func (s *side) writePayload(o *frame.Outgoing) (through bool) {
	b := o.Payload
	p := b.B
	for len(p) > 0 {
		n := min(len(p), s.window, maxChunk)
		if n == 0 {
			b.B = p
			return false
		}
		s.window -= n
		end := n == len(p) && o.EndStream
		s.put(packet{isData: true, data: append([]byte(nil), p[:n]...), end: end})
		if end {
			o.EndStream = false
		}
		p = p[n:]
	}
	b.Release()
	o.Payload = nil
	return true
}

// put checks that what is sent may be sent.
func (s *side) put(p packet) {
	p.id = s.m.id
	switch {
	case p.rst:
		if s.phase == nothingSent && s.m.cfg.Role == Client {
			return // the peer does not know the stream
		}
		s.must(s.phase != rstSent, "second RST_STREAM")
		s.phase = rstSent
	case p.isData:
		s.must(s.phase == headSent, "DATA in phase %d", s.phase)
	default:
		s.must(s.phase <= headSent, "HEADERS in phase %d", s.phase)
		s.phase = max(s.phase, headSent)
	}
	if p.end {
		s.phase = endSent
	}
	s.wire = append(s.wire, p)
}

// drop is what loopy does when the peer has reset a stream, or we do.
func (s *side) drop() {
	for _, o := range s.queue {
		if o.Payload != nil {
			o.Payload.Release()
		}
		o.Free()
	}
	s.queue = nil
}

// carry takes the first frame off the wire and gives it to the peer.
func (s *side) carry() bool {
	if len(s.wire) == 0 {
		return false
	}
	p := s.wire[0]
	s.wire = s.wire[1:]
	s.say("~> %v", p)
	s.peer.receive(p)
	return true
}

// receive is the reader.
func (s *side) receive(p packet) {
	switch {
	case p.grant > 0:
		if p.id == s.m.id {
			s.window += p.grant
			s.write()
		}
	case p.rst:
		_ = s.step(&frame.RSTStream{StreamID: p.id, Code: p.code})
	case p.isData:
		s.receiveData(p)
	default:
		if p.end && len(s.part) > 0 && p.id == s.m.id && !s.deafTo {
			s.faulty(p.id, 0, false, &frame.Fault{Kind: frame.Truncated})
		}
		_ = s.step(s.tracked.header(&frame.Headers{StreamID: p.id, Fields: p.fields, EndStream: p.end}))
	}
}

func (s *side) faulty(id frame.StreamID, size int, end bool, f *frame.Fault) {
	s.deafTo = true
	_ = s.step(s.tracked.dataFrame(&frame.Data{StreamID: id, Size: size, EndStream: end, Fault: f}))
}

// receiveData cuts DATA into messages as the real reader does: one event per
// message, the first carries the size, the last END_STREAM.
func (s *side) receiveData(p packet) {
	size := len(p.data) + p.pad
	s.charged += size
	if s.deafTo || p.id != s.m.id {
		_ = s.step(s.tracked.dataFrame(&frame.Data{StreamID: p.id, Size: size, EndStream: p.end}))
		return
	}
	s.part = append(s.part, p.data...)
	var events []*frame.Data
	for {
		n, fault := s.wants()
		if fault != nil {
			for _, d := range events {
				_ = s.step(d)
			}
			s.faulty(p.id, size, p.end, fault)
			return
		}
		if n < PrefixLen || len(s.part) < n {
			break
		}
		d := s.tracked.dataFrame(&frame.Data{StreamID: p.id, Size: size, Compressed: s.part[0] == 1})
		d.Message = s.tracked.buffer(append([]byte{}, s.part[PrefixLen:n]...))
		size = 0
		s.part = s.part[n:]
		events = append(events, d)
	}
	if len(events) == 0 || p.end && len(s.part) > 0 {
		events = append(events, s.tracked.dataFrame(&frame.Data{StreamID: p.id, Size: size}))
	}
	last := events[len(events)-1]
	last.EndStream = p.end
	if len(s.part) > 0 {
		n, _ := s.wants()
		last.Pending = max(n, PrefixLen) - len(s.part)
		if p.end {
			last.Pending = 0
			last.Fault = &frame.Fault{Kind: frame.Truncated}
			s.deafTo = true
		}
	}
	for _, d := range events {
		_ = s.step(d)
	}
}

// wants is how long the message in part is with its prefix, 0 while that is
// not known.
func (s *side) wants() (int, *frame.Fault) {
	if len(s.part) == 0 {
		return 0, nil
	}
	if len(s.part) < PrefixLen {
		return 0, nil
	}
	if s.part[0] > 1 {
		return 0, &frame.Fault{Kind: frame.BadFlag, Got: uint64(s.part[0]), Limit: 1}
	}
	n := binary.BigEndian.Uint32(s.part[1:])
	if n > testLimit {
		return 0, &frame.Fault{Kind: frame.TooLarge, Got: uint64(n), Limit: testLimit}
	}
	return PrefixLen + int(n), nil
}
