package frame

import "fmt"

// violation is a *ConnError that blames the peer.
func violation(code ErrCode, clause, format string, args ...any) *ConnError {
	return &ConnError{Code: code, Blame: Remote, Reason: fmt.Sprintf(format, args...), Clause: clause}
}

// tooMuch is a *ConnError for going past one of our own limits.
func tooMuch(format string, args ...any) *ConnError {
	return violation(EnhanceYourCalm, "", format, args...)
}

// malformed is a defect that costs one stream only.
func malformed(id StreamID, code ErrCode, clause, reason string) *StreamError {
	return &StreamError{StreamID: id, Code: code, Blame: Remote, Reason: reason, Clause: clause}
}

var typeNames = [...]string{
	"DATA", "HEADERS", "PRIORITY", "RST_STREAM", "SETTINGS",
	"PUSH_PROMISE", "PING", "GOAWAY", "WINDOW_UPDATE", "CONTINUATION",
}

// typeName names a frame type in reasons.
func typeName(t uint8) string {
	if int(t) < len(typeNames) {
		return typeNames[t]
	}
	return fmt.Sprintf("frame of type 0x%x", t)
}
