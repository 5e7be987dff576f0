// Package ecs is the control plane and the task scheduler of the local cloud's Amazon ECS. It serves the operations a deployment controller needs
// (services with the EXTERNAL controller and their task sets, services with the ECS controller and their service deployments, task definitions,
// standalone tasks) and runs real tasks through a Runtime behind a Balancer, both injected.
//
// Service deployments: ROLLING with its circuit breaker, BLUE_GREEN, CANARY and LINEAR with PAUSE hooks. Left out, and refused: Lambda hooks, Service
// Connect, alarms, the stop type ABORT, a change of the deployment controller.
//
// Rules are written from AWS's documentation; each carries its source in a comment. "API" is the Amazon ECS API Reference, "DG" the Amazon ECS
// Developer Guide, "SDK" the documentation of the operation in the AWS SDK, which repeats the API's limits.
package ecs
