package stream

import (
	"errors"
	"io"

	"github.com/callboard-rpc/callboard/actors"
	"github.com/callboard-rpc/callboard/codec/frame"
	"github.com/callboard-rpc/callboard/stream/streamfsm"
)

// ErrDone says that the caller's done channel fired before what it waited for
// came.
var ErrDone = errors.New("stream: done before the call")

// How much an application may have read before its stream hears of it: much
// while more is waiting for it, little when it is going to wait itself.
// Reporting each small message would cost a message to two actors.
const (
	reportBusy    = 32 << 10
	reportWaiting = 1 << 10
)

// Message is one inbound message, still encoded. The receiver releases Buf.
type Message = streamfsm.Message

// prefixLen is the length prefix that was counted with every message.
const prefixLen = 5

// report is what a receiver owes the actors. It is gathered under the call's
// lock and posted outside of it: a post may run the stream on this goroutine.
type report struct {
	transport Transport
	stream    actors.Ref[any]
	slot      frame.SlotIndex
	id        frame.StreamID
	n         int
	done      bool // the stream is over: the connection accounts for it
}

func (r report) post() {
	switch {
	case r.n == 0:
	case r.done:
		r.transport.Tell(newCredit(r.slot, r.id, r.n))
	default:
		r.stream.Tell(newConsumed(r.id, r.n))
	}
}

// lump is how much is worth a report now: n octets, or any at all when the
// connection's receive window runs low. What was taken before it did is called
// in by Settle; the two meet at the call's lock.
func (c *Call) lump(n int) int {
	if c.low != nil && c.low.Load() {
		return 1
	}
	return n
}

func (c *Call) takeReport(atLeast int) (r report) {
	if c.unread < atLeast {
		return r
	}
	r = report{transport: c.transport, stream: c.stream, slot: c.slot, id: c.id, n: c.unread, done: c.parted}
	if c.parted {
		r.n = min(r.n, c.owed)
		c.owed -= r.n
	}
	c.unread = 0
	return r
}

// Recv takes the next message. After the last it returns io.EOF: a client then
// finds the end in Outcome. A server whose stream ended early gets the reason.
// ErrDone: done fired first.
func (c *Call) Recv(done <-chan struct{}) (Message, error) {
	for {
		c.mu.Lock()
		if c.head < len(c.inbox) && !c.canceled {
			m := c.inbox[c.head]
			c.inbox[c.head] = Message{}
			c.head++
			if c.head == len(c.inbox) {
				c.inbox, c.head = c.inbox[:0], 0
			}
			c.unread += len(m.Buf.B) + prefixLen
			r := c.takeReport(c.lump(c.threshold))
			c.mu.Unlock()
			r.post()
			return m, nil
		}
		if c.over || c.ended || c.recvErr != nil {
			err := c.recvErr
			r := c.takeReport(c.lastReport())
			c.mu.Unlock()
			r.post()
			if err == nil {
				err = io.EOF
			}
			return Message{}, err
		}
		r := c.takeReport(c.lump(min(reportWaiting, c.threshold)))
		c.mu.Unlock()
		if r.n > 0 {
			// Posting may have brought the next message: look before waiting.
			r.post()
			continue
		}
		select {
		case <-c.wake:
		case <-done:
			return Message{}, ErrDone
		}
	}
}

// lastReport is from how many octets on the end of the messages is worth a
// report. A server's stream gives everything back when its handler is done,
// usually in a moment; a client's may be over already, and is owed the rest.
func (c *Call) lastReport() int {
	if c.server {
		return reportWaiting
	}
	return 1
}

// Wait blocks until the call is over, which it says once: it takes the token that
// the end leaves. ErrDone: done fired first.
func (c *Call) Wait(done <-chan struct{}) error {
	for {
		select {
		case <-c.wake: // there is a token at the end, though it may not be the first
		case <-done:
			return ErrDone
		}
		c.mu.Lock()
		over := c.over
		c.mu.Unlock()
		if over {
			return nil
		}
	}
}

// WaitOpened blocks until the call has a stream, or is over. Only the goroutine
// that opened the call may wait, before anybody receives.
func (c *Call) WaitOpened(done <-chan struct{}) error {
	for {
		c.mu.Lock()
		ready := c.opened || c.over
		c.mu.Unlock()
		if ready {
			return nil
		}
		select {
		case <-c.wake:
		case <-done:
			return ErrDone
		}
	}
}

// WaitHeader blocks until the response's header block is there or will never
// come. Any goroutine may wait, beside the one that receives.
func (c *Call) WaitHeader(done <-chan struct{}) error {
	c.mu.Lock()
	if c.gotHeader || c.over {
		c.mu.Unlock()
		return nil
	}
	if c.headerUp == nil {
		c.headerUp = make(chan struct{})
	}
	up := c.headerUp
	c.mu.Unlock()
	select {
	case <-up:
		return nil
	case <-done:
		return ErrDone
	}
}

// headerNeverComes ends the wait for the header; the lock is held.
func (c *Call) headerNeverComes() {
	if c.headerUp != nil {
		close(c.headerUp)
		c.headerUp = nil
	}
}

// TakeMessages hands over what arrived for a unary call, once Wait or Cancel has
// found it over: nobody adds to it any more.
func (c *Call) TakeMessages() (first Message, n int) {
	n = len(c.inbox) - c.head
	if n > 0 {
		first = c.inbox[c.head]
		c.inbox[c.head] = Message{}
		c.head++
	}
	return first, n
}

// Ended says whether the peer has half-closed and everything was read.
func (c *Call) Ended() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return (c.ended || c.over) && c.head == len(c.inbox)
}
