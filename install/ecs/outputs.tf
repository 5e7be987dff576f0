output "task_role_arn" {
  description = "The role that deploys; add to it what applications beyond ECS need."
  value       = aws_iam_role.agent.arn
}

output "security_group_id" {
  description = "The group without inbound rules."
  value       = aws_security_group.agent.id
}

output "config_parameter" {
  description = "The SSM parameter that the agent reads at its start."
  value       = local.config_parameter
}

output "log_group" {
  description = "Where the agent logs to."
  value       = aws_cloudwatch_log_group.agent.name
}
