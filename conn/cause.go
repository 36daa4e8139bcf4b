package conn

import (
	"fmt"

	"github.com/callboard-rpc/callboard/actors"
	"github.com/callboard-rpc/callboard/codec/frame"
	"github.com/callboard-rpc/callboard/conn/connfsm"
)

// GoAwayError is the loss of a connection that the peer has announced.
type GoAwayError struct {
	Frame *frame.GoAway
	Err   error // what ended the connection in the end; nil: it was only drained
}

func (e *GoAwayError) Error() string {
	said := fmt.Sprintf("the peer sent GOAWAY %v %q", e.Frame.Code, e.Frame.Debug)
	if e.Err == nil {
		return said
	}
	return said + ", then: " + e.Err.Error()
}

// Unwrap gives what ended the connection in the end.
func (e *GoAwayError) Unwrap() error { return e.Err }

// Cause is why the connection takes no more RPCs: a *GoAwayError, a
// *frame.ConnError, the transport's error or what Close gave. It is nil while
// the connection serves, and when it was drained by our own wish.
func (r Ref) Cause() error {
	if r.e == nil {
		return nil
	}
	if err := r.e.cause.Load(); err != nil {
		return *err
	}
	return nil
}

// explain keeps why the connection drains or closes. What the peer announced
// explains more than the end of the socket that follows.
func (e *edge) explain(said *frame.GoAway, cl *connfsm.Closing) {
	if said == nil && (cl == nil || cl.Err == nil) {
		return
	}
	var err error
	if was := e.cause.Load(); was != nil {
		err = *was
	}
	if said != nil {
		err = &GoAwayError{Frame: said}
	}
	if cl != nil && cl.Err != nil {
		switch was := err.(type) { //nolint:errorlint // as stored here, not as somebody wrapped it
		case nil:
			err = cl.Err
		case *GoAwayError:
			err = &GoAwayError{Frame: was.Frame, Err: cl.Err}
		default:
			return
		}
	}
	e.cause.Store(&err)
}

// cut: somebody stopped the actor of a connection that was not down, because it
// or a child of it has panicked, or because everything stops.
func (c *conn) cut() {
	err := errStopped
	for _, a := range [...]actors.Ref[any]{c.self, c.reader, c.loopy} {
		if a.Valid() && a.Probe().LastFailure() != nil {
			err = a.Probe().LastFailure().Reason
		}
	}
	c.edge.cause.CompareAndSwap(nil, &err)
	c.self.Probe().Publish(&Down{Ref: c.ref(), Err: err, Ready: c.edge.ready.Load()})
	if c.wasUp && c.onDown != nil {
		c.onDown(c.edge.info.Load(), errStopped)
	}
}
