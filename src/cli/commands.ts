// All commands. The code of each is loaded when it is asked for, so that an agent does not hold the lab's code in memory.
import { type Group } from './command.ts'

export const rootCommand: Group = {
  name: 'causeway',
  summary: 'node-to-node networking for Kubernetes',
  about: 'causeway: node-to-node networking for Kubernetes that shows its work',
  verbs: {
    lab: async () => (await import('./lab.ts')).labCommand,
    status: async () => (await import('./status.ts')).statusCommand,
    plan: async () => (await import('./plan.ts')).planCommand,
    datapath: async () => (await import('./datapath.ts')).datapathCommand,
    policy: async () => (await import('./policy.ts')).policyCommand,
    doctor: async () => (await import('./doctor.ts')).doctorCommand,
    trace: async () => (await import('./trace.ts')).traceCommand,
    ui: async () => (await import('./ui.ts')).uiCommand,
    test: async () => (await import('./test.ts')).testCommand,
    'support-bundle': async () => (await import('./support-bundle.ts')).supportBundleCommand,
    bgp: async () => (await import('./bgp.ts')).bgpCommand,
    ipam: async () => (await import('./ipam.ts')).ipamCommand,
    clean: async () => (await import('./clean.ts')).cleanCommand,
    install: async () => (await import('./install.ts')).installCommand,
    uninstall: async () => (await import('./uninstall.ts')).uninstallCommand,
    agent: async () => (await import('./agent.ts')).agentCommand,
    observe: async () => (await import('./observe.ts')).observeCommand,
    controller: async () => (await import('./controller.ts')).controllerCommand,
    completion: async () => (await import('./completion.ts')).completionCommand(rootCommand),
    version: async () => (await import('./version.ts')).versionCommand,
    help: async () => (await import('./help-command.ts')).helpCommand(rootCommand),
  },
}
