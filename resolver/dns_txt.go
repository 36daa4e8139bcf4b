package resolver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

const (
	txtName      = "_grpc_config."
	txtAttribute = "grpc_config=" // RFC 1464
	// maxTXT is how many octets of TXT records are looked at (gRFC A2: a DNS
	// response is not longer).
	maxTXT   = 64 << 10
	language = "go"
)

var (
	errLongTXT    = fmt.Errorf("TXT records of more than %d octets", maxTXT)
	errPercentage = errors.New("percentage is not from 0 to 100")
	errNoObject   = errors.New("serviceConfig is no object")
)

// lookupConfig settles the service config that TXT records offer.
func (s *dnsSource) lookupConfig(ctx context.Context) {
	if !s.txt {
		return
	}
	records, err := s.dns.LookupTXT(ctx, txtName+s.host)
	switch {
	case err == nil:
		s.config, s.configErr = s.client.choose(records)
	case absent(err):
		s.config, s.configErr = "", nil
	}
}

// client is what choices of a service config are made by.
type client struct {
	hostname string
	// draw is a number from 0 to 99, drawn once: a client that is in a canary
	// stays in it as it looks again.
	draw int
}

// choice is one entry of the list in a TXT record (gRFC A2).
type choice struct {
	ClientLanguage []string        `json:"clientLanguage"`
	Percentage     *int            `json:"percentage"`
	ClientHostname []string        `json:"clientHostname"`
	ServiceConfig  json.RawMessage `json:"serviceConfig"`
}

// choose gives the first service config among the records that is for this
// client, or "". A list that is not valid, in whatever part, is refused as a
// whole (gRFC A2).
func (c client) choose(records []string) (string, error) {
	lists, err := configLists(records)
	if err != nil {
		return "", fmt.Errorf("dns: service config: %w", err)
	}
	var found string
	for _, list := range lists {
		choices, err := parseChoices(list)
		if err != nil {
			return "", fmt.Errorf("dns: service config: %w", err)
		}
		for _, ch := range choices {
			if found == "" && c.fits(&ch) {
				found = string(ch.ServiceConfig)
			}
		}
	}
	return found, nil
}

// configLists finds the values of the attribute. A record is a list of its own;
// one that is not complete goes on in the records behind it, as grpc-go reads
// them.
func configLists(records []string) ([]string, error) {
	var lists []string
	size := 0
	for i, r := range records {
		if size += len(r); size > maxTXT {
			return nil, errLongTXT
		}
		value, ours := strings.CutPrefix(r, txtAttribute)
		switch {
		case !ours:
		case json.Valid([]byte(value)):
			lists = append(lists, value)
		default:
			for _, more := range records[i+1:] {
				if size += len(more); size > maxTXT {
					return nil, errLongTXT
				}
				value += more
			}
			return append(lists, value), nil
		}
	}
	slices.Sort(lists) // servers rotate records
	return lists, nil
}

func parseChoices(list string) ([]choice, error) {
	var choices []choice
	d := json.NewDecoder(strings.NewReader(list))
	d.DisallowUnknownFields() // a criterion that is not known could exclude us
	if err := d.Decode(&choices); err != nil {
		return nil, err
	}
	if d.More() {
		return nil, errors.New("there is more behind the list")
	}
	for i, ch := range choices {
		if p := ch.Percentage; p != nil && (*p < 0 || *p > 100) {
			return nil, fmt.Errorf("choice %d: %w", i+1, errPercentage)
		}
		if !bytes.HasPrefix(bytes.TrimSpace(ch.ServiceConfig), []byte("{")) {
			return nil, fmt.Errorf("choice %d: %w", i+1, errNoObject)
		}
	}
	return choices, nil
}

// fits reports whether all criteria are met; those that are absent or empty
// are.
func (c client) fits(ch *choice) bool {
	return (len(ch.ClientLanguage) == 0 || slices.ContainsFunc(ch.ClientLanguage, func(l string) bool { return strings.EqualFold(l, language) })) &&
		(ch.Percentage == nil || c.draw < *ch.Percentage) &&
		(len(ch.ClientHostname) == 0 || slices.Contains(ch.ClientHostname, c.hostname))
}
