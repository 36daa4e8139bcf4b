package frame

// SettingID names an HTTP/2 setting (RFC 9113 6.5.2).
type SettingID uint16

// Settings of RFC 9113 6.5.2.
const (
	SettingHeaderTableSize      SettingID = 0x1
	SettingEnablePush           SettingID = 0x2
	SettingMaxConcurrentStreams SettingID = 0x3
	SettingInitialWindowSize    SettingID = 0x4
	SettingMaxFrameSize         SettingID = 0x5
	SettingMaxHeaderListSize    SettingID = 0x6
)

// Setting is one entry of a SETTINGS frame.
type Setting struct {
	ID  SettingID
	Val uint32
}

// Settings carries connection parameters (RFC 9113 6.5). An Ack is empty.
// The reader checks form (length, number of entries), the connection machine
// checks values.
type Settings struct {
	Ack    bool
	Values []Setting
}

func (*Settings) frame()   {}
func (*Settings) control() {}
