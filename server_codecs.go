package callboard

import (
	"maps"
	"sync"
	"sync/atomic"

	"github.com/callboard-rpc/callboard/codec"
)

// serverCodecs finds a server's codecs by content-subtype without asking the
// registry for each RPC.
type serverCodecs struct {
	forced codec.Codec // serves everything, if not nil
	known  atomic.Pointer[map[string]codec.Codec]
	mu     sync.Mutex // of writers
}

// get finds the codec of a content-subtype. Proto serves those that nobody has
// registered, as in grpc-go: the message may still be read.
func (c *serverCodecs) get(subtype string) codec.Codec {
	if c.forced != nil {
		return c.forced
	}
	if known := c.known.Load(); known != nil {
		if found, ok := (*known)[subtype]; ok {
			return found
		}
	}
	found, ok := codec.ForSubtype(subtype)
	if !ok {
		found, _ = codec.ForSubtype("")
		return found // not remembered: the peer chose the name
	}
	c.remember(subtype, found)
	return found
}

func (c *serverCodecs) remember(subtype string, found codec.Codec) {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := map[string]codec.Codec{subtype: found}
	if old := c.known.Load(); old != nil {
		maps.Copy(known, *old)
	}
	c.known.Store(&known)
}
