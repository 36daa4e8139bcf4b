package callboard

import (
	"google.golang.org/grpc/metadata"

	"github.com/callboard-rpc/callboard/balancer"
	"github.com/callboard-rpc/callboard/balancer/policy"
)

// picked is the connection that was chosen for one attempt of an RPC, with what
// the picker wants beside: metadata in the request, and to hear of the end.
type picked struct {
	balancer.Conn
	subchannel *policy.Subchannel
	done       policy.Done // nil: nobody wants to hear of the end
	metadata   metadata.MD // added to the request; not to be changed
}

// finished tells the picker how the attempt went. Whoever picked calls it once;
// a second call does nothing. It runs on the caller's goroutine.
func (p *picked) finished(info policy.DoneInfo) {
	if d := p.done; d != nil {
		p.done = nil
		d.Done(p.subchannel, info)
	}
}

// gone says that the connection cannot take the attempt after all.
func (p *picked) gone() { p.finished(policy.DoneInfo{Abandoned: true}) }
