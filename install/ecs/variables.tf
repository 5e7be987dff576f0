variable "name" {
  description = "Name of everything that is made."
  type        = string
  default     = "penstock-agent"
}

variable "image" {
  description = "The image with the program, git and ssh, by digest or tag."
  type        = string
}

variable "cluster" {
  description = "Name of the ECS cluster that the agent runs in."
  type        = string
}

variable "deploys_to" {
  description = "Names of the ECS clusters whose services the agent deploys."
  type        = list(string)

  validation {
    condition     = length(var.deploys_to) > 0
    error_message = "Name at least one cluster."
  }
}

variable "passable_roles" {
  description = "ARNs of the roles that the applications' task definitions name; the agent may pass these and no others."
  type        = list(string)
}

variable "config" {
  description = "The agent's file (kind: Piped) with its key and credentials. It is stored encrypted, and is part of the state of this module: give config_parameter instead to keep it out."
  type        = string
  default     = null
  sensitive   = true
}

variable "config_parameter" {
  description = "Name of an SSM parameter that holds the agent's file already, in place of config."
  type        = string
  default     = null
}

variable "kms_key_arn" {
  description = "Key of your own that the parameter is encrypted with; null for the account's default key."
  type        = string
  default     = null
}

variable "vpc_id" {
  description = "The network; null makes one with a public subnet in each of two availability zones."
  type        = string
  default     = null
}

variable "subnet_ids" {
  description = "Subnets of vpc_id in at least two availability zones, with a way out."
  type        = list(string)
  default     = []
}

variable "assign_public_ip" {
  description = "Whether tasks get a public address, which the public subnets of this module need. Nothing can connect to it."
  type        = bool
  default     = true
}

variable "vpc_cidr" {
  description = "Addresses of the network that is made."
  type        = string
  default     = "10.87.0.0/24"
}

variable "egress_ports" {
  description = "TCP ports that the agent may open connections to: 443, and 22 for git over ssh."
  type        = set(number)
  default     = [443, 22]
}

variable "tasks" {
  description = "How many processes share the work. Two survive the loss of a zone."
  type        = number
  default     = 2

  validation {
    condition     = var.tasks >= 1
    error_message = "At least one task."
  }
}

variable "cpu" {
  description = "CPU units of a task."
  type        = number
  default     = 256
}

variable "memory" {
  description = "Memory of a task, in MiB."
  type        = number
  default     = 512
}

variable "log_retention_days" {
  description = "How long logs are kept."
  type        = number
  default     = 30
}

variable "tags" {
  description = "Tags of everything that is made."
  type        = map(string)
  default     = {}
}
