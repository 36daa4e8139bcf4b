package resolver

import (
	"errors"
	"fmt"
	"runtime/debug"
)

var errGoexit = errors.New("the resolver ended the goroutine it was called on")

// crash is what user code panicked with away from the actor's turn, and where.
// The actor panics with it in turn.
type crash struct {
	value any
	stack []byte
}

func (c *crash) Error() string { return fmt.Sprintf("%.200v", c.value) }

// Unwrap gives the value if it is an error.
func (c *crash) Unwrap() error {
	err, _ := c.value.(error)
	return err
}

// edge runs user code on a goroutine of its own and reports how it ended, by
// report if it returned and by crashed if it did not.
func edge(code, report func(), crashed func(*crash)) {
	go func() { // Edge: user code
		returned := false
		defer func() {
			v := recover()
			switch {
			case returned:
				report()
			case v == nil:
				crashed(&crash{value: errGoexit, stack: debug.Stack()})
			default:
				crashed(&crash{value: v, stack: debug.Stack()})
			}
		}()
		code()
		returned = true
	}()
}

// contained is what f returns, or what it panicked with as an error.
func contained(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %.200v", v)
		}
	}()
	return f()
}
