package stream

import (
	"io"

	"github.com/callboard-rpc/callboard/codec/buffer"
	"github.com/callboard-rpc/callboard/codec/header"
	"github.com/callboard-rpc/callboard/stream/streamfsm"
)

// Send hands one message's wire bytes to the stream; end half-closes behind
// it. It waits while too much is queued. io.EOF: the stream is over, the bytes
// were released, the receiving side knows why. ErrDone: done fired first, and
// the caller still owns p.
func (c *Call) Send(p *buffer.Buffer, end bool, done <-chan struct{}) error {
	c.mu.Lock()
	q := c.quota
	c.mu.Unlock()
	if q != nil && !q.Wait(done) {
		return ErrDone
	}
	c.mu.Lock()
	over, id, ref := c.over || c.cancelErr != nil, c.id, c.stream
	c.mu.Unlock()
	if over {
		if p != nil {
			p.Release()
		}
		return io.EOF
	}
	ref.Tell(newSend(id, p, end))
	return nil
}

// CloseSend half-closes a client's stream.
func (c *Call) CloseSend() {
	c.mu.Lock()
	over, id, ref := c.over, c.id, c.stream
	c.mu.Unlock()
	if !over {
		ref.Tell(newSend(id, nil, true))
	}
}

// SendHeader puts a server's response headers on the wire.
func (c *Call) SendHeader(h *header.Response) {
	c.mu.Lock()
	id, ref := c.id, c.stream
	c.mu.Unlock()
	ref.Tell(&streamfsm.SendHeader{StreamID: id, Header: h})
}

// Finish ends a server's call: f's StreamID is filled in. It is the
// application's last word, said exactly once; the Call may not be used
// afterwards.
func (c *Call) Finish(f *streamfsm.Finish) {
	c.mu.Lock()
	f.StreamID = c.id
	ref := c.stream
	c.released = true
	c.canceler = nil
	c.mu.Unlock()
	ref.Tell(f)
}

// Err says why a server's stream ended before its handler; nil while it has
// not.
func (c *Call) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cancelErr
}

// Queued says how many octets of this call wait to be written.
func (c *Call) Queued() int64 {
	c.mu.Lock()
	q := c.quota
	c.mu.Unlock()
	if q == nil {
		return 0
	}
	return q.Queued()
}
