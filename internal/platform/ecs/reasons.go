package ecs

// Reason codes that this platform gives. The sentence after each code is what a person reads; words in braces are arguments.
const (
	// ReasonStabilizing: Waiting until task set {set} is steady: {running} of {desired} tasks run, {pending} are starting.
	ReasonStabilizing = "ECS_STABILIZING"
	// ReasonTargetsStarting: Waiting for healthy targets in {group}: {healthy} of {needed}.
	ReasonTargetsStarting = "ECS_TARGETS_STARTING"
	// ReasonProving: No load balancer checks task set {set}: {proven} of {needed} tasks have run for {time}.
	ReasonProving = "ECS_PROVING"
	// ReasonTasksFailing: {count} tasks of task set {set} stopped with an error; the last one: {reason} (container {container}, exit code {exitCode}).
	ReasonTasksFailing = "ECS_TASKS_FAILING"
	// ReasonTargetsUnhealthy: The targets of task set {set} in {group} fail their health check since {since}: {detail}.
	ReasonTargetsUnhealthy = "ECS_TARGETS_UNHEALTHY"
	// ReasonTargetsDown: {unhealthy} of {total} targets of {group} fail their health check: {detail}.
	ReasonTargetsDown = "ECS_TARGETS_DOWN"
	// ReasonSetGone: Task set {set} is gone or draining although this deployment needs it; somebody else removed it.
	ReasonSetGone = "ECS_TASK_SET_GONE"
	// ReasonSlotsWaiting: The service has {count} of at most 5 task sets and one place is kept for the way back; waiting until {draining} has drained.
	ReasonSlotsWaiting = "ECS_SLOTS_WAITING"
	// ReasonSlotsFull: The service has {count} of at most 5 task sets and one place is kept for the way back; remove one of {sets}.
	ReasonSlotsFull = "ECS_SLOTS_FULL"
	// ReasonNotAttached: Target group {group} is not attached to a load balancer yet; waiting until Amazon ECS sees it.
	ReasonNotAttached = "ECS_GROUP_NOT_ATTACHED"
	// ReasonNoHealthy: No traffic is shifted to {group}: {share} % of it needs {needed} healthy targets, there are {healthy}.
	ReasonNoHealthy = "ECS_NO_HEALTHY_TARGETS"
	// ReasonWeightsApplying: Waiting until the load balancer shows the new weights on {route}.
	ReasonWeightsApplying = "ECS_WEIGHTS_APPLYING"
	// ReasonCallInDoubt: A call to Amazon ECS got no answer and may still take effect; going on at {until}.
	ReasonCallInDoubt = "ECS_CALL_IN_DOUBT"
	// ReasonSettling: Load balancers apply weights later than they show them; going on at {until}.
	ReasonSettling = "ECS_SETTLING"
	// ReasonForeignWeights: Somebody else changed the weights of {route}: expected {expected}, found {found}.
	ReasonForeignWeights = "ECS_FOREIGN_WEIGHTS"
	// ReasonRouteGone: Rule {route} is gone or no longer forwards to the primary target group.
	ReasonRouteGone = "ECS_ROUTE_GONE"
	// ReasonCanaryHasWeight: The canary still has {share} % of {route}; its capacity is not removed.
	ReasonCanaryHasWeight = "ECS_CANARY_HAS_WEIGHT"
	// ReasonDraining: Waiting until the tasks of task set {set} have stopped: {running} still run.
	ReasonDraining = "ECS_DRAINING"
	// ReasonNotPrimary: Waiting until task set {set} is the service's primary.
	ReasonNotPrimary = "ECS_NOT_PRIMARY"
	// ReasonServiceGone: Service {service} does not exist any more.
	ReasonServiceGone = "ECS_SERVICE_GONE"
	// ReasonServiceRemoving: Waiting until service {service} is gone.
	ReasonServiceRemoving = "ECS_SERVICE_REMOVING"
	// ReasonTaskRunning: Waiting until task {task} has ended; it is {status}.
	ReasonTaskRunning = "ECS_TASK_RUNNING"
	// ReasonTaskFailed: Task {task} ended with an error: {reason} (container {container}, exit code {exitCode}).
	ReasonTaskFailed = "ECS_TASK_FAILED"
	// ReasonTaskNotStarted: The task could not be started: {reason}.
	ReasonTaskNotStarted = "ECS_TASK_NOT_STARTED"
	// ReasonRestoring: Waiting until the former version has capacity again: {healthy} of {needed} healthy.
	ReasonRestoring = "ECS_RESTORING"
	// ReasonNotRestored: The live state is not what it was: {difference}.
	ReasonNotRestored = "ECS_NOT_RESTORED"
	// ReasonUnhealthyVersion: The new version has {healthy} healthy targets in {group}, its {share} % of the traffic needs {needed}: {detail}.
	ReasonUnhealthyVersion = "ECS_UNHEALTHY_VERSION"
	// ReasonRolloutRunning: Waiting for service deployment {deployment} at Amazon ECS: it is {status}, stage {stage}.
	ReasonRolloutRunning = "ECS_DEPLOYMENT_RUNNING"
	// ReasonRolloutPaused: Service deployment {deployment} is paused by a hook of the service file until {until}; continue or turn it back at Amazon ECS.
	ReasonRolloutPaused = "ECS_DEPLOYMENT_PAUSED"
	// ReasonRolloutTurned: Amazon ECS turned service deployment {deployment} back or stopped it ({status}): {reason}
	ReasonRolloutTurned = "ECS_DEPLOYMENT_TURNED_BACK"
	// ReasonRolloutForeign: Service deployment {deployment} ({status}) of somebody else is in the place of this one; a person has to look.
	ReasonRolloutForeign = "ECS_DEPLOYMENT_FOREIGN"

	// NoteRules: These listener rules will change: {rules}.
	NoteRules = "ECS_RULES"
	// NoteAttach: Target group {group} is attached nowhere; it will be added with weight 0 to {rules}. The way back removes it again.
	NoteAttach = "ECS_ATTACH"
	// NoteExposure: While the primary version is replaced, users see the new version although the weights still read {weights}.
	NoteExposure = "ECS_EXPOSURE_RISES"
	// NoteNewService: {fields} cannot be changed on a service with the EXTERNAL controller: it needs a new service.
	NoteNewService = "ECS_NEEDS_NEW_SERVICE"
	// NoteScale: The canary has {scale} % of the capacity but will be given {share} % of the traffic.
	NoteScale = "ECS_SCALE_BELOW_SHARE"
	// NoteDowntime: recreate stops the old tasks before the new ones start: the service does not answer in between.
	NoteDowntime = "ECS_RECREATE_DOWNTIME"
	// NoteFormerKept: The former task set stays at 0 tasks when the pipeline is over, because a later stage may still turn it back; the next deployment removes it.
	NoteFormerKept = "ECS_FORMER_KEPT"
	// NoteCountKept: The service runs {live} tasks and the file says {file}; the count is not lowered because the file's value did not change.
	NoteCountKept = "ECS_COUNT_KEPT"
	// NoteInactive: The live revision {revision} is INACTIVE; the way back registers its content again if it is needed.
	NoteInactive = "ECS_REVISION_INACTIVE"
	// NoteSweep: Left-over task sets without tasks will be removed: {sets}.
	NoteSweep = "ECS_SWEEP"
	// NoteFullSize: Amazon ECS starts the new version with all its tasks: scale {scale} % has no effect.
	NoteFullSize = "ECS_FULL_SIZE"
	// NoteOldTasksGo: The old tasks stop at the end of {stage}, before the pipeline is over: a way back from a later stage starts them again.
	NoteOldTasksGo = "ECS_OLD_TASKS_GO"

	// UnsettledNoPrimary: The service has no primary task set.
	UnsettledNoPrimary = "ECS_NO_PRIMARY"
	// UnsettledCapacity: The primary task set has {running} of {desired} tasks.
	UnsettledCapacity = "ECS_CAPACITY"
	// UnsettledSets: Besides the primary there are task sets with tasks: {sets}.
	UnsettledSets = "ECS_OTHER_SETS"
	// UnsettledSplit: {share} % of {route} goes to the canary target group.
	UnsettledSplit = "ECS_TRAFFIC_SPLIT"
	// UnsettledRollout: Service deployment {deployment} at Amazon ECS is {status}.
	UnsettledRollout = "ECS_DEPLOYMENT_UNDER_WAY"
)
