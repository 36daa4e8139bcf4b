package header

import "strconv"

// maxEscaped is how many octets of a peer's text an error repeats.
const maxEscaped = 96

// Escape quotes text that a peer controls for use in an error or a log line:
// one line of printable ASCII, in double quotes, clipped.
func Escape(s string) string {
	if len(s) <= maxEscaped {
		return strconv.QuoteToASCII(s)
	}
	return strconv.QuoteToASCII(s[:maxEscaped]) + "... (" + strconv.Itoa(len(s)) + " octets)"
}
