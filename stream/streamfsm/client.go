package streamfsm

import (
	"errors"
	"strconv"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard/codec/frame"
	"github.com/callboard-rpc/callboard/codec/header"
)

// maxInterim is how many 1xx blocks a response may begin with. They mean
// nothing to gRPC.
const maxInterim = 32

// open starts an RPC.
func (m *Machine) open(ev *Open, fx *Effects) {
	if m.cfg.Role != Client || !m.done || ev.StreamID <= m.id || ev.Header == nil {
		panic(m.wrong(ev))
	}
	m.begin(ev.StreamID, ev.Slot)
	m.unary, m.deadline = ev.Unary, ev.Deadline
	o := m.emit(fx)
	o.Header, o.Payload, o.EndStream = ev.Header, ev.Payload, ev.EndStream
	if ev.Payload != nil {
		m.out++
	}
	m.become(StateOpen, "Open", fx)
	if ev.EndStream {
		m.become(m.state.afterSent(), "Open", fx)
	}
}

// responseBlock takes a header block of the response.
func (m *Machine) responseBlock(h *frame.Headers, fx *Effects) error {
	switch {
	case h.Fault != nil:
		return m.badBlock(h, fx)
	case m.answered():
		return m.responseTrailers(h, fx)
	case h.EndStream:
		return m.trailersOnly(h, fx)
	}
	if m.response == nil {
		m.response = new(header.InboundResponse)
	}
	err := header.ParseResponse(h.Fields, m.response)
	if err != nil {
		h.Free()
		return m.notResponse(err, fx)
	}
	if m.response.Informational {
		h.Free()
		if m.interim++; m.interim > maxInterim {
			return m.violated(frame.EnhanceYourCalm, "more than "+strconv.Itoa(maxInterim)+" informational responses", "", "Headers", fx)
		}
		return nil
	}
	m.gotHead = true
	m.response.WireLen = h.WireLen
	m.declared = contentLength(m.response.Fields)
	fx.Header = h
	return nil
}

// notResponse deals with a first block that begins no gRPC response. What a
// proxy or a web server has to say stands in the body, so that is waited for.
func (m *Machine) notResponse(err error, fx *Effects) error {
	p := problem(err)
	switch {
	case p.Kind == header.Malformed:
		return m.malformed(p, fx)
	case p.HTTPStatus != 0:
		m.foreign = p
		m.deaf = true
		return nil
	}
	m.reset(frame.Cancel, "Headers", fx)
	m.end(Outcome{Status: p.GRPCStatus()}, fx)
	return nil
}

// trailersOnly takes a response that is a single block.
func (m *Machine) trailersOnly(h *frame.Headers, fx *Effects) error {
	st, md, err := header.ParseTrailersOnly(h.Fields)
	if err != nil {
		h.Free()
		p := problem(err)
		if p.Kind == header.Malformed {
			return m.malformed(p, fx)
		}
		m.conclude(Outcome{Status: p.GRPCStatus()}, "Headers", fx)
		return nil
	}
	m.conclude(Outcome{Status: st, Trailer: h, Metadata: md, Pushback: true}, "Headers", fx)
	return nil
}

// responseTrailers takes the block behind the response's header block.
func (m *Machine) responseTrailers(h *frame.Headers, fx *Effects) error {
	if !h.EndStream {
		h.Free()
		return m.violated(frame.ProtocolError, "trailers without END_STREAM", "RFC 9113 8.1", "Headers", fx)
	}
	if m.foreign != nil {
		h.Free()
		m.conclude(Outcome{Status: m.foreign.GRPCStatus()}, "Headers", fx)
		return nil
	}
	st, md, err := header.ParseTrailer(h.Fields)
	if err != nil {
		h.Free()
		p := problem(err)
		if p.Kind == header.Malformed {
			return m.malformed(p, fx)
		}
		m.conclude(Outcome{Status: p.GRPCStatus(), Fault: m.fault}, "Headers", fx)
		return nil
	}
	if err := m.checkEnd("Headers", fx); err != nil {
		h.Free()
		return err
	}
	o := Outcome{Status: st, Trailer: h, Metadata: md, Fault: m.fault}
	switch {
	case st.Code() == codes.OK && m.fault != nil:
		o.Status = faultStatus(m.fault)
	case m.response.HTTPStatus != httpOK && !hasStatus(h.Fields):
		o.Status = m.httpStatus()
	}
	m.conclude(o, "Headers", fx)
	return nil
}

