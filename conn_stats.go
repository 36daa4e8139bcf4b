package callboard

import (
	"context"
	"net"
	"sync/atomic"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/stats"
)

// connStats tells stats handlers of one connection: TagConn and ConnBegin when
// its handshake is done, ConnEnd when it is over. Handlers are user code, so
// none of that happens on an actor's turn.
type connStats struct {
	handlers []stats.Handler
	client   bool
	contain  func(what, method string) // deferred around them

	ctx  context.Context // what TagConn made; nil: nobody was told
	told atomic.Bool     // that it began, and not yet that it ended
}

// begin runs before anything is read from nc: what the handlers tag is there
// for the first RPC.
func (t *connStats) begin(nc net.Conn, auth credentials.AuthInfo) {
	if len(t.handlers) == 0 {
		return
	}
	defer t.contain("stats handler", "")
	remote, local := nc.RemoteAddr(), nc.LocalAddr()
	ctx := peer.NewContext(context.Background(), &peer.Peer{Addr: remote, LocalAddr: local, AuthInfo: auth})
	for _, h := range t.handlers {
		ctx = h.TagConn(ctx, &stats.ConnTagInfo{RemoteAddr: remote, LocalAddr: local})
	}
	t.ctx = ctx
	t.told.Store(true)
	t.tell(&stats.ConnBegin{Client: t.client})
}

// end may be called on an actor's turn, and more than once.
func (t *connStats) end() {
	if t.told.Swap(false) {
		// Edge: the application's stats handlers.
		go t.tell(&stats.ConnEnd{Client: t.client})
	}
}

func (t *connStats) tell(ev stats.ConnStats) {
	defer t.contain("stats handler", "")
	for _, h := range t.handlers {
		h.HandleConn(t.ctx, ev)
	}
}
