package main

import (
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
)

func TestCommandLineIsChecked(t *testing.T) {
	for _, tt := range []struct {
		name, line string
		ok         bool
	}{
		{name: "defaults", line: "demo", ok: true},
		{name: "all flags", line: "demo --duration=2s --concurrency=1 --streams=0 --deadline=1s --all", ok: true},
		{name: "too short", line: "demo --duration=1ms"},
		{name: "nobody calls", line: "demo --concurrency=0"},
		{name: "negative streams", line: "demo --streams=-1"},
		{name: "no deadline", line: "demo --deadline=0s"},
		{name: "no command", line: ""},
		{name: "unknown command", line: "dance"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var cli commands
			k, err := kong.New(&cli)
			if err != nil {
				t.Fatal(err)
			}
			_, err = k.Parse(strings.Fields(tt.line))
			if (err == nil) != tt.ok {
				t.Errorf("Parse: %v, want ok = %v", err, tt.ok)
			}
		})
	}
}

func TestDemoRunsAFewSecondsByDefault(t *testing.T) {
	var cli commands
	k, err := kong.New(&cli)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Parse([]string{"demo"}); err != nil {
		t.Fatal(err)
	}
	if d := cli.Demo.Duration; d < 2*time.Second || d > 10*time.Second {
		t.Errorf("default duration %v", d)
	}
}
