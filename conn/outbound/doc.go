// Package outbound decides what goes on the wire of one connection next. It is
// the machine behind the loopy writer: per-stream queues, the send windows of
// RFC 9113 6.9, the order of frames, and the accounting of what has left.
//
// Queue is pure: it is stepped with what streams and the connection want
// written and with what the peer allows (see messages.go), and Fill puts bytes,
// finished streams and rejected header blocks into a Writes. It has no socket,
// clock or goroutine and belongs to one goroutine at a time.
//
// # Order
//
//	control frames      as they are stepped: ahead of everything that waits
//	header blocks       first come, first served, over all streams: a client's
//	                    stream ids must reach the wire in increasing order (5.1.1)
//	DATA                round robin, one frame of at most 16 KiB per stream and turn
//	trailers, END_STREAM, RST_STREAM "after"
//	                    behind everything their stream has queued
//	RST_STREAM          at once; what its stream has queued is dropped
//
// Most of an RPC's Outgoings find nothing waiting and enough window: a whole
// unary request or response is encoded during the Step that brings it, without
// being queued. An Outgoing with DATA does so only while no other stream waits
// for its turn, so nobody is overtaken.
//
// # A stream's record
//
// Records are indexed by slot. A slot serves one stream after the other, with
// growing ids; the first Outgoing or Grant of a higher id starts the record
// anew with the peer's current initial window.
//
//	         HEADERS          END_STREAM
//	fresh ------------> open ------------> ended       server records start open:
//	  |                  | RST_STREAM        |         the peer's HEADERS came first
//	  |   rejected,      v                   | RST_STREAM
//	  +--------------> over <----------------+         over: whatever still comes
//	     reset, dropped  | Last                        is dropped
//	                     v
//	                 finished                          reported in Writes.Finished
//
// Last finishes a record from every state. A reset of a client's stream whose
// HEADERS never left writes nothing: the id is skipped, which 5.1.1 allows.
//
// # Wrong input
//
//   - ours (panic): an event of unknown type; a slot below 0; content after
//     END_STREAM; a client's DATA before HEADERS
//   - the peer's: a stream window above 2^31-1 is a *frame.StreamError, the
//     connection's, or one pushed above by SETTINGS, a *frame.ConnError
//
// Legal races, ignored (buffers released, quotas told):
//
//	Outgoing  of a lower id than the record's            the slot went on to its next stream
//	Outgoing  of a stream that is over or finished       it crossed a Drop, a Reset or a Rejected
//	Grant     of a lower id, or after Last or RST_STREAM the peer could not know yet
//	Drop      of a lower id, or of a finished stream     the peer reset what we had ended
//	anything  after Break                                the connection is lost
package outbound
