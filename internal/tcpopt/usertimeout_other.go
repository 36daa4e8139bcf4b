//go:build !linux

// Package tcpopt sets socket options that package net does not.
package tcpopt

import (
	"net"
	"time"
)

// SetUserTimeout does nothing: only Linux has the option.
func SetUserTimeout(net.Conn, time.Duration) error { return nil }
