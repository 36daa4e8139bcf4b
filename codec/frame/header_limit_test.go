package frame

import (
	"fmt"
	"io"
	"strings"
	"testing"
)

func TestTooLargeListCostsOneStreamAndKeepsTheTable(t *testing.T) {
	var many []Field
	for i := range 200 {
		many = append(many, field(fmt.Sprintf("name-%d", i), "v"))
	}
	tests := []struct {
		name string
		list []Field
	}{
		{"size", []Field{field("first", "1"), field("big", strings.Repeat("x", 20000)), field("last", "2")}},
		{"fields", many},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := NewEncoder()
			wire := e.AppendHeaders(nil, 1, tt.list, false, MinMaxFrameSize)
			wire = e.AppendHeaders(wire, 3, tt.list[len(tt.list)-1:], true, MinMaxFrameSize)
			frames, err := readAll(NewReader(pieces(wire), ReaderConfig{}))
			if err != io.EOF || len(frames) != 2 {
				t.Fatalf("%d frames, %v", len(frames), err)
			}
			h := frames[0].(*Headers)
			if !h.TooLarge || h.Fault == nil || h.Fault.Code != EnhanceYourCalm || h.Fault.StreamID != 1 {
				t.Errorf("got %v, %v; want TooLarge", h.TooLarge, h.Fault)
			}
			h = frames[1].(*Headers)
			if h.TooLarge || h.Fault != nil || len(h.Fields) != 1 || h.Fields[0] != tt.list[len(tt.list)-1] {
				t.Errorf("the next block: %v", h)
			}
		})
	}
}
