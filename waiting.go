package callboard

import (
	"context"
	"fmt"
	"time"

	"github.com/callboard-rpc/callboard/balancer"
	"github.com/callboard-rpc/callboard/stream"
)

// whereWas says, for the status of a call that ended by its context, what it
// was waiting for.
func (cc *ClientConn) whereWas(c *stream.Call) string {
	if !c.Opened() {
		return fmt.Sprintf("while waiting for a stream: all streams of %s are in use", cc.target)
	}
	if n := c.Queued(); n > 0 {
		return fmt.Sprintf("while %d octets of the request wait to be sent to %s", n, cc.target)
	}
	return fmt.Sprintf("while waiting for the response of %s", cc.target)
}

// awaitAnother waits until the picker no longer offers a connection that is
// known to be over, so that the next attempt finds another.
func (e *channelEdge) awaitAnother(ctx context.Context, ref balancer.Conn) {
	if ref.Up() {
		return
	}
	for {
		ep := e.now.Load()
		if r, ok, _ := ep.picker.Pick(); !ok || r != ref {
			return
		}
		select {
		case <-ep.superseded:
		case <-ctx.Done():
			return
		}
	}
}

// clientPingTime is gRFC A8's floor for keepalive: a peer may well refuse more.
func clientPingTime(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return max(d, 10*time.Second)
}
