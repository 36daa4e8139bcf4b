package streamfsm

import (
	"time"

	"google.golang.org/grpc/codes"

	"github.com/callboard-rpc/callboard/codec/frame"
	"github.com/callboard-rpc/callboard/codec/header"
)

// maxForeignBody is how much of a request that is not gRPC's is waited for
// before it is answered all the same.
const maxForeignBody = 64 << 10

// headers takes a header block: a server's new request, or one of the stream
// that is there.
func (m *Machine) headers(h *frame.Headers, now time.Time, fx *Effects) error {
	if m.cfg.Role == Server && h.StreamID > m.id {
		if !m.done {
			panic(m.wrong(h))
		}
		return m.accept(h, now, fx)
	}
	if m.stale(h.StreamID, h) {
		h.Free()
		return nil
	}
	switch m.state {
	case StateOpen, StateHalfClosedLocal:
		m.peerSilent = h.EndStream
		if m.cfg.Role == Client {
			return m.responseBlock(h, fx)
		}
		return m.requestTrailers(h, fx)
	case StateHalfClosedRemote:
		h.Free()
		return m.violated(frame.StreamClosed, "HEADERS after END_STREAM", "RFC 9113 5.1", "Headers", fx)
	case StateClosed:
		end := h.EndStream
		h.Free()
		return m.late("HEADERS", end)
	case StateIdle:
	}
	panic(m.wrong(h))
}

// accept begins an RPC. A request that is fit for a handler is handed over;
// any other is answered here.
func (m *Machine) accept(h *frame.Headers, now time.Time, fx *Effects) error {
	m.begin(h.StreamID, m.cfg.Slot)
	m.peerSilent = h.EndStream
	m.become(StateOpen, "Headers", fx)
	if h.EndStream {
		m.become(m.state.afterReceived(), "Headers", fx)
	}
	if h.Fault != nil {
		return m.refuse(h, fx)
	}
	if m.request == nil {
		m.request = new(header.InboundRequest)
	}
	err := header.ParseRequest(h.Fields, m.request)
	var p *header.Problem
	if err != nil {
		p = problem(err)
	}
	if p != nil && p.Kind == header.Malformed {
		h.Free()
		return m.malformed(p, fx)
	}
	m.declared = m.request.ContentLength
	m.request.WireLen = h.WireLen
	if h.EndStream {
		if err := m.checkEnd("Headers", fx); err != nil {
			h.Free()
			return err
		}
	}
	if p != nil {
		h.Free()
		m.reply(p, fx)
		return p.StreamError(m.id) // to be counted: it is work that no handler asked for
	}
	m.accepted = true
	if m.request.HasTimeout {
		m.deadline = now.Add(m.request.Timeout)
		fx.Deadline = m.deadline
	}
	fx.Accept = h
	fx.RemoteEnd = m.peerSilent
	return nil
}

// refuse turns away a request whose header block the reader found fault with.
func (m *Machine) refuse(h *frame.Headers, fx *Effects) error {
	err, tooLarge := h.Fault, h.TooLarge
	h.Free()
	if !tooLarge {
		m.abort(err, "Headers", fx)
		return err
	}
	m.owned().answer = header.Trailer{Code: codes.ResourceExhausted, Message: err.Reason, Only: true}
	m.sendAnswer("Headers", fx)
	return err
}

// reply answers a request without a handler. One that is not gRPC's is heard
// out first, as HTTP clients expect, and held to the rules of HTTP/2 until
// then; a gRPC client may be waiting for the answer before it sends on.
func (m *Machine) reply(p *header.Problem, fx *Effects) {
	m.owned().answer = header.Trailer{
		Code: p.Code, Message: p.Reason,
		Only: true, HTTPStatus: p.HTTPStatus, ContentSubtype: m.request.ContentSubtype,
	}
	if _, isGRPC := header.Subtype(m.request.ContentType); isGRPC || m.peerSilent {
		m.sendAnswer("Headers", fx)
		return
	}
	m.parked, m.deaf = true, true
}

func (m *Machine) sendAnswer(on string, fx *Effects) {
	m.endWithTrailer(m.emit(fx), &m.owned().answer, on, fx)
}

