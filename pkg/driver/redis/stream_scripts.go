package redis

import _ "embed" // the scripts

//go:embed lua/stream.lua
var topicText string

//go:embed lua/stream_make.lua
var topicMakeText string

//go:embed lua/stream_append.lua
var topicAppendText string

//go:embed lua/stream_read.lua
var topicReadText string

//go:embed lua/stream_info.lua
var topicInfoText string

//go:embed lua/stream_at.lua
var topicAtText string

//go:embed lua/stream_retain.lua
var topicRetainText string

//go:embed lua/stream_truncate.lua
var topicTruncateText string

//go:embed lua/stream_commit.lua
var topicCommitText string

//go:embed lua/stream_groups.lua
var topicGroupsText string

//go:embed lua/stream_sweep.lua
var topicSweepText string

//go:embed lua/stream_drop.lua
var topicDropText string

// The scripts of topics, in their own words or after what they share.
var (
	topicMakeScript     = newScript(topicMakeText)
	topicAppendScript   = newScript(ledgerText + topicText + topicAppendText)
	topicReadScript     = newScript(topicText + topicReadText)
	topicInfoScript     = newScript(topicText + topicInfoText)
	topicAtScript       = newScript(topicText + topicAtText)
	topicRetainScript   = newScript(topicText + topicRetainText)
	topicTruncateScript = newScript(topicText + topicTruncateText)
	topicCommitScript   = newScript(topicText + topicCommitText)
	topicGroupsScript   = newScript(topicText + topicGroupsText)
	topicSweepScript    = newScript(topicText + topicSweepText)
	topicDropScript     = newScript(topicDropText)

	topicScripts = []*script{
		topicMakeScript, topicAppendScript, topicReadScript, topicInfoScript, topicAtScript, topicRetainScript,
		topicTruncateScript, topicCommitScript, topicGroupsScript, topicSweepScript, topicDropScript,
	}
)
