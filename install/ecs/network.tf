# A network of its own when none is given: public subnets in two availability zones and no NAT gateway. The agent opens
# connections only, so a public address with no inbound rule is enough.

data "aws_availability_zones" "available" {
  state = "available"
}

locals {
  own_network = var.vpc_id == null
  zones       = local.own_network ? slice(data.aws_availability_zones.available.names, 0, 2) : []
  vpc_id      = local.own_network ? aws_vpc.agent[0].id : var.vpc_id
  subnet_ids  = local.own_network ? aws_subnet.public[*].id : var.subnet_ids
}

resource "aws_vpc" "agent" {
  count = local.own_network ? 1 : 0

  cidr_block           = var.vpc_cidr
  enable_dns_support   = true
  enable_dns_hostnames = true
  tags                 = merge(var.tags, { Name = var.name })
}

resource "aws_internet_gateway" "agent" {
  count = local.own_network ? 1 : 0

  vpc_id = aws_vpc.agent[0].id
  tags   = merge(var.tags, { Name = var.name })
}

resource "aws_subnet" "public" {
  count = length(local.zones)

  vpc_id            = aws_vpc.agent[0].id
  availability_zone = local.zones[count.index]
  cidr_block        = cidrsubnet(var.vpc_cidr, 2, count.index)
  tags              = merge(var.tags, { Name = "${var.name}-${local.zones[count.index]}" })
}

resource "aws_route_table" "public" {
  count = local.own_network ? 1 : 0

  vpc_id = aws_vpc.agent[0].id
  tags   = merge(var.tags, { Name = var.name })

  route {
    cidr_block = "0.0.0.0/0"
    gateway_id = aws_internet_gateway.agent[0].id
  }
}

resource "aws_route_table_association" "public" {
  count = length(local.zones)

  subnet_id      = aws_subnet.public[count.index].id
  route_table_id = aws_route_table.public[0].id
}

# No ingress block: nothing can connect.
resource "aws_security_group" "agent" {
  name        = var.name
  description = "Penstock agent: outbound only"
  vpc_id      = local.vpc_id
  tags        = var.tags
}

resource "aws_vpc_security_group_egress_rule" "out" {
  for_each = { for port in var.egress_ports : tostring(port) => port }

  security_group_id = aws_security_group.agent.id
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = each.value
  to_port           = each.value
}
