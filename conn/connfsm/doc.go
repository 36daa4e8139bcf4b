// Package connfsm holds the rules of one HTTP/2 connection under gRPC as a pure
// machine, for both roles: preface, SETTINGS, PING and keepalive, GOAWAY, stream
// ids and their slots, concurrency, the connection's receive window, and the
// budgets that floods run into. It owns no socket, clock or goroutine: time is
// an argument, everything it wants done is an effect.
//
// # Lifecycle
//
//	        Start               first SETTINGS
//	idle ---------> handshake ----------------> ready
//	                    |                         |  Drain, GOAWAY received,
//	                    |                         |  idle or age limit, ids used up
//	                    |                         v
//	                    |                     draining --- last stream ended
//	                    |   breach, timeout,      |               |
//	                    |   flood, Close          |               |
//	                    +-------------------------+---------------+
//	                                              |
//	                        TransportDown         v
//	closed <------------------------------- closing (GOAWAY on its way)
//
// TransportDown leads from every state to closed. Down is reported once, on the
// way into closing or, without GOAWAY, into closed.
//
// A server drains in two steps (RFC 9113 6.8): GOAWAY with id 2^31-1 and a
// PING; once that is answered, GOAWAY with the last id it took. In between it
// still takes the streams that crossed the first GOAWAY. A client has nothing
// to announce before it closes.
//
// # Streams
//
// A stream is live from the Open or HEADERS that begins it until Done; it has a
// slot as long as that, also after a reset, so that running handlers count
// against the concurrency limit. RFC 9113 5.1 for the frames of live streams is
// the stream machine's business, except for what follows the peer's own
// RST_STREAM and for HEADERS after END_STREAM. For streams that are not live:
//
//	             HEADERS          DATA             RST_STREAM   WINDOW_UPDATE
//	idle         begins it (s)    PROTOCOL_ERROR   PROTOCOL_ERROR  PROTOCOL_ERROR
//	ended        STREAM_CLOSED    RST_STREAM       ignored      ignored
//	reset by it  RST_STREAM       RST_STREAM       ignored      ignored
//	reset by us  ignored          ignored          ignored      ignored
//	forgotten    PROTOCOL_ERROR (s), ignored (c)   ignored, all three
//
// (s) on servers, (c) on clients; a bare code is a connection error, RST_STREAM
// one with STREAM_CLOSED. The last 256 closed streams are remembered. An id that
// the peer has skipped is closed as well (5.1.1) and counts as forgotten.
//
// # Legal races
//
// These change nothing, whoever is late:
//
//	any frame of a stream we reset          the peer had not seen the reset (5.1)
//	RST_STREAM, WINDOW_UPDATE when closed   likewise (5.1)
//	HEADERS beyond our last GOAWAY          the client had not seen it (6.8)
//	frames after closing began              they were under way
//	PING ack nobody waits for               counted as a glitch, no more
//	Withdraw of an Open answered already    the answer stands
//	Spill when nothing is parked            likewise
//	Credit for a stream that is Done        it pays what the stream owed, at most
//	Credit for what was abandoned           octets of an unfinished message went back with its reset
//	Drain, Close when draining or closing   the first one stands; Close still ends a drain
//	Done after closing began                frees its slot, nothing else
//	Tick before its time                    nothing is due
//	time running backwards                  the latest time seen stands
//
// # Who is to blame
//
// What the peer does wrong is a *frame.ConnError or an RST_STREAM with the
// clause it breaks. What our side does wrong (a frame before Start, a Done for a
// slot that is free, more credit than a live stream was given) panics.
package connfsm
