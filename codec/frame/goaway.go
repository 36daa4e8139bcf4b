package frame

// MaxDebugData bounds how much of a GOAWAY's debug data is kept.
const MaxDebugData = 1024

// GoAway announces that a connection takes no streams beyond LastStreamID
// (RFC 9113 6.8).
type GoAway struct {
	LastStreamID StreamID
	Code         ErrCode
	Debug        []byte // at most MaxDebugData octets, unescaped
}

func (*GoAway) frame()   {}
func (*GoAway) control() {}
