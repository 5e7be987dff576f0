data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_region" "current" {}

locals {
  region  = data.aws_region.current.name
  account = data.aws_caller_identity.current.account_id
  arn     = "arn:${data.aws_partition.current.partition}"
  ecs     = "${local.arn}:ecs:${local.region}:${local.account}"
  elb     = "${local.arn}:elasticloadbalancing:${local.region}:${local.account}"

  clusters = [for c in var.deploys_to : "${local.ecs}:cluster/${c}"]
}

data "aws_iam_policy_document" "tasks" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ecs-tasks.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }
  }
}

# What the agent may do; docs/guide/agent.md says what each action is for.
data "aws_iam_policy_document" "agent" {
  statement {
    sid = "ReadWithoutResource"
    actions = [
      "ecs:DescribeTaskDefinition", "ecs:ListTaskDefinitions", "ecs:RegisterTaskDefinition", "ecs:DeregisterTaskDefinition",
      "elasticloadbalancing:DescribeTargetGroups", "elasticloadbalancing:DescribeTargetHealth",
      "elasticloadbalancing:DescribeListeners", "elasticloadbalancing:DescribeRules",
    ]
    resources = ["*"]
  }

  statement {
    sid = "Services"
    actions = [
      "ecs:DescribeServices", "ecs:CreateService", "ecs:UpdateService", "ecs:DeleteService",
      "ecs:DescribeTaskSets", "ecs:CreateTaskSet", "ecs:UpdateTaskSet", "ecs:UpdateServicePrimaryTaskSet", "ecs:DeleteTaskSet",
      "ecs:ListTasks", "ecs:DescribeTasks", "ecs:RunTask", "ecs:StopTask",
    ]
    resources = ["*"]

    condition {
      test     = "ArnEquals"
      variable = "ecs:cluster"
      values   = local.clusters
    }
  }

  statement {
    sid = "ServiceDeployments"
    actions = [
      "ecs:ListServiceDeployments", "ecs:DescribeServiceDeployments", "ecs:DescribeServiceRevisions",
      "ecs:StopServiceDeployment", "ecs:ContinueServiceDeployment",
    ]
    resources = flatten([
      for c in var.deploys_to :
      ["${local.ecs}:service/${c}/*", "${local.ecs}:service-deployment/${c}/*", "${local.ecs}:service-revision/${c}/*"]
    ])
  }

  statement {
    sid     = "Tags"
    actions = ["ecs:TagResource", "ecs:UntagResource"]
    resources = concat(
      ["${local.ecs}:task-definition/*"],
      flatten([for c in var.deploys_to : ["${local.ecs}:service/${c}/*", "${local.ecs}:task-set/${c}/*", "${local.ecs}:task/${c}/*"]]),
    )
  }

  statement {
    sid       = "Weights"
    actions   = ["elasticloadbalancing:ModifyListener", "elasticloadbalancing:ModifyRule"]
    resources = ["${local.elb}:listener/app/*", "${local.elb}:listener-rule/app/*"]
  }

  statement {
    sid       = "OwnConfiguration"
    actions   = ["ssm:GetParameter"]
    resources = ["${local.arn}:ssm:${local.region}:${local.account}:parameter/${trimprefix(local.config_parameter, "/")}"]
  }

  dynamic "statement" {
    for_each = length(var.passable_roles) > 0 ? [var.passable_roles] : []

    content {
      sid       = "RolesOfTaskDefinitions"
      actions   = ["iam:PassRole"]
      resources = statement.value

      condition {
        test     = "StringEquals"
        variable = "iam:PassedToService"
        values   = ["ecs-tasks.amazonaws.com"]
      }
    }
  }

  dynamic "statement" {
    for_each = var.kms_key_arn == null ? [] : [var.kms_key_arn]

    content {
      sid       = "DecryptOwnConfiguration"
      actions   = ["kms:Decrypt"]
      resources = [statement.value]
    }
  }
}

resource "aws_iam_role" "agent" {
  name               = var.name
  assume_role_policy = data.aws_iam_policy_document.tasks.json
  tags               = var.tags
}

resource "aws_iam_role_policy" "agent" {
  name   = var.name
  role   = aws_iam_role.agent.id
  policy = data.aws_iam_policy_document.agent.json
}

# What ECS itself does for the task: pulling the image and writing its log.
resource "aws_iam_role" "execution" {
  name               = "${var.name}-execution"
  assume_role_policy = data.aws_iam_policy_document.tasks.json
  tags               = var.tags
}

resource "aws_iam_role_policy_attachment" "execution" {
  role       = aws_iam_role.execution.name
  policy_arn = "${local.arn}:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"
}
