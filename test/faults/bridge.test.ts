import { playAll } from './kinds.ts'

playAll('the bridge and the tunnel, both families', ['--nodes', '3', '--pods', '2'])
