// Package fake is a complete platform whose cloud is an object in memory. It
// exists so that everything above the platforms (engine, server, agent) can be
// tested for hours of virtual time in milliseconds, and it passes the same
// suite as every other platform.
//
// An application of kind FakeApp carries its orders in its file: how long
// instances take to become healthy, when they turn unhealthy, at which step a
// stage fails. A Cloud is shared by all agents of a test and can be
// intercepted at every write, before and after its effect.
package fake
