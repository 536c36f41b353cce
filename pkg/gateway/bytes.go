package gateway

import (
	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/session"
)

// This file counts the bytes of a session: the encoded size of each message,
// without what gRPC and HTTP/2 put around it.

// answered notes the answer of a call.
func (c *call) answered(resp any) { c.out = int64(sizeOf(resp)) }

func sizeOf(m any) int {
	if m, ok := m.(interface{ SizeVT() int }); ok {
		return m.SizeVT()
	}
	return 0
}

// A counted stream counts the messages that go through it.
type counted struct {
	grpc.ServerStream
	running session.Call
}

func (c *call) counted(st grpc.ServerStream) grpc.ServerStream { return &counted{st, c.running} }

// following is st, counted, for a stream that only answers.
func following[Req, Resp any](c *call, st grpc.ServerStreamingServer[Resp]) grpc.ServerStreamingServer[Resp] {
	return &grpc.GenericServerStream[Req, Resp]{ServerStream: c.counted(st)}
}

// talking is st, counted, for a stream that goes both ways.
func talking[Req, Resp any](c *call, st grpc.BidiStreamingServer[Req, Resp]) grpc.BidiStreamingServer[Req, Resp] {
	return &grpc.GenericServerStream[Req, Resp]{ServerStream: c.counted(st)}
}

func (s *counted) RecvMsg(m any) error {
	err := s.ServerStream.RecvMsg(m)
	if err == nil {
		s.running.Add(0, int64(sizeOf(m)), 0)
	}
	return err
}

// SendMsg counts m before it is sent: whoever has it finds it counted.
func (s *counted) SendMsg(m any) error {
	s.running.Add(0, 0, int64(sizeOf(m)))
	return s.ServerStream.SendMsg(m)
}
