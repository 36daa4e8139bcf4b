package attempt

import (
	"time"

	"google.golang.org/grpc/codes"
)

// Event is one of the types below.
type Event interface{ event() }

type (
	// Begin starts the RPC.
	Begin struct{}
	// Headers says that response headers came for attempt N.
	Headers struct{ N int }
	// Ended is how attempt N ended.
	Ended struct {
		N        int
		Code     codes.Code
		Pushback Pushback
		Unsent   bool // it never left the client
		Refused  bool // no handler of the server can have seen it
		Dropped  bool // the picker wants this RPC to fail (gRFC A6: DROP)
	}
	// Full says that what the RPC sends does not fit into its replay buffer. N is
	// the attempt to go on with, the one that has sent most; None where none is
	// under way.
	Full struct{ N int }
	// Tick says that the time asked for with Effects.Wake has come, or passed.
	Tick struct{}
	// Cancel ends the RPC: its context has ended, or its owner gives up.
	Cancel struct{}
)

// None stands where no attempt is meant.
const None = -1

func (Begin) event()   {}
func (Headers) event() {}
func (Ended) event()   {}
func (Full) event()    {}
func (Tick) event()    {}
func (Cancel) event()  {}

// Effects are what a step asks for, in this order. The owner performs them and
// resets the value for the next step.
type Effects struct {
	Cancel []int     // attempts to give up; nothing that is reported of them counts any more
	Commit int       // the attempt that is the RPC from now on, or None
	Start  []Start   // attempts to begin
	Wake   time.Time // when a Tick is wanted; zero: none. It replaces what earlier steps asked for.
	Finish bool      // the RPC is over
	Final  int       // with Finish: whose end is the RPC's, or None after Cancel
}

// Start asks for an attempt.
type Start struct {
	N           int  // counts all of them, from 0
	Previous    int  // grpc-previous-rpc-attempts; 0: not sent
	Transparent bool // it repeats one that no server has looked at
}

// Reset empties fx for the next step. Capacity is kept.
func (fx *Effects) Reset() {
	*fx = Effects{Cancel: fx.Cancel[:0], Start: fx.Start[:0], Commit: None, Final: None}
}
