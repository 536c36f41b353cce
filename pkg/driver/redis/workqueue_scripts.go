package redis

import (
	_ "embed" // the scripts
	"strings"
)

//go:embed lua/workqueue.lua
var queueText string

//go:embed lua/workqueue_time.lua
var queueTimeText string

//go:embed lua/workqueue_make.lua
var queueMakeText string

//go:embed lua/workqueue_publish.lua
var queuePublishText string

//go:embed lua/workqueue_receive.lua
var queueReceiveText string

//go:embed lua/workqueue_settle.lua
var queueSettleText string

//go:embed lua/workqueue_dead.lua
var queueDeadText string

//go:embed lua/workqueue_info.lua
var queueInfoText string

//go:embed lua/workqueue_peek.lua
var queuePeekText string

//go:embed lua/workqueue_sweep.lua
var queueSweepText string

//go:embed lua/workqueue_drop.lua
var queueDropText string

// The scripts of work queues, in their own words or after what they share. What
// one does not need it does not have: to begin costs as much as some commands.
var (
	// ofQueue are the kinds of keys that a queue has beside its meta.
	ofQueue = strings.Split("sbrwdlxghio", "")

	queueMakeScript    = newScript(queueMakeText, nil)
	queuePublishScript = newScript(ledgerText+queueText+queuePublishText, ofQueue)
	queueReceiveScript = newScript(queueText+queueTimeText+queueReceiveText, ofQueue)
	queueSettleScript  = newScript(queueText+queueSettleText, ofQueue)
	queueDeadScript    = newScript(queueText+queueTimeText+queueDeadText, ofQueue)
	queueInfoScript    = newScript(queueText+queueTimeText+queueInfoText, ofQueue)
	queuePeekScript    = newScript(queueText+queueTimeText+queuePeekText, ofQueue)
	queueSweepScript   = newScript(queueText+queueTimeText+queueSweepText, ofQueue)
	queueDropScript    = newScript(queueDropText, ofQueue)

	queueScripts = []*script{
		queueMakeScript, queuePublishScript, queueReceiveScript, queueSettleScript, queueDeadScript,
		queueInfoScript, queuePeekScript, queueSweepScript, queueDropScript,
	}
)
