package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

// FaultWords say what a fault does: "reads: 200ms ± 50ms slower, 5% fail with
// BACKEND_UNAVAILABLE".
func FaultWords(f *adminv1.Fault) string {
	var parts []string
	if f.GetLatencyUs() > 0 {
		text := micros(f.GetLatencyUs())
		if f.GetJitterUs() > 0 {
			text += " ± " + micros(f.GetJitterUs())
		}
		parts = append(parts, text+" slower")
	}
	if f.GetErrorShare() > 0 {
		parts = append(parts, fmt.Sprintf("%s%% fail with %s", strconv.FormatFloat(f.GetErrorShare()*100, 'g', 4, 64), f.GetReason()))
	}
	which := map[string]string{"read": "reads", "write": "writes"}[f.GetCalls()]
	if which == "" {
		which = "all calls"
	}
	return which + ": " + strings.Join(parts, ", ")
}

func micros(n int64) string { return Duration(time.Duration(n) * time.Microsecond) }
