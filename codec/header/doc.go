// Package header gives HTTP/2 header fields their gRPC meaning, in both
// directions, as the gRPC over HTTP/2 protocol describes it.
//
// Outbound, Request, Response and Trailer list their fields for the encoder
// (each is a frame.FieldSource). Inbound, ParseRequest, ParseResponse,
// ParseTrailer and ParseTrailersOnly check a decoded block against RFC 9113
// section 8 and the gRPC protocol and pick out what a call needs. The usual
// blocks pass both ways without an allocation: the strings belong to the HPACK
// decoder's output, and metadata maps are built only when somebody asks.
//
// Every rule that a peer can break has one answer, a *Problem:
//
//	a malformed field or pseudo-field    Malformed: RST_STREAM(PROTOCOL_ERROR)
//	content-type is not application/grpc Reply: 415, InvalidArgument
//	repeated host, no authority at all   Reply: 400, Internal
//	bad grpc-timeout, bad -bin value     Reply: 400, Internal
//	a repeated single field that differs Reply: 400, Internal
//	a method other than POST             Reply: 405, Internal
//	a path without a leading slash       Reply: 200, Unimplemented
//	a response that is not gRPC          Broken: the code of its HTTP status
//	bad -bin value in a response         Broken: Internal
//
// A trailing block without a readable grpc-status is not a Problem but the
// status Unknown, as the protocol has it.
//
// Everything a peer controls is escaped and clipped (Escape) before it enters
// an error text. The one exception is grpc-message: it is the server
// application's own text for the client application.
package header
