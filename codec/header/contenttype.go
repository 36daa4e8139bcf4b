package header

import "strings"

const baseContentType = "application/grpc"

// ContentType is the content-type of messages encoded by the codec named
// subtype: "application/grpc+json". The empty subtype stands for proto and
// gives the bare "application/grpc".
func ContentType(subtype string) string {
	switch subtype {
	case "":
		return baseContentType
	case "proto":
		return baseContentType + "+proto"
	case "json":
		return baseContentType + "+json"
	}
	return baseContentType + "+" + subtype
}

// Subtype takes the codec's name out of a content-type, in lower case, and
// reports whether the content-type is gRPC's at all. It is empty when the
// content-type names no codec. Parameters ("; charset=utf-8") are ignored;
// ";name" is read like "+name", which some peers write.
func Subtype(contentType string) (string, bool) {
	n := len(baseContentType)
	if len(contentType) < n {
		return "", false
	}
	if head := contentType[:n]; head != baseContentType && !strings.EqualFold(head, baseContentType) {
		return "", false
	}
	rest := contentType[n:]
	if rest == "" {
		return "", true
	}
	sep := rest[0]
	name, _, _ := strings.Cut(rest[1:], ";")
	name = strings.Trim(name, " \t")
	switch sep {
	case '+':
	case ';':
		if strings.Contains(name, "=") {
			name = ""
		}
	case ' ', '\t':
		// Nothing but a parameter may follow white space.
		after := strings.TrimLeft(rest, " \t")
		if after != "" && after[0] != ';' {
			return "", false
		}
		name = ""
	default:
		return "", false
	}
	return strings.ToLower(name), true
}
