package streamfsm

import (
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard/codec/frame"
)

// smallUnread is what an application may have left unread and still count as
// waiting: it reports what it reads in lumps, so a small rest may only be
// unreported. It is no more than a quarter of the window.
const (
	smallUnread         = 4 << 10
	smallUnreadFraction = 4
)

// data takes DATA. Everything in d has been passed on or freed when it
// returns.
func (m *Machine) data(d *frame.Data, fx *Effects) error {
	var err error
	switch {
	case m.stale(d.StreamID, d):
		fx.Credit, fx.CreditID = d.Size, d.StreamID
	case m.receiving():
		err = m.take(d, fx)
	case m.state == StateHalfClosedRemote:
		m.credit(d.Size, fx)
		err = m.violated(frame.StreamClosed, "DATA after END_STREAM", "RFC 9113 5.1", "Data", fx)
	default:
		m.credit(d.Size, fx)
		err = m.late("DATA", d.EndStream)
	}
	m.grant(fx)
	if d.Message != nil {
		d.Message.Release()
	}
	d.Free()
	return err
}

// take receives DATA of a stream whose peer may send.
func (m *Machine) take(d *frame.Data, fx *Effects) error {
	m.peerSilent = d.EndStream
	if m.pending == 0 && d.Size > 0 {
		// No message had begun, so what came before and is in no message
		// was padding.
		m.giveBack(m.rx.Held()-m.unread, fx)
	}
	if m.rx.Charge(d.Size) != nil {
		m.credit(d.Size, fx)
		return m.violated(frame.FlowControlError, "DATA beyond the stream's window", "RFC 9113 6.9.1", "Data", fx)
	}
	m.pending = d.Pending
	m.count(d)
	if m.declared >= 0 && m.body > m.declared {
		return m.badLength("Data", fx)
	}
	if m.cfg.Role == Client {
		return m.takeResponse(d, fx)
	}
	return m.takeRequest(d, fx)
}

// count adds to the body as content-length measures it. The octets of whole
// messages are exact; of a body that is not gRPC's there is only Size, which
// includes padding.
func (m *Machine) count(d *frame.Data) {
	switch {
	case m.parked:
		m.body += int64(d.Size)
	case d.Message != nil:
		m.body += PrefixLen + int64(len(d.Message.B))
	}
}

// deliver hands the message of d to the application, or drops it if there is
// none any more.
func (m *Machine) deliver(d *frame.Data, fx *Effects) {
	switch {
	case m.deaf:
		m.giveBack(m.rx.Held()-m.unread, fx)
	case d.Message != nil:
		m.in++
		m.unread += PrefixLen + len(d.Message.B)
		fx.Messages = append(fx.Messages, Message{Buf: d.Message, Compressed: d.Compressed})
		d.Message = nil
	}
}

// checkEnd holds the body that has ended against content-length (RFC 9113
// 8.1.1). What a fault cut short cannot be counted.
func (m *Machine) checkEnd(on string, fx *Effects) error {
	if m.declared >= 0 && m.body != m.declared && m.fault == nil {
		return m.badLength(on, fx)
	}
	return nil
}

func (m *Machine) badLength(on string, fx *Effects) error {
	return m.violated(frame.ProtocolError, "content-length differs from the octets of DATA", "RFC 9113 8.1.1", on, fx)
}

// consumed is the application's report that it has read.
func (m *Machine) consumed(ev *Consumed, now time.Time, fx *Effects) {
	if m.application(ev.StreamID, ev) {
		if m.cfg.Role == Client {
			fx.Credit, fx.CreditID = ev.N, ev.StreamID
		}
		return
	}
	n := ev.N
	if m.done {
		n = min(n, m.unread) // what Owed did not announce was credited with Done
	}
	if n < 0 || n > m.unread {
		panic(m.wrong(ev))
	}
	m.unread -= n
	m.adapt(n, now)
	m.giveBack(n, fx)
	m.grant(fx)
}

// receiving says that the peer may send DATA.
func (m *Machine) receiving() bool {
	return m.state == StateOpen || m.state == StateHalfClosedLocal
}

// credit gives n octets of the connection's window back.
func (m *Machine) credit(n int, fx *Effects) {
	if n > 0 {
		fx.Credit += n
		fx.CreditID = m.id
	}
}

// giveBack counts n octets as read, for the connection's window and for the
// stream's.
func (m *Machine) giveBack(n int, fx *Effects) {
	if n == 0 {
		return
	}
	m.credit(n, fx)
	if update, due := m.rx.Consume(n); due {
		m.update += update
	}
}

// grant sends the WINDOW_UPDATE that the step has made due. A message that
// does not fit into the window gets room if the application waits for it. A
// peer that is not listened to gets nothing.
func (m *Machine) grant(fx *Effects) {
	if !m.receiving() || m.deaf {
		m.update = 0
		return
	}
	if m.hungry() {
		m.grow(fx)
	}
	m.windowUpdate(fx)
}

// hungry says that the application has read what there is, or nearly so. A
// unary call counts as having read its only message.
func (m *Machine) hungry() bool {
	return m.unary || m.unread <= min(smallUnread, int(m.cfg.InitialWindow)/smallUnreadFraction)
}

// faultStatus is the status of an RPC whose inbound messages cannot be read on.
func faultStatus(f *frame.Fault) *status.Status {
	switch f.Kind {
	case frame.BadFlag:
		return status.Newf(codes.Internal, "received a message with compressed flag %d", f.Got)
	case frame.TooLarge:
		return status.Newf(codes.ResourceExhausted, "received message larger than max (%d vs. %d octets)", f.Got, f.Limit)
	case frame.Truncated:
		return status.New(codes.Internal, "stream ended inside a message")
	case frame.NoBudget:
		return status.Newf(codes.ResourceExhausted, "no memory budget for a received message of %d octets", f.Got)
	}
	return status.Newf(codes.Internal, "received messages cannot be read: fault %d", f.Kind)
}
