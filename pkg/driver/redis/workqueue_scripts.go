package redis

import _ "embed" // the scripts

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
	queueMakeScript    = newScript(queueMakeText)
	queuePublishScript = newScript(ledgerText + queueText + queuePublishText)
	queueReceiveScript = newScript(queueText + queueTimeText + queueReceiveText)
	queueSettleScript  = newScript(queueText + queueSettleText)
	queueDeadScript    = newScript(queueText + queueTimeText + queueDeadText)
	queueInfoScript    = newScript(queueText + queueTimeText + queueInfoText)
	queuePeekScript    = newScript(queueText + queueTimeText + queuePeekText)
	queueSweepScript   = newScript(queueText + queueTimeText + queueSweepText)
	queueDropScript    = newScript(queueDropText)

	queueScripts = []*script{
		queueMakeScript, queuePublishScript, queueReceiveScript, queueSettleScript, queueDeadScript,
		queueInfoScript, queuePeekScript, queueSweepScript, queueDropScript,
	}
)
