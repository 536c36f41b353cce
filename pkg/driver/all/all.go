// Package all lists the drivers of this build, one line each.
package all

import (
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/clickhouse"
	"github.com/prism-data-layer/prism/pkg/driver/memory"
	"github.com/prism-data-layer/prism/pkg/driver/nats"
	"github.com/prism-data-layer/prism/pkg/driver/pebble"
	"github.com/prism-data-layer/prism/pkg/driver/redis"
	"github.com/prism-data-layer/prism/pkg/driver/sqlite"
)

// Drivers are the drivers of this build.
func Drivers() driver.Registry {
	return driver.Registry{
		clickhouse.Spec(),
		memory.Spec(),
		nats.Spec(),
		pebble.Spec(),
		redis.Spec(),
		sqlite.Spec(),
	}
}
