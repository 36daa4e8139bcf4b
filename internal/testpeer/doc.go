// Package testpeer is a scripted HTTP/2 peer for tests: one end of a real
// connection whose every frame, right or wrong, is written by the test.
//
// A test plays the client against a server under test:
//
//	p := testpeer.Dial(t, addr)
//	p.Handshake()
//	p.Headers(1, testpeer.Request("/greeter.Greeter/Hello")...)
//	p.DataEnd(1, testpeer.Message(payload))
//	r := p.ExpectTrailers(1, codes.OK)
//
// or the server against a client under test, where the script runs beside the
// call:
//
//	l := testpeer.Listen(t)
//	l.Script(func(p *testpeer.Peer) {
//		p.Handshake()
//		q := p.ExpectRequest()
//		p.GoAway(0, http2.ErrCodeNo, "")
//		p.ExpectClosed(time.Second)
//	})
//
// # Manners
//
// Left alone a peer answers SETTINGS and PING with their ACK and grants no
// flow-control window beyond what the script sends. [Rude] turns the answers
// off. An open header block or [Peer.Raw] holds them back, because an ACK in
// between would be a protocol error that the script did not write.
//
// # Expectations
//
// Received frames are kept until asked for. An expectation about a stream looks
// at the frames of that stream alone, in order; one about the connection looks
// at the frames of stream 0. A frame nobody asks for never fails a test. Every
// wait has a deadline, and a failed expectation prints the transcript of the
// conversation.
//
// Writing to a connection that the other side has closed is not a failure:
// what the script expects next decides. Writing to one that has stalled is.
package testpeer
