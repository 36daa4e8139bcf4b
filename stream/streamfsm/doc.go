// Package streamfsm is one RPC on one HTTP/2 stream as a pure machine, for
// both roles: the states of RFC 9113 5.1 and the call rules of gRPC over
// HTTP/2.
//
// A Machine is stepped with events (frames of its stream, and what the
// application does: see events.go) and puts what has to be done into Effects.
// It owns no socket, clock or goroutine. It serves one RPC after the other:
// Open (client) or HEADERS of a higher stream id (server) begins the next.
//
// # States
//
//	                     +--------+
//	       Open, HEADERS |  idle  | HEADERS
//	      (client) ,-----|        |-----. (server)
//	               |     +--------+     |
//	               v                    v
//	            +--------------------------+
//	   send ES  |                          |  recv ES
//	    ,-------|           open           |-------.
//	    |       |                          |       |
//	    v       +--------------------------+       v
//	+----------+             |               +----------+
//	|   half-  |             |               |   half-  |
//	|  closed  |             | RST_STREAM    |  closed  |
//	|  (local) |             | either way,   | (remote) |
//	+----------+             | Lost,         +----------+
//	    |                    | Rejected            |
//	    | recv ES,           v            send ES, |
//	    | RST_STREAM    +--------+      RST_STREAM |
//	    `-------------->| closed |<----------------'
//	                    +--------+
//
// ES is END_STREAM: Open or Send with EndStream of a client, Finish of a
// server. A client never stays half-closed (remote) and a server never
// half-closed (local): a response that is complete ends the RPC, so the rest
// of the request is called off with RST_STREAM(NO_ERROR). A server does so
// behind everything it has queued, a client drops what it has queued.
//
// Closed is the stream's state. The RPC is over with Effects.Done: for a
// client at the same time, for a server when its handler has finished.
//
// # One RPC
//
//	client   Open    ... Header? Messages* ...            Outcome Done
//	server   Accept  ... Messages* RemoteEnd? Outcome? ... Finish  Done
//
// A client's RPC has exactly one Outcome. A server's has one only when it ends
// before its handler has finished: by RST_STREAM, loss, a deadline, or inbound
// messages that cannot be read. In the last two cases the stream is still
// open, and what Finish brings is sent. A request that is fit for no handler
// is answered here and has no Accept.
//
// # Buffers
//
// A Payload goes into an Outgoing or is released. A Message goes to the
// application or is released. Headers go to the application (Accept, Header,
// Outcome.Trailer) or are freed; Data and RSTStream are freed.
//
// # Windows
//
// A stream's receive window begins at InitialWindow. A message that does not
// fit makes it grow by all that the message lacks, charged to Config.Growth; it
// stays as large while that budget is not tight, and what is given back is
// reported with Returned. Refused, the machine reports Starved, once, and waits
// for Grow:
//
//	DATA begins a message --- it fits ---------------------------> WINDOW_UPDATE as read
//	          |
//	          +--- larger ---- Growth admits it --------- grow --> WINDOW_UPDATE of the rest
//	                    |                                  ^
//	                    +----- refused: Starved ... Grow --+
//
// # Wrong input
//
//   - ours (panic): an event for a stream the machine has not seen; an event of
//     the other role; Open or HEADERS for a new stream while the last RPC is not
//     over; Finish twice; a server's Send with EndStream; an application's event
//     where no handler runs; more Consumed than was delivered
//   - the application's (dropped; its side of the call reports it): Send after
//     the sending direction has ended, SendHeader twice
//   - the peer's: a *frame.StreamError, after which the stream has been reset,
//     or a *frame.ConnError where it is closed and nothing can be sent on it
//
// Legal races, ignored. Whatever buffer such an event carries is released.
//
//	event                       of a stream that               because
//	Send SendHeader Cancel      is closed                      it crossed the end of the RPC
//	Send SendHeader Finish      had the slot before            the same, and the slot went on
//	  Cancel
//	Consumed                    is closed or had the slot      the application reads on; Credit passes
//	                            before                         on what a client's Done called Owed
//	Grow                        is closed, had the slot         the message needs it no more; its octets
//	                            before, or needs less          go back with the step
//	Cancel                      a server's handler was told    two reasons met
//	Fail Lost Rejected          is closed, or had the slot     they crossed the end of the RPC
//	                            before
//	Headers Data                we have reset, or had the      sent before the peer saw RST_STREAM;
//	                            slot before                    DATA's octets are credited
//	RSTStream                   is closed, or had the slot     both sides ended it
//	                            before
//
// HEADERS or DATA after the peer's own END_STREAM or RST_STREAM is no race.
package streamfsm
