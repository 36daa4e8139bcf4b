package header

import "strings"

// Names of the fields that gRPC itself reads or writes.
const (
	nameMethod    = ":method"
	nameScheme    = ":scheme"
	namePath      = ":path"
	nameAuthority = ":authority"
	nameStatus    = ":status"

	nameContentType      = "content-type"
	nameContentLength    = "content-length"
	nameUserAgent        = "user-agent"
	nameHost             = "host"
	nameTE               = "te"
	nameTimeout          = "grpc-timeout"
	nameEncoding         = "grpc-encoding"
	nameAcceptEncoding   = "grpc-accept-encoding"
	nameMessageType      = "grpc-message-type"
	namePreviousAttempts = "grpc-previous-rpc-attempts"
	nameGRPCStatus       = "grpc-status"
	nameGRPCMessage      = "grpc-message"
	nameDetails          = "grpc-status-details-bin"
	nameTags             = "grpc-tags-bin"
	nameTrace            = "grpc-trace-bin"
)

const (
	binSuffix     = "-bin"
	valueTrailers = "trailers"
	methodPost    = "POST"
)

func isBinary(name string) bool { return strings.HasSuffix(name, binSuffix) }

// isReserved reports whether a field belongs to the protocol, so that it
// neither reaches an application as metadata nor comes from one.
// grpc-previous-rpc-attempts and grpc-retry-pushback-ms are the protocol's
// too, but applications read and write them through metadata.
func isReserved(name string) bool {
	if name == "" || name[0] == ':' {
		return true
	}
	switch name {
	case nameContentType, nameUserAgent, nameTE, nameTimeout, nameEncoding,
		nameMessageType, nameGRPCStatus, nameGRPCMessage:
		return true
	}
	return false
}

// isConnectionSpecific names the fields that have no place in HTTP/2
// (RFC 9113 8.2.2).
func isConnectionSpecific(name string) bool {
	switch name {
	case "connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade":
		return true
	}
	return false
}

// isUnsendable reports whether an application's metadata key is left out of
// what is sent. Besides the reserved names these are fields that a proxy
// copies from one call to the next although they describe the hop it came
// from.
func isUnsendable(name string) bool {
	switch name {
	case nameContentLength, nameAcceptEncoding:
		return true
	}
	return isReserved(name) || isConnectionSpecific(name)
}
