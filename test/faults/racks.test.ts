import { playAll } from './kinds.ts'

playAll('racks with BGP and BFD', ['--nodes', '2', '--pods', '1', '--racks', '2', '--bfd', '--routing', 'native'])
