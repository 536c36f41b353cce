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

// kindStream begins the key of a partition, whose number follows.
const kindStream = "s"

// The scripts of topics, in their own words or after what they share.
var (
	// ofTopic are the kinds of keys that a topic has beside its meta, its partitions
	// and what its groups have committed.
	ofTopic = []string{"i", "o", "n"}

	topicMakeScript     = newScript(topicMakeText, nil)
	topicAppendScript   = newScript(ledgerText+topicText+topicAppendText, ofTopic, kindStream)
	topicReadScript     = newScript(topicText+topicReadText, ofTopic, kindStream)
	topicInfoScript     = newScript(topicText+topicInfoText, ofTopic, kindStream)
	topicAtScript       = newScript(topicText+topicAtText, ofTopic, kindStream)
	topicRetainScript   = newScript(topicText+topicRetainText, ofTopic, kindStream)
	topicTruncateScript = newScript(topicText+topicTruncateText, ofTopic, kindStream)
	topicCommitScript   = newScript(topicText+topicCommitText, ofTopic, kindStream)
	topicGroupsScript   = newScript(topicText+topicGroupsText, ofTopic, kindStream)
	topicSweepScript    = newScript(topicText+topicSweepText, ofTopic, kindStream)
	topicDropScript     = newScript(topicDropText, ofTopic, kindStream)

	topicScripts = []*script{
		topicMakeScript, topicAppendScript, topicReadScript, topicInfoScript, topicAtScript, topicRetainScript,
		topicTruncateScript, topicCommitScript, topicGroupsScript, topicSweepScript, topicDropScript,
	}
)
