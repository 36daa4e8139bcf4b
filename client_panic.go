package callboard

import (
	"fmt"
	"runtime/debug"
)

// contain is deferred around user code that runs on a goroutine of ours, where
// no caller of the application's could recover. On a caller's own goroutine
// panics are left to the caller, as those of any function.
func (cc *ClientConn) contain(what, method string) {
	if v := recover(); v != nil {
		cc.sys.log.Error("callboard: panic in a "+what, "client", cc.target, "method", method,
			"panic", fmt.Sprint(v), "stack", string(debug.Stack()))
	}
}
