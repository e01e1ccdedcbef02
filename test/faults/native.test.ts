import { playAll } from './kinds.ts'

playAll('without a tunnel, a mesh of BGP', ['--nodes', '3', '--pods', '1', '--routing', 'native'])
