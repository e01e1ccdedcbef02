// The names of the agent's files and sockets, in its state and run directories.

export const agentSocketName = 'agent.sock'
export const cniSocketName = 'cni.sock'
export const spoolFolderName = 'cni-spool'
export const stateFileName = 'endpoints.sqlite'