// takeResponse takes DATA that the window has room for.
func (m *Machine) takeResponse(d *frame.Data, fx *Effects) error {
	switch {
	case m.foreign != nil:
		m.takeForeign(d, fx)
		return nil
	case !m.gotHead:
		return m.violated(frame.ProtocolError, "DATA before HEADERS", "RFC 9113 8.1", "Data", fx)
	case d.Fault != nil:
		m.fault = d.Fault
		if d.Fault.Kind == frame.Truncated && !d.EndStream {
			return nil // trailers follow, and may have a better reason
		}
		m.giveUp(d, Outcome{Status: faultStatus(d.Fault), Fault: d.Fault}, fx)
		return nil
	case m.unary && m.in == 1 && (d.Message != nil || d.Pending > 0):
		m.giveUp(d, Outcome{Status: status.New(codes.Unimplemented, "unary response with more than one message")}, fx)
		return nil
	}
	m.deliver(d, fx)
	if !d.EndStream {
		return nil
	}
	if err := m.checkEnd("Data", fx); err != nil {
		return err
	}
	st := status.New(codes.Internal, "response ended without trailers")
	if m.response.HTTPStatus != httpOK {
		st = m.httpStatus()
	}
	m.conclude(Outcome{Status: st}, "Data", fx)
	return nil
}

// takeForeign ends an RPC whose response is not gRPC's with what the body
// says, if the reader made text of it.
func (m *Machine) takeForeign(d *frame.Data, fx *Effects) {
	st := m.foreign.GRPCStatus()
	if d.Message != nil && len(d.Message.B) > 0 {
		st = status.New(st.Code(), st.Message()+": "+header.Escape(string(d.Message.B)))
	}
	m.giveUp(d, Outcome{Status: st}, fx)
}

// giveUp ends an RPC whose response is of no use from d on.
func (m *Machine) giveUp(d *frame.Data, o Outcome, fx *Effects) {
	if d.EndStream {
		m.conclude(o, "Data", fx)
		return
	}
	m.reset(frame.Cancel, "Data", fx)
	m.end(o, fx)
}

// conclude ends the RPC with the server's END_STREAM. A request that is still
// being sent is of no use any more.
func (m *Machine) conclude(o Outcome, on string, fx *Effects) {
	m.become(m.state.afterReceived(), on, fx)
	if m.state != StateClosed {
		m.reset(frame.NoError, on, fx)
	}
	if o.Status.Code() == codes.OK {
		o.Status = nil
	}
	m.end(o, fx)
}

// badBlock takes a header block that the reader found fault with.
func (m *Machine) badBlock(h *frame.Headers, fx *Effects) error {
	err, tooLarge := h.Fault, h.TooLarge
	h.Free()
	if !tooLarge {
		m.abort(err, "Headers", fx)
		return err
	}
	m.reset(err.Code, "Headers", fx)
	m.end(Outcome{Status: status.New(codes.ResourceExhausted, err.Reason)}, fx)
	return err
}

func (m *Machine) malformed(p *header.Problem, fx *Effects) error {
	err := p.StreamError(m.id)
	m.abort(err, "Headers", fx)
	return err
}

// httpStatus is the status of a response that has none of its own.
func (m *Machine) httpStatus() *status.Status {
	n := m.response.HTTPStatus
	return status.New(header.StatusFromHTTP(n), "response without grpc-status, HTTP status "+strconv.Itoa(n))
}

const (
	httpOK            = 200
	nameStatus        = "grpc-status"
	nameContentLength = "content-length"
)

func hasStatus(fields []frame.Field) bool {
	for i := range fields {
		if fields[i].Name == nameStatus {
			return true
		}
	}
	return false
}

// contentLength is what a response declares, -1 if it says nothing that can be
// read.
func contentLength(fields []frame.Field) int64 {
	for i := range fields {
		if fields[i].Name == nameContentLength {
			if n, err := strconv.ParseInt(fields[i].Value, 10, 64); err == nil && n >= 0 {
				return n
			}
		}
	}
	return -1
}

// problem is what the parsers of package header return.
func problem(err error) *header.Problem {
	var p *header.Problem
	if !errors.As(err, &p) {
		panic("streamfsm: " + err.Error()) // package header promises a *Problem
	}
	return p
}
