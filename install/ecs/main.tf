locals {
  own_parameter    = var.config_parameter == null
  config_parameter = local.own_parameter ? "/${var.name}/config" : var.config_parameter
}

# The agent's file in base64: the parameter's value may then hold anything.
resource "aws_ssm_parameter" "config" {
  count = local.own_parameter ? 1 : 0

  name   = local.config_parameter
  type   = "SecureString"
  tier   = "Intelligent-Tiering"
  key_id = var.kms_key_arn
  value  = base64encode(var.config)
  tags   = var.tags

  lifecycle {
    precondition {
      condition     = var.config != null
      error_message = "Give config, or config_parameter."
    }
  }
}

resource "aws_cloudwatch_log_group" "agent" {
  name              = "/ecs/${var.name}"
  retention_in_days = var.log_retention_days
  tags              = var.tags
}

resource "aws_ecs_task_definition" "agent" {
  family                   = var.name
  network_mode             = "awsvpc"
  requires_compatibilities = ["FARGATE"]
  cpu                      = var.cpu
  memory                   = var.memory
  execution_role_arn       = aws_iam_role.execution.arn
  task_role_arn            = aws_iam_role.agent.arn
  tags                     = var.tags

  container_definitions = jsonencode([{
    name      = "agent"
    image     = var.image
    essential = true
    command = [
      "agent",
      "--config-aws-ssm-parameter", local.config_parameter,
      "--data-dir", "/var/lib/penstock/agent",
      "--admin-listen", "127.0.0.1:9085",
      "--log-format", "json",
    ]
    # A changed file makes a new revision, so that the tasks are replaced and read it.
    environment = [
      { name = "AWS_REGION", value = local.region },
      { name = "CONFIG_VERSION", value = local.own_parameter ? tostring(aws_ssm_parameter.config[0].version) : "given" },
    ]
    stopTimeout = 60
    healthCheck = {
      command     = ["CMD-SHELL", "wget -q -O /dev/null http://127.0.0.1:9085/healthz || exit 1"]
      interval    = 15
      timeout     = 5
      retries     = 4
      startPeriod = 30
    }
    logConfiguration = {
      logDriver = "awslogs"
      options = {
        "awslogs-group"         = aws_cloudwatch_log_group.agent.name
        "awslogs-region"        = local.region
        "awslogs-stream-prefix" = "agent"
      }
    }
  }])
}

resource "aws_ecs_service" "agent" {
  name            = var.name
  cluster         = var.cluster
  task_definition = aws_ecs_task_definition.agent.arn
  launch_type     = "FARGATE"
  desired_count   = var.tasks
  propagate_tags  = "SERVICE"
  tags            = var.tags

  # One process goes on while another is replaced; deployments are handed over.
  deployment_minimum_healthy_percent = 50
  deployment_maximum_percent         = 200

  network_configuration {
    subnets          = local.subnet_ids
    security_groups  = [aws_security_group.agent.id]
    assign_public_ip = var.assign_public_ip
  }

  lifecycle {
    precondition {
      condition     = length(local.subnet_ids) >= 2
      error_message = "Give subnet_ids in at least two availability zones together with vpc_id."
    }
  }

  # Without its permissions and a way out a task would start and fail.
  depends_on = [
    aws_iam_role_policy.agent,
    aws_iam_role_policy_attachment.execution,
    aws_route_table_association.public,
    aws_vpc_security_group_egress_rule.out,
  ]
}
