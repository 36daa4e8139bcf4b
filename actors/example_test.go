package actors_test

import (
	"fmt"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/callboard-rpc/callboard/actors"
)

// deposit asks an account to grow.
type deposit struct{ amount int }

type account struct{ balance int }

func (a *account) Receive(c actor.Context) {
	switch msg := c.Message().(type) {
	case *actor.Started:
		actors.ProbeOf(c).SetState("open")
	case *deposit:
		a.balance += msg.amount
		fmt.Println("balance", a.balance)
	}
}

func Example() {
	system := actors.NewSystem(nil)
	table := new(actors.Table)
	spec := &actors.Spec{Kind: "account", Mode: actors.Inline, Table: table}

	ref, err := actors.Spawn[*deposit](system.Root, "alice", spec, &account{})
	if err != nil {
		fmt.Println(err)
		return
	}
	ref.Tell(&deposit{5})
	ref.Tell(&deposit{7})
	for _, p := range table.Snapshot() {
		fmt.Println(p.Path(), p.State(), p.Mailbox().Counters().Processed)
	}
	stopped := ref.Probe().Done()
	ref.Stop()
	<-stopped
	// Output:
	// balance 5
	// balance 12
	// alice open 2
}
