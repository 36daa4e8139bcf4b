package frame

// Ping measures and proves life (RFC 9113 6.7).
type Ping struct {
	Ack  bool
	Data [8]byte
}

func (*Ping) frame()   {}
func (*Ping) control() {}
