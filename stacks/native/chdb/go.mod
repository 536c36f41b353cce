module github.com/prism-data-layer/prism/stacks/native/chdb

go 1.26.0

require github.com/ebitengine/purego v0.10.0
