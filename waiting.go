package callboard

import (
	"fmt"

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
