import { playAll } from './kinds.ts'

playAll('IPv6 alone, two subnets', ['--nodes', '3', '--pods', '1', '--families', 'ipv6', '--subnets', '2'])
