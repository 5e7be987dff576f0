// Package ecs deploys applications to Amazon ECS: services with the EXTERNAL deployment controller, whose versions are task
// sets, behind an Application Load Balancer or in service discovery, services with the ECS deployment controller, whose
// service deployments are held between the stages by pauses (files native*.go, ADR 0014), and standalone tasks.
//
// How a canary goes: the new version starts as a task set of its own behind the canary target group; listener rules shift a
// share of the requests to it by weight; the primary rollout starts the new version behind the primary group, makes it the
// service's PRIMARY and scales the former set to 0, where it stays until nothing can fail any more. The way back returns to
// the recorded live state from every point.
//
// What never happens: weight on a group without healthy targets, removal of capacity that still has weight, a lowered count
// that an autoscaler owns, two task sets for one intent, a deregistered revision that a snapshot names.
package ecs
