// Package telemetry is what the gateway says of itself: logs with request and
// trace ids and without secrets, metrics that cost a call next to nothing, and
// the HTTP side (metrics, health, profiles) on port 9090. Server, gateway,
// admin, route and guard call it; a client never does.
package telemetry
