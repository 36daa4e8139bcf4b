package outbound

import (
	"fmt"

	"github.com/callboard-rpc/callboard/codec/frame"
)

// grant applies the peer's WINDOW_UPDATE.
func (q *Queue) grant(g *frame.Grant) error {
	id, slot, n := g.StreamID, g.Slot, g.Increment
	g.Free()
	if id == 0 {
		if q.conn.Grant(n) != nil {
			return &frame.ConnError{
				Code: frame.FlowControlError, Clause: "RFC 9113 6.9.1",
				Reason: fmt.Sprintf("WINDOW_UPDATE of %d takes the connection's window of %d above 2^31-1", n, q.conn.Value()),
			}
		}
		return nil
	}
	if slot < 0 {
		return nil
	}
	r := q.record(slot, id, &q.w)
	if r == nil || r.phase >= over {
		return nil
	}
	if r.window.Grant(n) != nil {
		return &frame.StreamError{
			StreamID: id, Code: frame.FlowControlError, Clause: "RFC 9113 6.9.1",
			Reason: fmt.Sprintf("WINDOW_UPDATE of %d takes the stream's window of %d above 2^31-1", n, r.window.Value()),
		}
	}
	q.unstick(slot, r)
	return nil
}

// settings applies the peer's SETTINGS. A stream that has sent END_STREAM has
// no use for its window, and may be gone without our having been told: it is
// left out.
func (q *Queue) settings(p *PeerSettings) error {
	if delta := int64(p.InitialWindow) - int64(q.peer.InitialWindow); delta != 0 {
		for s := range q.records {
			r := &q.records[s]
			if r.id == 0 || r.phase >= ended {
				continue
			}
			if r.window.Shift(delta) != nil {
				return &frame.ConnError{
					Code: frame.FlowControlError, Clause: "RFC 9113 6.9.2",
					Reason: fmt.Sprintf("SETTINGS_INITIAL_WINDOW_SIZE of %d takes the window of stream %d above 2^31-1", p.InitialWindow, r.id),
				}
			}
			q.unstick(frame.SlotIndex(s), r)
		}
	}
	if p.HeaderTableSize != q.peer.HeaderTableSize {
		q.enc.SetMaxTableSize(p.HeaderTableSize)
	}
	largest := q.peer.MaxFrameSize
	q.peer = *p
	if p.MaxFrameSize == 0 {
		q.peer.MaxFrameSize = largest
	}
	q.perFrame = min(maxData, int(q.peer.MaxFrameSize))
	return nil
}
