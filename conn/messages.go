package conn

import (
	"net"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"

	"github.com/callboard-rpc/callboard/codec/frame"
	"github.com/callboard-rpc/callboard/conn/outbound"
)

// In, from the parent and the application.

// Drain ends the connection gently: no new streams, those in flight finish.
// The parent sends it; Down follows.
type Drain struct{ Reason string }

// Spill refuses the calls that wait for a stream, so that they ask another
// connection. The parent sends it when there is one.
type Spill struct{}

// Close ends the connection now. The parent sends it; Down follows.
type Close struct {
	Reason string
	Err    error
	Code   codes.Code // what the connection's RPCs get; 0: UNAVAILABLE
}

// In, from the children. *frame.Batch comes from the reader, too, and
// *stream.OpenCall, *stream.CancelCall, *stream.Done, *stream.Credit and
// *stream.Reset from the streams and their applications.

// up says that the transport's handshake succeeded. The reader sends it first;
// loopy gets the socket, SETTINGS follow.
type up struct {
	nc   net.Conn
	auth credentials.AuthInfo
}

// quiet says that the peer has sent nothing for a while. The reader sends it
// once per pause.
type quiet struct{}

// readEnded says that the reader reads no more. A *frame.ConnError is the
// peer's breach, io.EOF its end.
type readEnded struct{ err error }

// writeEnded says that loopy writes no more.
type writeEnded struct{ err error }

// flushed reports what loopy put on the wire: streams whose last frame went out
// (or was dropped), DATA frames, header blocks that could not be written. Loopy
// sends one per flush, and only when it holds something.
type flushed struct {
	finished     []outbound.Ended
	rejected     []outbound.Rejected
	dataFrames   int
	headerBlocks int
}

// streamFailed says that the peer broke a rule about one stream's window. Loopy
// sends it.
type streamFailed struct {
	slot frame.SlotIndex
	err  *frame.StreamError
}

// stallCheck is loopy's own timer.
type stallCheck struct{ gen uint64 }

// shut says that loopy has flushed everything and closed the socket.
type shut struct{}

// tick is the connection's own timer.
type tick struct{ gen uint64 }

// Out, to the parent.

// Ready says that the peer's settings arrived: streams may be opened.
type Ready struct{ Ref Ref }

// Crowded says that calls begin to wait because the peer's
// MAX_CONCURRENT_STREAMS is reached. Only connections whose Config wants it
// send it.
type Crowded struct{ Ref Ref }

// GoAway says that the connection takes no new streams. Frame is what the peer
// said, nil when it was ourselves.
type GoAway struct {
	Ref   Ref
	Frame *frame.GoAway
}

// Down says that the connection is over. Its actor lives on until its last
// handler has returned.
type Down struct {
	Ref   Ref
	Err   error // why; nil after a drain
	Ready bool  // it had been ready
}

// Out, to loopy, beside *frame.Outgoing, *frame.Grant and frame.Control.

// socket hands loopy the socket.
type socket struct{ nc net.Conn }

// finish asks loopy to flush what it can and close the socket.
type finish struct{}

// Out, to the reader.

// begin starts the reader: handshake, preface, then one read after the other.
type begin struct{}

// read asks for one socket read; the reader sends it to itself.
type read struct{}

// forget says that a stream is over and its partial message is of no use.
type forget struct{ id frame.StreamID }