// endWithTrailer makes o the stream's last word. A client that has not ended
// its request is told to stop: the response is complete (RFC 9113 8.1).
func (m *Machine) endWithTrailer(o *frame.Outgoing, t *header.Trailer, on string, fx *Effects) {
	o.Trailer, o.Last = t, true
	m.become(m.state.afterSent(), on, fx)
	if m.state != StateClosed {
		o.Reset, o.After, o.Code = true, true, frame.NoError
		m.become(StateClosed, on, fx)
	}
	m.leave(fx)
}

// takeRequest takes DATA that the window has room for.
func (m *Machine) takeRequest(d *frame.Data, fx *Effects) error {
	if d.Fault != nil && !m.parked && m.fault == nil {
		m.fault = d.Fault
		m.turnAway(Outcome{Status: faultStatus(d.Fault), Fault: d.Fault}, fx)
	}
	m.deliver(d, fx)
	switch {
	case d.EndStream:
		return m.requestEnd("Data", fx)
	case m.parked && m.body > maxForeignBody:
		m.sendAnswer("Data", fx)
	}
	return nil
}

// requestTrailers takes a block behind the request's header block. gRPC gives
// it no meaning; HTTP/2 allows it as the end of the request.
func (m *Machine) requestTrailers(h *frame.Headers, fx *Effects) error {
	defer h.Free()
	switch {
	case h.Fault != nil:
		m.abort(h.Fault, "Headers", fx)
		return h.Fault
	case !h.EndStream:
		return m.violated(frame.ProtocolError, "trailers without END_STREAM", "RFC 9113 8.1", "Headers", fx)
	}
	if err := header.CheckTrailer(h.Fields); err != nil {
		return m.malformed(problem(err), fx)
	}
	return m.requestEnd("Headers", fx)
}

// requestEnd is the client's END_STREAM.
func (m *Machine) requestEnd(on string, fx *Effects) error {
	if err := m.checkEnd(on, fx); err != nil {
		return err
	}
	m.become(m.state.afterReceived(), on, fx)
	switch {
	case m.parked:
		m.sendAnswer(on, fx)
	case !m.deaf:
		fx.RemoteEnd = true
	}
	return nil
}

// sendHeader puts the response's header block on the wire. The second one is
// the application's mistake, which it has been told of.
func (m *Machine) sendHeader(ev *SendHeader, fx *Effects) {
	if m.cfg.Role != Server || ev.Header == nil {
		panic(m.wrong(ev))
	}
	if m.application(ev.StreamID, ev) || !m.sending() || m.sentHead {
		return
	}
	m.sentHead = true
	m.emit(fx).Header = ev.Header
}

// finish ends the RPC: its handler has returned.
func (m *Machine) finish(ev *Finish, fx *Effects) {
	if m.cfg.Role != Server || ev.Trailer == nil {
		panic(m.wrong(ev))
	}
	if m.application(ev.StreamID, ev) {
		release(ev)
		return
	}
	if m.done {
		panic(m.wrong(ev)) // the handler finishes once
	}
	o := m.emit(fx)
	if !m.sending() {
		release(ev)
		o.Last = true
		m.leave(fx)
		return
	}
	switch {
	case m.sentHead:
	case ev.Header != nil:
		m.sentHead = true
		o.Header = ev.Header
	case ev.Payload != nil:
		o.Header = m.plainHeader()
	}
	if o.Payload = ev.Payload; o.Payload != nil {
		m.out++
	}
	t := ev.Trailer
	t.Only = !m.sentHead
	if t.Only && t.ContentSubtype == "" {
		t.ContentSubtype = m.request.ContentSubtype
	}
	m.endWithTrailer(o, t, "Finish", fx)
}

func release(ev *Finish) {
	if ev.Payload != nil {
		ev.Payload.Release()
	}
}

// plainHeader is the header block of an application that sent none before its
// first message.
func (m *Machine) plainHeader() *header.Response {
	m.sentHead = true
	p := &m.owned().plain
	*p = header.Response{ContentSubtype: m.request.ContentSubtype}
	return p
}
